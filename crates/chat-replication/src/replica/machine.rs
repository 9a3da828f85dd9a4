//! The state machine's work: committed entries are applied in order, one batch at a time, and made
//! visible to readers, once for all reads that wait and not so often that it holds up the batches
//! (R3, R14).

use std::time::Duration;

use bytes::Bytes;
use chat_consensus::{Entry, Time};

use crate::event::{Effect, MakeReply};
use crate::replica::Replica;
use crate::replica::entry_cache::first_batch;
use crate::replica::log_read::LogRead;

/// Where no client waits for it, what is committed gathers for this long before it is applied: one
/// large batch costs far less than many small ones.
const GATHERING_TIME: Duration = Duration::from_millis(5);

/// ... or until there is this much of it, in entries.
const GATHERED_MAX: u64 = 512;

/// What was applied is published after this long without anything to apply.
const IDLE: Duration = Duration::from_millis(5);

/// After a publishing the next waits this many times as long as the last one took, so that readers
/// cost the batches a fifth of the time at most…
const PAUSE_TIMES: u32 = 4;
/// …but never longer than this: readers notice more.
const PAUSE_MAX: Duration = Duration::from_millis(3);

impl<F: MakeReply> Replica<F> {
    /// Starts the next batch, if there is one and none is under way.
    pub(super) fn apply_more(&mut self) {
        let applicable = self.node.apply_limit();
        let applied = self.applying.applied;
        if applied >= applicable {
            // What gathered may be in the snapshot for which the state was given up (R24).
            self.applying.gathered_by = None;
            return;
        }
        if self.is_machine_busy() {
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
        if self.node.has_lost_state() {
            // A snapshot that contains them has taken their place (R24).
            self.applying.under_way = None;
            return;
        }
        assert!(
            !entries.is_empty(),
            "what is to be applied is never removed"
        );
        self.apply(entries);
    }

    pub(super) fn handle_applied(&mut self, answers: Vec<Bytes>) {
        let positions = self
            .applying
            .under_way
            .take()
            .expect("a batch was being applied");
        assert_eq!(positions.len(), answers.len(), "one answer for each entry");
        let bytes = std::mem::take(&mut self.applying.bytes_under_way);
        self.snapshots.log_bytes += bytes;
        self.snapshots.recent.add(self.applying.applied, bytes);
        self.snapshots.note_applied(self.now, &self.limits);
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
        let bytes: usize = entries.iter().map(Entry::size).sum();
        self.applying.bytes_under_way = bytes as u64;
        let positions = entries.iter().map(|entry| entry.position).collect();
        self.applying.under_way = Some(positions);
        self.effects.push(Effect::Apply(entries));
    }

    pub(super) fn handle_published(&mut self) {
        let (through, since) = self
            .publishing
            .under_way
            .take()
            .expect("it was being published");
        let pause = self.now.since(since).saturating_mul(PAUSE_TIMES);
        self.publishing.published = through;
        self.publishing.not_before = self.now + pause.min(PAUSE_MAX);
    }

    /// Starts publishing, if that is due and the state machine has nothing under way.
    pub(super) fn publish_if_due(&mut self) {
        if !self.is_machine_busy() && self.now >= self.publish_deadline() {
            self.publishing.under_way = Some((self.applied_index(), self.now));
            self.effects.push(Effect::Publish);
        }
    }

    /// When what is applied is published, once the state machine has nothing under way; never, while
    /// readers see all of it.
    pub(super) fn publish_deadline(&self) -> Time {
        let applied = self.applied_index();
        let published = self.publishing.published;
        if published >= applied {
            return Time::NEVER;
        }
        let wanted = self.reads.first_confirmed();
        if wanted.is_some_and(|index| index <= applied) {
            self.publishing.not_before
        } else {
            self.publishing.applied_at + IDLE
        }
    }
}
