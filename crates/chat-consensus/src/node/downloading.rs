//! How a follower downloads a snapshot, and when a node installs one (R24).

use alloc::boxed::Box;
use core::time::Duration;

use crate::entry::LogBase;
use crate::input::Report;
use crate::message::{FollowerState, GetSnapshot, GetSnapshotReply, Header};
use crate::node::download::{Download, Installing, Phase};
use crate::node::{Node, Role};
use crate::snapshot::{PartialDownload, Snapshot, SnapshotId};
use crate::types::{LogIndex, Position};

/// While a file is verified, its source is asked for nothing so often: it keeps the snapshot, and the
/// entries after it, for a minute after each request.
const PIN_INTERVAL: Duration = Duration::from_secs(1);
/// A piece that could not be stored is requested again after this long.
const FULL_DISK_PAUSE: Duration = Duration::from_secs(1);

impl Node {
    /// The leader offers a snapshot, in reply to the fetch under way.
    pub(super) fn accept_offer(&mut self, header: &Header, snapshot: Box<Snapshot>) {
        let id = snapshot.id();
        let installs = |installing: &Installing| installing.snapshot == snapshot;
        let fits = header.cluster == Some(snapshot.base.membership.cluster)
            && self.base_fits(&snapshot.base)
            && self.would_help(&snapshot)
            && !self.downloads.installing.as_ref().is_some_and(installs);
        if !fits {
            return self.reject_fetch_response();
        }
        self.context.leader.has_claimed = true;
        self.on_fetch_success();
        // The next one would be answered in the same way, unless only the state is lacking.
        if !self.context.lost_state || self.downloads.current.is_some() {
            self.pause_fetch();
        }
        if self.context.snapshot.as_ref() == Some(&snapshot) {
            return self.install(snapshot);
        }
        if let Some(download) = &mut self.downloads.current {
            // A snapshot is of use under any leader: it is not given up for that of a later one.
            if download.snapshot == snapshot {
                download.source = header.from;
            }
            return;
        }
        let bytes = self.downloads.take_partial(id, snapshot.size);
        if let Some(useless) = self.downloads.partial.take() {
            self.context.report(Report::DownloadDropped(useless.id));
        }
        self.context.report(Report::DownloadBegun {
            from: header.from,
            id,
            size: snapshot.size,
            bytes,
        });
        self.downloads.current = Some(Download {
            snapshot,
            source: header.from,
            bytes,
            phase: Phase::Fetching,
        });
    }

    /// The leader has no snapshot yet: asks again a little later.
    pub(super) fn handle_no_snapshot_yet(&mut self) {
        self.context.leader.has_claimed = true;
        self.on_fetch_success();
        self.pause_fetch();
    }

    pub(super) fn handle_get_snapshot_reply(&mut self, header: &Header, reply: GetSnapshotReply) {
        let of_leader = self.context.leader.id == Some(header.from);
        let Role::Follower(follower) = &mut self.role else {
            return;
        };
        let Some(sent) = follower.piece.answered_by(header) else {
            return;
        };
        let Some(download) = &mut self.downloads.current else {
            return follower.finish_piece(of_leader);
        };
        let GetSnapshotReply::Piece {
            offset,
            bytes,
            leads,
        } = reply
        else {
            follower.reject_piece(&self.context);
            if download.phase == Phase::Fetching {
                self.drop_download();
            }
            return;
        };
        let size = download.snapshot.size;
        let through = offset.saturating_add(bytes.len() as u64);
        match download.phase {
            Phase::Finishing => {
                follower.finish_piece(of_leader);
                follower.piece.pause(self.context.now, PIN_INTERVAL);
            }
            Phase::Fetching if offset == download.bytes && through > offset && through <= size => {
                download.phase = Phase::Storing { through };
                let id = download.snapshot.id();
                follower.finish_piece(of_leader);
                let took = self.context.now.since(sent);
                let size = &mut self.downloads.piece_size;
                if size.is_full(bytes.len()) {
                    size.grow(took, self.context.config.timing.fetch_timeout());
                }
                self.context
                    .report(Report::StorePiece { id, offset, bytes });
            }
            Phase::Fetching => return follower.reject_piece(&self.context),
            Phase::Storing { .. } => follower.finish_piece(of_leader),
        }
        if of_leader && leads {
            self.record_leader_contact();
        } else if of_leader {
            // It serves what it has, and does not lead any more (R17).
            self.handle_not_leading(header, None, true);
        }
    }

    pub(super) fn handle_piece_stored(&mut self, id: SnapshotId, stored: Option<u64>) {
        let Some(download) = &mut self.downloads.current else {
            return;
        };
        let Phase::Storing { through } = download.phase else {
            return;
        };
        if download.snapshot.id() != id || stored.is_some_and(|stored| stored != through) {
            return;
        }
        download.phase = Phase::Fetching;
        match stored {
            Some(bytes) => download.bytes = bytes,
            None => {
                if let Role::Follower(follower) = &mut self.role {
                    follower.piece.pause(self.context.now, FULL_DISK_PAUSE);
                }
            }
        }
    }

    /// A file is complete under its name, or was not that of its snapshot. What it is good for is
    /// decided by what the node knows now: it may have caught up meanwhile.
    pub(super) fn handle_download_finished(&mut self, snapshot: Box<Snapshot>, complete: bool) {
        let id = snapshot.id();
        let finished = |download: &mut Download| download.snapshot.id() == id;
        self.downloads.current.take_if(finished);
        if !complete {
            self.context.report(Report::DownloadDropped(id));
            self.pause_fetch();
        } else if self.may_install(&snapshot) {
            self.install(snapshot);
        }
    }

