//! A follower: its fetch, its request for a piece of a snapshot, and its last contact with the leader
//! (R1, R4, R8, R24).

use core::time::Duration;

use crate::entry::Entry;
use crate::message::{FollowerState, GetCommits, GetSnapshot, Header, Request};
use crate::node::context::NodeContext;
use crate::node::peer_call::PeerCall;
use crate::node::transfer_size::TransferSize;
use crate::types::{NodeId, RequestId, Time};

/// After a failed fetch the next one waits this long, so that a dead leader is not called in a
/// tight loop.
const FETCH_PAUSE: Duration = Duration::from_millis(20);

/// A reply with so many entries was as full as one with half of the bytes: leaders limit both.
const FULL_ENTRIES: usize = 1_024;

/// What only a follower has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Follower {
    /// When the leader last answered a fetch, or sent a heartbeat while fetches worked (R8).
    pub(super) leader_contact_at: Option<Time>,
    fetch: PeerCall,
    /// The request for a piece of the snapshot that is downloaded (R24).
    pub(super) piece: PeerCall,
    /// Since when every request for a piece has failed.
    pub(super) pieces_fail_since: Option<Time>,
    /// The last fetch, or request for a piece to the leader, failed or passed its deadline: heartbeats no
    /// longer refresh the election timer (R8).
    fetch_failed: bool,
}

/// Requests more after a reply that was full and arrived soon (R8).
pub(super) fn grow_fetch_size(
    size: &mut TransferSize,
    entries: &[Entry],
    took: Duration,
    limit: Duration,
) {
    let bytes: usize = entries.iter().map(Entry::size).sum();
    if size.is_full(bytes) || entries.len() >= FULL_ENTRIES {
        size.grow(took, limit);
    }
}

impl Follower {
    /// When something is due with the fetch or the download: it is late, or may be sent again.
    pub(super) fn fetch_deadline(&self) -> Time {
        self.fetch.deadline().min(self.piece.deadline())
    }

    /// A fetch that is late has failed; the next one is sent at once.
    pub(super) fn time_out_fetch(
        &mut self,
        (now, leader): (Time, Option<NodeId>),
        size: &mut TransferSize,
        piece_size: &mut TransferSize,
    ) {
        if self.fetch.time_out(now) {
            self.fetch_failed = true;
            size.shrink();
        }
        let of_leader = leader.is_some_and(|leader| self.piece.is_to(leader));
        if self.piece.time_out(now) {
            self.note_piece_failed(now, of_leader);
            piece_size.shrink();
        }
    }

    /// Sends the next fetch once everything accepted is synced: it acknowledges that (R1).
    pub(super) fn fetch_if_due(
        &mut self,
        context: &mut NodeContext,
        size: &TransferSize,
        state: FollowerState,
    ) {
        let Some(leader) = context.leader.id else {
            return;
        };
        if !self.fetch.is_idle() || !context.is_log_synced() {
            return;
        }
        let fetch = GetCommits {
            has_base: context.base.is_some(),
            synced: context.synced.last,
            commit_index: context.commit_index,
            bytes_max: size.bytes(),
            repair_through: context.hard_state.repair_through,
            state,
            behind_hole: context.commit_index < context.log.base().index,
            synced_block: context.synced_block,
        };
        let request = context.request(leader, Request::GetCommits(fetch));
        self.fetch = PeerCall::sent(context, leader, request);
    }

    /// Requests the next piece of a snapshot, unless one is under way (R24).
    pub(super) fn request_piece_if_idle(
        &mut self,
        context: &mut NodeContext,
        source: NodeId,
        wanted: GetSnapshot,
    ) {
        if self.piece.is_idle() {
            let request = context.request(source, Request::GetSnapshot(wanted));
            self.piece = PeerCall::sent(context, source, request);
        }
    }

    /// What was asked of the log before is of no meaning any more: it was replaced (R24).
    pub(super) fn forget_fetch(&mut self) {
        self.fetch = PeerCall::Idle;
    }

    /// A new leader, or a repeated announcement, is reason to fetch without a pause.
    pub(super) fn end_fetch_pause(&mut self) {
        self.fetch.end_pause();
    }

    pub(super) fn pause_fetch(&mut self, now: Time, pause: Duration) {
        self.fetch.pause(now, pause);
    }

    /// A call failed; if it was the fetch or that for a piece, the next one waits a moment.
    pub(super) fn fail_call(
        &mut self,
        context: &NodeContext,
        failed: RequestId,
        size: &mut TransferSize,
        piece_size: &mut TransferSize,
    ) {
        // A call that failed at once does not show how much the link carries.
        let slow = context.config.timing.fetch_timeout() / 2;
        let was_slow = |sent| context.now.since(sent) >= slow;
        if let Some(sent) = self.fetch.sent_at(failed) {
            self.reject_fetch_response(context.now);
            if was_slow(sent) {
                size.shrink();
            }
        }
        if let Some(sent) = self.piece.sent_at(failed) {
            self.reject_piece(context);
            if was_slow(sent) {
                piece_size.shrink();
            }
        }
    }

    /// The fetch has its reply: the next one may be sent.
    pub(super) fn finish_fetch(&mut self) {
        self.fetch = PeerCall::Idle;
        self.fetch_failed = false;
    }

    /// The request for a piece has its reply.
    pub(super) fn finish_piece(&mut self, of_leader: bool) {
        self.piece = PeerCall::Idle;
        self.pieces_fail_since = None;
        if of_leader {
            self.fetch_failed = false;
        }
    }

    /// A reply that cannot be right came from a faulty peer: it counts as a failed fetch.
    pub(super) fn reject_fetch_response(&mut self, now: Time) {
        self.fetch_failed = true;
        self.fetch.pause(now, FETCH_PAUSE);
    }

    /// The same for a piece.
    pub(super) fn reject_piece(&mut self, context: &NodeContext) {
        let leader = context.leader.id;
        let of_leader = leader.is_some_and(|leader| self.piece.is_to(leader));
        self.note_piece_failed(context.now, of_leader);
        self.piece.pause(context.now, FETCH_PAUSE);
    }

    fn note_piece_failed(&mut self, now: Time, of_leader: bool) {
        self.pieces_fail_since.get_or_insert(now);
        self.fetch_failed |= of_leader;
    }

    /// When the fetch was sent to which a message with `header` is the reply; `None` if no such
    /// fetch is under way (R4).
    pub(super) fn fetch_sent_at(&self, context: &NodeContext, header: &Header) -> Option<Time> {
        let sent = self.fetch.answered_by(header)?;
        (context.leader.id == Some(header.from)).then_some(sent)
    }

    /// Whether heartbeats may refresh the election timer (R8).
    pub(super) fn are_fetches_answered(&self, now: Time) -> bool {
        !self.fetch_failed && !self.fetch.is_late(now)
    }

    /// Whether this node itself had contact to the leader within the last election timeout.
    pub(super) fn has_recent_leader_contact(&self, context: &NodeContext) -> bool {
        let timeout = context.config.timing.election_timeout;
        let recent = |at: Time| context.now.since(at) < timeout;
        context.leader.id.is_some() && self.leader_contact_at.is_some_and(recent)
    }
}
