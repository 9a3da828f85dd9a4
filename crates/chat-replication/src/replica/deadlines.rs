//! Tickets in the order of their deadlines.

use std::collections::BTreeSet;

use chat_consensus::Time;

/// The tickets of clients that wait, each with when something is due for it.
#[derive(Debug)]
pub(super) struct Deadlines<T>(BTreeSet<(Time, T)>);

impl<T> Default for Deadlines<T> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<T: Copy + Ord> Deadlines<T> {
    /// Nothing is ever due at [`Time::NEVER`].
    pub(super) fn insert(&mut self, at: Time, ticket: T) {
        if at != Time::NEVER {
            self.0.insert((at, ticket));
        }
    }

    pub(super) fn remove(&mut self, at: Time, ticket: T) {
        self.0.remove(&(at, ticket));
    }

    pub(super) fn next(&self) -> Time {
        self.0.first().map_or(Time::NEVER, |(at, _)| *at)
    }

    /// Takes the first ticket that is due at `now`.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<T> {
        if self.next() > now {
            return None;
        }
        self.0.pop_first().map(|(_, ticket)| ticket)
    }
}
