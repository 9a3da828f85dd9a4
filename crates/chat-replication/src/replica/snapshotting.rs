//! When snapshots are taken, served, installed and deleted, and when the log is compacted (R24).

use bytes::Bytes;
use chat_consensus::{Fault, Input, LogBase, LogIndex, PieceReply, Position, Snapshot, SnapshotId};

use crate::event::{DownloadProgress, Effect, MakeReply, PieceReadId};
use crate::peer_message::consensus_reply;
use crate::replica::Replica;
use crate::replica::snapshots::{RETRY_PAUSE, Taking, WANTED_RETRY_PAUSE};

/// How much of a snapshot one reply has at most, in bytes.
const PIECE_BYTES_MAX: usize = 1 << 20;
/// Compaction is asked for again once this part of the kept entries more may go.
const COMPACTION_STEP: u64 = 16;

impl<F: MakeReply> Replica<F> {
    pub(super) fn handle_snapshot_taken(&mut self, taken: Option<Snapshot>) -> Result<(), Fault> {
        let snapshots = &mut self.snapshots;
        let taking = snapshots.taking.take().expect("one was being taken");
        let Some(snapshot) = taken else {
            snapshots.retry_at = Some(self.now + RETRY_PAUSE);
            return Ok(());
        };
        let index = snapshot.base.position.index;
        let more = self.applying.applied > index;
        snapshots.note_taken(taking, index, more, &self.limits);
        self.add_snapshot(snapshot)
    }

    pub(super) fn handle_compacted(&mut self, base: LogBase) -> Result<(), Fault> {
        self.snapshots.compacting = false;
        self.step(Input::Compacted(Box::new(base)))
    }

    pub(super) fn handle_download_finished(
        &mut self,
        snapshot: Snapshot,
        complete: bool,
    ) -> Result<(), Fault> {
        let finished = Input::DownloadFinished(Box::new(snapshot.clone()), complete);
        self.step(finished)?;
        let installs = self.node.installing() == Some(&snapshot);
        match complete {
            true if installs => self.add_snapshot(snapshot),
            true => {
                // This node knows more by now: a snapshot of another node is not its own.
                self.effects.push(Effect::DropSnapshot(snapshot.id()));
                Ok(())
            }
            false => Ok(()),
        }
    }

    /// The state is that of the snapshot, or its file turned out to be damaged.
    pub(super) fn handle_state_installed(&mut self, installed: bool) -> Result<(), Fault> {
        let snapshot = self.snapshots.installing.take();
        let snapshot = snapshot.expect("a state was being installed");
        let position = snapshot.base.position;
        if installed {
            self.applying.applied = position.index;
            self.applying.gathered_by = None;
            self.publishing.record_applied(self.now);
            self.snapshots.log_bytes = 0;
            self.snapshots.expires_at = None;
            self.snapshots.recent.clear();
            self.fail_proposals_through(position.index);
        } else {
            self.lose_snapshot(snapshot.id())?;
        }
        self.step(Input::StateInstalled(position, installed))
    }

    /// Puts a piece into a reply that the node has decided on, if the snapshot is here.
    pub(super) fn serve_piece(&mut self, reply: PieceReply) {
        let wanted = reply.wanted();
        if !self.snapshots.has(wanted.id) {
            self.snapshots.pieces.waiting.remove(&reply.follower());
            return self.send_piece(reply, None);
        }
        self.snapshots.note_read(wanted.id, self.now);
        let pieces = &mut self.snapshots.pieces;
        let follower = reply.follower();
        if pieces.reading.values().any(|r| r.follower() == follower) {
            pieces.waiting.insert(follower, reply);
            return;
        }
        pieces.made += 1;
        let id = PieceReadId(pieces.made);
        pieces.reading.insert(id, reply);
        let bytes_max = usize::try_from(wanted.bytes_max).unwrap_or(usize::MAX);
        self.effects.push(Effect::ReadPiece {
            id,
            snapshot: wanted.id,
            offset: wanted.offset,
            bytes_max: bytes_max.min(PIECE_BYTES_MAX),
        });
    }

    pub(super) fn handle_piece_read(
        &mut self,
        id: PieceReadId,
        bytes: Option<Bytes>,
    ) -> Result<(), Fault> {
        let Some(reply) = self.snapshots.pieces.reading.remove(&id) else {
            return Ok(());
        };
        let (snapshot, follower) = (reply.wanted().id, reply.follower());
        if bytes.is_none() {
            self.lose_snapshot(snapshot)?;
        }
        self.send_piece(reply, bytes);
        if let Some(waiting) = self.snapshots.pieces.waiting.remove(&follower) {
            self.serve_piece(waiting);
        }
        Ok(())
    }

    /// A follower needs a snapshot of at least this index.
    pub(super) fn want_snapshot(&mut self, at_least: LogIndex) {
        if self.applied_index() >= at_least {
            let snapshots = &mut self.snapshots;
            snapshots.wanted = true;
            let soon = self.now + WANTED_RETRY_PAUSE;
            snapshots.retry_at = snapshots.retry_at.map(|at| at.min(soon));
        }
    }

