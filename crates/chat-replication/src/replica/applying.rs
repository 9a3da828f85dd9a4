//! Handing committed entries to the state machine, in order, one batch at a time, and then
//! answering whoever waited for them.

use bytes::Bytes;
use chat_consensus::{Entry, LogIndex};

use crate::event::Effect;
use crate::replica::tail::first_batch;
use crate::replica::{LogRead, Replica};

/// How far the state machine is.
#[derive(Debug)]
pub(super) struct Applying {
    applied: LogIndex,
    /// The positions of the batch that is being read or applied; its answers come in this order.
    under_way: Option<Vec<chat_consensus::Position>>,
}

impl Applying {
    pub(super) fn new(applied: LogIndex) -> Self {
        Self {
            applied,
            under_way: None,
        }
    }

    pub(super) fn applied(&self) -> LogIndex {
        self.applied
    }
}

impl Replica {
    /// Starts the next batch, if there is one and none is under way.
    pub(super) fn apply_more(&mut self) {
        let applicable = self.node.applicable_index();
        let applied = self.applying.applied;
        if self.applying.under_way.is_some() || applied >= applicable {
            return;
        }
        let Some(held) = self.tail.after(applied) else {
            self.applying.under_way = Some(Vec::new());
            return self.read_log(LogRead::Apply, applied, applicable);
        };
        let committed = held.take_while(|entry| entry.position.index <= applicable);
        let entries = first_batch(committed, &self.limits);
        assert!(
            !entries.is_empty(),
            "what is committed and synced is in the tail or before it"
        );
        self.apply(entries);
    }

    pub(super) fn apply_read_entries(&mut self, entries: Vec<Entry>) {
        assert!(!entries.is_empty(), "committed entries are never removed");
        self.apply(entries);
    }

    pub(super) fn handle_applied(&mut self, answers: Vec<Bytes>) {
        let positions = self
            .applying
            .under_way
            .take()
            .expect("a batch was being applied");
        assert_eq!(positions.len(), answers.len(), "one answer for each entry");
        for (position, answer) in positions.into_iter().zip(answers) {
            self.applying.applied = position.index;
            self.answer_proposal(position, answer);
        }
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        assert_eq!(
            entries[0].position.index,
            self.applying.applied.next(),
            "applied in order"
        );
        let positions = entries.iter().map(|entry| entry.position).collect();
        self.applying.under_way = Some(positions);
        self.effects.push(Effect::Apply(entries));
    }
}
