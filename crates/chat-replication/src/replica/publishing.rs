//! When what is applied is made visible to readers: once for all reads that wait, and not so often
//! that it holds up the batches (R14).

use std::time::Duration;

use chat_consensus::{LogIndex, Time};

use crate::event::{Effect, MakeReply};
use crate::replica::Replica;

/// What was applied is published after this long without anything to apply.
const IDLE: Duration = Duration::from_millis(5);

/// After a publishing the next waits this many times as long as the last one took, so that readers
/// cost the batches a fifth of the time at most…
const PAUSE_TIMES: u32 = 4;
/// …but never longer than this: readers notice more.
const PAUSE_MAX: Duration = Duration::from_millis(3);

/// What readers see.
#[derive(Debug)]
pub(super) struct Publishing {
    published: LogIndex,
    /// What readers will see, and since when that is under way.
    under_way: Option<(LogIndex, Time)>,
    /// When the last batch was applied.
    applied_at: Time,
    /// Publishing is not done again before.
    not_before: Time,
}

impl Publishing {
    pub(super) fn new(applied: LogIndex, now: Time) -> Self {
        Self {
            published: applied,
            under_way: None,
            applied_at: now,
            not_before: now,
        }
    }

    /// Readers see everything up to here.
    pub(super) fn published(&self) -> LogIndex {
        self.published
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    pub(super) fn record_applied(&mut self, now: Time) {
        self.applied_at = now;
    }
}

impl<F: MakeReply> Replica<F> {
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
