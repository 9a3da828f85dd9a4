//! Passes committed entries to the state machine, in order, one batch at a time, and then answers
//! the proposals that wait for them.

use std::time::Duration;

use bytes::Bytes;
use chat_consensus::{Entry, LogIndex, Time};

use crate::event::{Effect, MakeReply};
use crate::replica::entry_cache::first_batch;
use crate::replica::{LogRead, Replica};

/// Where no client waits for it, what is committed gathers for this long before it is applied: one
/// large batch costs far less than many small ones.
const GATHERING_TIME: Duration = Duration::from_millis(5);

/// ... or until there is this much of it, in entries.
const GATHERED_MAX: u64 = 512;

/// How far the state machine is.
#[derive(Debug)]
pub(super) struct Applying {
    applied: LogIndex,
    /// The positions of the batch that is being read or applied; its answers come in this order.
    under_way: Option<Vec<chat_consensus::Position>>,
    /// When what has gathered is applied; `None` while nothing gathers.
    gathered_by: Option<Time>,
}

impl Applying {
    pub(super) fn new(applied: LogIndex) -> Self {
        Self {
            applied,
            under_way: None,
            gathered_by: None,
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    pub(super) fn applied(&self) -> LogIndex {
        self.applied
    }

    pub(super) fn deadline(&self) -> Time {
        self.gathered_by.unwrap_or(Time::NEVER)
    }
}

impl<F: MakeReply> Replica<F> {
    /// Starts the next batch, if there is one and none is under way.
    pub(super) fn apply_more(&mut self) {
        let applicable = self.node.apply_limit();
        let applied = self.applying.applied;
        if self.is_machine_busy() || applied >= applicable {
            return;
        }
        let now = self.now;
        let gathered_by = *self
            .applying
            .gathered_by
            .get_or_insert(now + GATHERING_TIME);
        let gathered = applicable.0 - applied.0;
        if !self.result_is_awaited() && now < gathered_by && gathered < GATHERED_MAX {
            return;
        }
        self.applying.gathered_by = None;
        let Some(cached) = self.entry_cache.after(applied) else {
            self.applying.under_way = Some(Vec::new());
            let bytes_max = self.limits.batch_bytes_max;
            return self.read_log(LogRead::Apply, applied, applicable, bytes_max);
        };
        let committed = cached.take_while(|entry| entry.position.index <= applicable);
        let entries = first_batch(
            committed,
            self.limits.batch_entries_max,
            self.limits.batch_bytes_max,
        );
        assert!(
            !entries.is_empty(),
            "what is committed and synced is in the cache or before it"
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
        self.proposals.remove_weights_through(self.applying.applied);
        self.publishing.record_applied(self.now);
    }

    /// Whether an answer depends on applying: a client's of this leader, or a read's.
    fn result_is_awaited(&self) -> bool {
        self.is_leading() || self.proposals.has_pending() || self.reads.first_confirmed().is_some()
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
