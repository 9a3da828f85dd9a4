//! What is decided but not on the disk yet, and what waits for it (R1).

use crate::batch::{SyncedBatch, SyncedState, UnsyncedBatch};
use crate::entry::{Entry, Payload};
use crate::message::{Envelope, Header, Message};
use crate::node::{Node, Outgoing, Writing};
use crate::types::{NodeId, Position, RequestId, Time};

/// How many entries one batch holds, at most: far more than gather during one sync at full speed.
const BATCH_ENTRIES_MAX: usize = 4_096;
/// ... and how much payload, in bytes: a disk that syncs 20 MB a second is done within half an
/// election timeout.
const BATCH_BYTES_MAX: usize = 4 << 20;

impl Node {
    /// What must be written next; `None` while a batch is being written or nothing is to be.
    pub fn take_batch(&mut self) -> Option<UnsyncedBatch> {
        let nothing = self.writes.is_empty() && self.awaiting_sync.is_empty();
        if self.writing.is_some() || nothing {
            return None;
        }
        let writes = self.writes.take_some(BATCH_ENTRIES_MAX, BATCH_BYTES_MAX);
        self.writing = Some(Writing {
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
            },
            awaiting_sync: core::mem::take(&mut self.awaiting_sync),
        })
    }

    pub(super) fn handle_synced(&mut self, batch: SyncedBatch) {
        let writing = self.writing.take().expect("one batch is written at a time");
        self.record_own_sync(writing);
        self.synced = batch.after;
        for envelope in batch.awaiting_sync {
            self.send_now(envelope);
        }
        if self.is_hard_state_durable() {
            for envelope in core::mem::take(&mut self.awaiting_sync) {
                self.send_now(envelope);
            }
        }
        self.count_own_vote();
        self.advance_commit_index();
    }

    /// Sends a new request as soon as the term it shows is durable.
    pub(super) fn request(&mut self, to: NodeId, message: Message) -> RequestId {
        let header = self.new_request_header(to);
        self.send(Envelope { header, message });
        header.request
    }

    /// Answers a request as soon as the term and the vote it shows are durable.
    pub(super) fn reply(&mut self, to: &Header, message: Message) {
        let header = self.reply_header(to);
        self.send(Envelope { header, message });
    }

    /// Adds an entry at the end of the log.
    pub(super) fn append(&mut self, entry: Entry) {
        if let Payload::Membership(membership) = &entry.payload {
            assert!(self.membership.is_none(), "one membership, ever (R12)");
            self.membership = Some(membership.clone());
            self.bootstrap = None;
        }
        self.log.append(entry.position);
        self.writes.entries.push(entry);
    }

    /// Removes all entries after `last`.
    pub(super) fn truncate_after(&mut self, last: Position) {
        assert!(
            self.writes.entries.is_empty(),
            "a fetch is sent only when all is synced"
        );
        self.log.truncate_after(last.index);
        self.writes.truncate_after = Some(last.index);
    }

    /// Whether everything accepted is on the disk, and the term and vote with it.
    pub(super) fn is_log_synced(&self) -> bool {
        self.is_hard_state_durable()
            && self.synced.last == self.log.last()
            && self.writes.is_empty()
    }

    /// When a write that has taken too long makes a leader resign (R10).
    pub(super) fn sync_deadline(&self) -> Time {
        match self.writing {
            Some(writing) => writing.since + self.config.timing.write_limit(),
            None => Time::NEVER,
        }
    }

    fn send(&mut self, envelope: Envelope) {
        if self.is_hard_state_durable() {
            self.outgoing.push(Outgoing::Message(envelope));
        } else {
            self.awaiting_sync.push(envelope);
        }
    }

    /// Term, vote and start counter are on the disk as they stand in memory. A disk that has
    /// promised nothing may go back to a term that it has left (R4) while the write of the other
    /// one is under way: then the disk holds what is synced no more.
    fn is_hard_state_durable(&self) -> bool {
        self.has_started()
            && self.synced.hard_state == self.hard_state
            && self.writes.hard_state.is_none()
    }

    /// A promise once made stays true, so replies always leave; a request of an older term asks
    /// for nothing that is still wanted.
    fn send_now(&mut self, envelope: Envelope) {
        if envelope.message.is_reply() || envelope.header.term == self.hard_state.term {
            self.outgoing.push(Outgoing::Message(envelope));
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
    use crate::message::{Election, ElectionKind, Envelope, Header, Message};
    use crate::node::{Node, Outgoing};
    use crate::types::{ClusterId, NodeId, Position, RequestId, StorageId, Term, Time};

    const NOW: Time = Time(1);

    fn written(batch: UnsyncedBatch) -> SyncedBatch {
        let written = batch.persist_with(|_| Ok::<(), Infallible>(()));
        written.unwrap_or_else(|never| match never {})
    }

    /// Lets a member of a cluster ask the empty node whether it is empty.
    fn ask(node: &mut Node, term: u64, number: u64) {
        let header = Header {
            cluster: Some(ClusterId(1)),
            term: Term(term),
            from: NodeId(1),
            to: NodeId(2),
            storage: StorageId(1),
            request: RequestId {
                number,
                ..RequestId::default()
            },
        };
        let message = Message::Election(Election {
            kind: ElectionKind::Bootstrap,
            last: Position::ZERO,
            membership: None,
        });
        let received = Input::Received(Envelope { header, message });
        node.handle(NOW, received).unwrap();
    }

    /// The terms that the node's messages show.
    fn shown(node: &mut Node) -> std::vec::Vec<u64> {
        let outgoing = node.take_outgoing().into_iter();
        let term = |outgoing| match outgoing {
            Outgoing::Message(envelope) | Outgoing::Entries { envelope, .. } => {
                envelope.header.term.0
            }
        };
        outgoing.map(term).collect()
    }

    #[test]
    fn a_term_that_comes_back_waits_for_its_own_write() {
        let nodes = [NodeId(1), NodeId(2), NodeId(3)];
        let config = Config::new(NodeId(2), &nodes, Timing::default()).unwrap();
        let stored = Stored::empty(StorageId(2));
        let mut node = Node::new(config, stored, Position::ZERO.index, 1, Time(0));
        ask(&mut node, 4, 1);
        let batch = written(node.take_batch().unwrap());
        node.handle(NOW, Input::Synced(batch)).unwrap();
        assert_eq!(shown(&mut node), [4]);

        // The disk goes on to term 3; before that is confirmed, term 4 is met again (R4).
        ask(&mut node, 3, 2);
        let third = written(node.take_batch().unwrap());
        ask(&mut node, 4, 3);
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
