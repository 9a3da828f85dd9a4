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
        let nothing = self.writes.is_empty() && self.held.is_empty();
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
                start_counter: self.start_counter,
                hard_state: self.hard_state,
                last,
            },
            held: core::mem::take(&mut self.held),
        })
    }

    pub(super) fn handle_synced(&mut self, batch: SyncedBatch) {
        let writing = self.writing.take().expect("one batch is written at a time");
        self.note_own_sync(writing);
        self.synced = batch.after;
        for envelope in batch.held {
            self.release(envelope);
        }
        if self.is_settled() {
            for envelope in core::mem::take(&mut self.held) {
                self.release(envelope);
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
        if let Payload::Formation(formation) = &entry.payload {
            assert!(self.formation.is_none(), "one formation, ever (R12)");
            self.formation = Some(formation.clone());
            self.birth = None;
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
        self.is_settled() && self.synced.last == self.log.last() && self.writes.is_empty()
    }

    /// When a write that has taken too long makes a leader resign (R10).
    pub(super) fn write_overdue_at(&self) -> Time {
        match self.writing {
            Some(writing) => writing.since + self.config.timing.write_limit(),
            None => Time::NEVER,
        }
    }

    fn send(&mut self, envelope: Envelope) {
        if self.is_settled() {
            self.outgoing.push(Outgoing::Message(envelope));
        } else {
            self.held.push(envelope);
        }
    }

    /// Term, vote and start counter are on the disk as they stand in memory.
    fn is_settled(&self) -> bool {
        self.has_started() && self.synced.hard_state == self.hard_state
    }

    /// A promise once made stays true, so replies always leave; a request of an older term asks
    /// for nothing that is still wanted.
    fn release(&mut self, envelope: Envelope) {
        if envelope.message.is_reply() || envelope.header.term == self.hard_state.term {
            self.outgoing.push(Outgoing::Message(envelope));
        }
    }
}
