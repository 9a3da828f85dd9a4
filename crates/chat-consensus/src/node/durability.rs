//! What is decided but not on the disk yet, and the messages that wait for it (R1).

use crate::batch::{SyncedBatch, SyncedState, UnsyncedBatch};
use crate::node::context::{NodeContext, Syncing};
use crate::outgoing::Outgoing;
use crate::types::Time;

/// How many entries one batch holds, at most: far more than gather during one sync at full speed.
const BATCH_ENTRIES_MAX: usize = 4_096;
/// ... and how much payload, in bytes: a disk that syncs 20 MB a second is done within half an
/// election timeout.
const BATCH_BYTES_MAX: usize = 4 << 20;

impl NodeContext {
    /// What must be written next; `None` while a batch is being written or nothing is to be.
    pub(super) fn take_batch(&mut self) -> Option<UnsyncedBatch> {
        let nothing = self.writes.is_empty() && self.awaiting_sync.is_empty();
        if self.syncing.is_some() || nothing {
            return None;
        }
        let writes = self.writes.take_some(BATCH_ENTRIES_MAX, BATCH_BYTES_MAX);
        self.syncing = Some(Syncing {
            since: self.now,
            has_entries: !writes.entries.is_empty(),
        });
        let last = match self.writes.entries.first() {
            Some(left) => self.log.before(left.position.index),
            None => self.log.last(),
        };
        Some(UnsyncedBatch {
            writes,
            after: SyncedState {
                boot_count: self.boot_count,
                hard_state: self.hard_state,
                last,
                has_base: self.base.is_some(),
                log_replacements: self.log_replacements,
            },
            awaiting_sync: core::mem::take(&mut self.awaiting_sync),
        })
    }

    /// The batch is on the disk: sends what waited for it. Returns what was known of it.
    pub(super) fn finish_sync(&mut self, batch: SyncedBatch) -> Syncing {
        let syncing = self.syncing.take().expect("one batch is written at a time");
        self.synced = batch.after;
        self.synced_block = self.synced_block.max(batch.synced_block);
        for outgoing in batch.awaiting_sync {
            self.send_now(outgoing);
        }
        if self.is_hard_state_durable() {
            for outgoing in core::mem::take(&mut self.awaiting_sync) {
                self.send_now(outgoing);
            }
        }
        syncing
    }

    /// Whether everything accepted is on the disk, and the term and vote with it.
    pub(super) fn is_log_synced(&self) -> bool {
        self.is_hard_state_durable()
            && self.synced.last == self.log.last()
            && self.is_synced_through(self.log.last())
            && self.writes.is_empty()
    }

    /// When a write that has taken too long makes a leader resign (R10).
    pub(super) fn sync_deadline(&self) -> Time {
        self.syncing.map_or(Time::NEVER, |syncing| {
            syncing.since + self.config.timing.write_limit()
        })
    }

    /// Whether this run's first write is synced: before, nothing at all may be sent (R4).
    pub(super) fn has_started(&self) -> bool {
        self.synced.boot_count == self.boot_count
    }

    pub(super) fn send(&mut self, outgoing: Outgoing) {
        if self.is_hard_state_durable() {
            self.outgoing.push(outgoing);
        } else {
            self.awaiting_sync.push(outgoing);
        }
    }

    /// Term, vote and boot count are on the disk as they are in memory. A disk that has promised
    /// nothing may go back to a term that it has left (R4) while the write of the other one is
    /// under way: then the disk no longer holds what is synced.
    fn is_hard_state_durable(&self) -> bool {
        self.has_started()
            && self.synced.hard_state == self.hard_state
            && self.writes.hard_state.is_none()
    }

    /// What a reply promises stays true, so replies are always sent; a request of an older term is
    /// dropped, because its reply would be ignored.
    fn send_now(&mut self, outgoing: Outgoing) {
        let wanted = match &outgoing {
            Outgoing::Request(request) => request.header.term == self.hard_state.term,
            Outgoing::Reply(_) | Outgoing::Entries(_) | Outgoing::Piece(_) => true,
        };
        if wanted {
            self.outgoing.push(outgoing);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::convert::Infallible;

    use crate::batch::{SyncedBatch, UnsyncedBatch};
    use crate::config::{Config, Timing};
    use crate::entry::Stored;
    use crate::input::Input;
    use crate::message::{Election, Envelope, Header, Request};
    use crate::node::Node;
    use crate::outgoing::Outgoing;
    use crate::types::{ClusterId, NodeId, Position, RequestId, StorageId, Term, Time};

    const NOW: Time = Time(1);

    fn written(batch: UnsyncedBatch) -> SyncedBatch {
        let written = batch.persist_with(|_| Ok::<(), Infallible>(()));
        written.unwrap_or_else(|never| match never {})
    }

    /// Lets a member of a cluster probe whether the empty node is uninitialized.
    fn probe(node: &mut Node, term: u64, number: u64) {
        let header = Header {
            cluster: Some(ClusterId(1)),
            term: Term(term),
            from: NodeId(1),
            to: NodeId(2),
            storage: StorageId(1),
            to_storage: None,
            request: RequestId {
                number,
                ..RequestId::default()
            },
        };
        let message = Request::Election(Election::Bootstrap);
        let received = Input::Request(Envelope { header, message });
        node.handle(NOW, received).unwrap();
    }

    /// The terms that the node's messages show.
    fn shown(node: &mut Node) -> std::vec::Vec<u64> {
        let outgoing = node.take_outgoing().into_iter();
        let term = |outgoing| match outgoing {
            Outgoing::Request(request) => request.header.term.0,
            Outgoing::Reply(reply) => reply.header.term.0,
            Outgoing::Entries(_) | Outgoing::Piece(_) => outgoing.header().term.0,
        };
        outgoing.map(term).collect()
    }

    #[test]
    fn returning_term_waits_for_its_own_write() {
        let nodes = [NodeId(1), NodeId(2), NodeId(3)];
        let config = Config::new(NodeId(2), &nodes, Timing::default()).unwrap();
        let config = config.allow_bootstrap(true);
        let stored = Stored::empty(StorageId(2));
        let mut node = Node::new(config, stored, Position::ZERO.index, 1, Time(0));
        probe(&mut node, 4, 1);
        let batch = written(node.take_batch().unwrap());
        node.handle(NOW, Input::Synced(batch)).unwrap();
        assert_eq!(shown(&mut node), [4]);

        // The disk goes on to term 3; before that is confirmed, term 4 is received again (R4).
        probe(&mut node, 3, 2);
        let third = written(node.take_batch().unwrap());
        probe(&mut node, 4, 3);
        assert_eq!(
            shown(&mut node),
            [0; 0],
            "the disk holds term 3 by now (R1)"
        );
        node.handle(NOW, Input::Synced(third)).unwrap();
        assert_eq!(shown(&mut node), [3]);
        let fourth = written(node.take_batch().unwrap());
        node.handle(NOW, Input::Synced(fourth)).unwrap();
        assert_eq!(shown(&mut node), [4]);
    }
}