    pub(super) fn handle_state_installed(&mut self, position: Position, done: bool) {
        let installed = |installing: &mut Installing| {
            installing.requested && installing.snapshot.base.position == position
        };
        // A damaged snapshot leaves the state lost: another one is fetched.
        if self.downloads.installing.take_if(installed).is_some() && done {
            self.context.lost_state = false;
        }
    }

    /// What follows by itself: the state is wanted once the log is synced to it, a download ends that
    /// is of no use any more, and the next piece is requested.
    pub(super) fn continue_download(&mut self) {
        if self.context.lost_state
            && self.downloads.installing.is_none()
            && let Some(own) = self.context.snapshot.clone()
            && self.may_install(&own)
        {
            self.install(own);
        }
        let context = &mut self.context;
        if let Some(installing) = &mut self.downloads.installing
            && !installing.requested
            && context.is_synced_through(installing.snapshot.base.position)
        {
            installing.requested = true;
            context.report(Report::StateWanted(installing.snapshot.clone()));
        }
        let Some(download) = &self.downloads.current else {
            return;
        };
        let fetching = download.phase == Phase::Fetching;
        if fetching && !self.would_help(&download.snapshot) {
            return self.drop_download();
        }
        if fetching && self.source_is_gone() {
            return self.suspend_download();
        }
        self.request_piece();
    }

    fn request_piece(&mut self) {
        let context = &mut self.context;
        let Some(download) = &mut self.downloads.current else {
            return;
        };
        let complete = download.bytes == download.snapshot.size;
        if complete && download.phase == Phase::Fetching {
            download.phase = Phase::Finishing;
            let snapshot = download.snapshot.clone();
            context.report(Report::FinishDownload(snapshot));
        }
        let bytes_max = match download.phase {
            Phase::Fetching => self.downloads.piece_size.bytes(),
            // So that the snapshot stays where it is, and the entries after it.
            Phase::Finishing => 0,
            Phase::Storing { .. } => return,
        };
        if let Role::Follower(follower) = &mut self.role {
            let wanted = GetSnapshot {
                id: download.snapshot.id(),
                offset: download.bytes,
                bytes_max,
            };
            follower.request_piece_if_idle(context, download.source, wanted);
        }
    }

    /// Whether all requests for pieces have failed for as long as a leader may be silent.
    fn source_is_gone(&self) -> bool {
        let Role::Follower(follower) = &self.role else {
            return false;
        };
        let timeout = self.context.config.timing.election_timeout;
        let fails_since = follower.pieces_fail_since;
        fails_since.is_some_and(|since| self.context.now.since(since) >= timeout)
    }

    /// Its source does not serve the snapshot: the next offer counts, and may be the same one.
    fn suspend_download(&mut self) {
        let Some(download) = self.downloads.current.take() else {
            return;
        };
        self.downloads.partial = Some(PartialDownload {
            id: download.snapshot.id(),
            bytes: download.bytes,
        });
        if let Role::Follower(follower) = &mut self.role {
            follower.pieces_fail_since = None;
        }
    }

    /// What a fetch says of this node's state.
    pub(super) fn follower_state(&self) -> FollowerState {
        let context = &self.context;
        let downloads = &self.downloads;
        if !context.lost_state {
            FollowerState::Whole
        } else if downloads.installing.is_some() || downloads.current.is_some() {
            FollowerState::Restoring
        } else {
            FollowerState::Lost {
                at_least: context.log.base().index,
            }
        }
    }

    /// Whether a base may be this disk's (R12).
    pub(super) fn base_fits(&self, base: &LogBase) -> bool {
        let context = &self.context;
        let cluster = base.membership.cluster;
        base.membership.is_valid()
            && base.position.term <= context.hard_state.term
            && context.cluster().is_none_or(|own| own == cluster)
    }

    /// Whether installing this snapshot would bring this node forward, as far as it knows now.
    fn would_help(&self, snapshot: &Snapshot) -> bool {
        let context = &self.context;
        let position = snapshot.base.position;
        if position.index == LogIndex::ZERO {
            return false;
        }
        let held = context.log.contains(position);
        // What this leader has matched is not replaced, nor is what is committed.
        let kept = context.commit_index.max(context.leader.match_index);
        let ahead = position.index > kept;
        if context.lost_state {
            position.index >= context.log.base().index && (held || ahead)
        } else {
            ahead && !held
        }
    }

    /// Whether this snapshot, which is complete here, is installed now.
    fn may_install(&self, snapshot: &Snapshot) -> bool {
        let id = snapshot.id();
        let mut installing = self.downloads.installing.iter();
        !matches!(self.role, Role::Leader(_))
            && self.base_fits(&snapshot.base)
            && self.would_help(snapshot)
            && installing.all(|installing| installing.snapshot.id() != id)
    }

    fn install(&mut self, snapshot: Box<Snapshot>) {
        let position = snapshot.base.position;
        // It may have been a candidate; now it has no state.
        if matches!(self.role, Role::Candidate(_)) {
            self.become_follower();
        }
        if !self.context.log.contains(position) {
            self.context.replace_log(snapshot.base.clone());
            if let Role::Follower(follower) = &mut self.role {
                follower.forget_fetch();
            }
        }
        self.context.raise_commit_index(position.index);
        self.drop_download();
        self.downloads.installing = Some(Installing {
            snapshot,
            requested: false,
        });
    }

    fn drop_download(&mut self) {
        if let Some(download) = self.downloads.current.take() {
            let id = download.snapshot.id();
            self.context.report(Report::DownloadDropped(id));
        }
    }

    fn pause_fetch(&mut self) {
        let pause = self.context.config.timing.heartbeat_interval;
        if let Role::Follower(follower) = &mut self.role {
            follower.pause_fetch(self.context.now, pause);
        }
    }
}

#[cfg(test)]
mod tests;