    pub(super) fn install_when_idle(&mut self, snapshot: Snapshot) {
        self.snapshots.to_install = Some(snapshot);
    }

    /// Everything of this file that is due; before the state machine gets more to do.
    pub(super) fn look_after_snapshots(&mut self) {
        if !self.is_machine_busy()
            && let Some(snapshot) = self.snapshots.to_install.take()
        {
            let position = snapshot.base.position;
            assert!(
                position.index > self.applied_index(),
                "a state goes forward"
            );
            self.snapshots.installing = Some(snapshot.clone());
            self.effects.push(Effect::InstallState(snapshot));
        }
        let kept = [self.node.installing(), self.snapshots.installing.as_ref()];
        let kept = kept.map(|snapshot| snapshot.map(Snapshot::id));
        let pinned = self.limits.snapshot_pinned;
        for id in self.snapshots.take_replaced(self.now, pinned, kept) {
            self.effects.push(Effect::DropSnapshot(id));
        }
        // Before the first sync of a run what it found may still be lost (R4).
        if self.node.has_started() {
            self.take_snapshot_if_due();
            self.compact_if_due();
        }
    }

    /// How far the download of a snapshot is.
    pub(super) fn download_progress(&self) -> Option<DownloadProgress> {
        let (snapshot, bytes) = self.node.download()?;
        Some(DownloadProgress {
            position: snapshot.base.position,
            bytes,
            size: snapshot.size,
        })
    }

    fn take_snapshot_if_due(&mut self) {
        let snapshots = &mut self.snapshots;
        snapshots.retry_at.take_if(|at| self.now >= *at);
        if snapshots.taking.is_some()
            || snapshots.retry_at.is_some()
            || !self.is_snapshot_due()
            || self.is_machine_busy()
            || self.node.has_lost_state()
        {
            return;
        }
        let index = self.applied_index();
        let term = self.node.log().term_at(index);
        // Those as of the position: later ones may be undone (R19).
        let members = self.node.membership_at(index).cloned();
        let (Some(term), Some(membership)) = (term, members) else {
            return;
        };
        let erases = self.snapshots.is_expired(self.now);
        self.snapshots.taking = Some(Taking {
            log_bytes: self.snapshots.log_bytes,
            begun: self.now,
            erases,
        });
        self.snapshots.wanted = false;
        self.effects.push(Effect::TakeSnapshot {
            position: Position { term, index },
            membership,
        });
    }

    fn is_snapshot_due(&self) -> bool {
        let snapshots = &self.snapshots;
        let newest = snapshots.newest_index();
        if self.applied_index() <= newest {
            return false;
        }
        let size = snapshots.newest().map_or(0, |newest| newest.size);
        snapshots.is_expired(self.now)
            || snapshots.log_bytes > self.limits.snapshot_log_bytes.max(size)
            || newest < self.node.log().base().index
            || snapshots.wanted
    }

    fn compact_if_due(&mut self) {
        let Some(oldest) = self.snapshots.oldest() else {
            return;
        };
        if self.snapshots.compacting || self.node.has_lost_state() {
            return;
        }
        let kept = self.limits.kept_entries;
        let of_count = LogIndex(self.applied_index().0.saturating_sub(kept));
        let oldest = oldest.base.position.index;
        let free = of_count.max(self.snapshots.recent.begin());
        let through = oldest.min(free).min(self.applied_index());
        let asked = self.snapshots.compacted_through;
        let step = LogIndex(asked.0 + (kept / COMPACTION_STEP).max(1));
        let erased = self.snapshots.erased_through.min(oldest);
        let through = through.max(erased);
        let worth = through >= step || (through == oldest.max(erased) && through > asked);
        if through > self.node.log().base().index && worth {
            self.snapshots.compacting = true;
            self.snapshots.compacted_through = through;
            // Then the next compaction of this kind can remove all that is in the log now.
            let rolls = through == erased;
            self.effects.push(Effect::Compact { through, rolls });
        }
    }

    fn add_snapshot(&mut self, snapshot: Snapshot) -> Result<(), Fault> {
        self.snapshots.add(snapshot);
        self.snapshot_changed()
    }

    fn lose_snapshot(&mut self, id: SnapshotId) -> Result<(), Fault> {
        if !self.snapshots.has(id) {
            return Ok(());
        }
        self.snapshots.remove(id);
        self.effects.push(Effect::DropSnapshot(id));
        self.snapshot_changed()
    }

    fn snapshot_changed(&mut self) -> Result<(), Fault> {
        let newest = self.snapshots.newest().cloned().map(Box::new);
        self.step(Input::SnapshotChanged(newest))
    }

    fn send_piece(&mut self, reply: PieceReply, bytes: Option<Bytes>) {
        let reply = match bytes {
            Some(bytes) => reply.with_piece(bytes),
            None => reply.gone(),
        };
        self.effects.push(Effect::Reply(consensus_reply(reply)));
    }
}
