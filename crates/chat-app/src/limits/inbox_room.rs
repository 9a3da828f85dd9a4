//! How many more messages the leader accepts for each inbox, or copies for each sender.
//!
//! Inboxes are counted in the tables, which lag behind the messages in flight. So the leader counts an
//! inbox once, accepts as many messages as there was room for, up to a fixed number, and then counts
//! again: a message costs no query, and messages in flight when an inbox is counted may exceed its
//! limit. Applying enforces no limit (R16).

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::recent::Recent;

/// For how many inboxes the room is remembered: some MiB. One that is forgotten is counted again.
const INBOXES_MAX: usize = 65_536;
/// How many messages are accepted between two counts.
const MESSAGES_PER_COUNT: u64 = 10_000;
/// After how long a full inbox is counted again: its owner may have deleted something.
const FULL_FOR: Duration = Duration::from_secs(1);

/// The room that is left in each inbox.
#[derive(Debug)]
pub struct InboxRoom {
    messages_max: u64,
    inboxes: Mutex<Recent<u64, Room>>,
    /// Hashes names to numbers that clients cannot predict.
    keys: RandomState,
}

#[derive(Clone, Copy, Debug, Default)]
struct Room {
    messages: u64,
    counted_at: Option<Instant>,
}

/// Whether an inbox accepts one more message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboxAdmission {
    /// Yes, and it is counted.
    Free,
    /// Not known until the inbox is counted: see [`InboxRoom::counted`].
    Uncounted,
    /// No.
    Full,
}

impl InboxRoom {
    /// Each inbox has room for `messages_max` messages.
    pub fn new(messages_max: u64) -> Self {
        Self {
            messages_max,
            inboxes: Mutex::new(Recent::new(INBOXES_MAX)),
            keys: RandomState::new(),
        }
    }

    /// Reserves the room of one message in the inbox of `recipient`.
    pub fn reserve(&self, recipient: &str, now: Instant) -> InboxAdmission {
        let mut inboxes = self.lock();
        let room = inboxes.entry(self.keys.hash_one(recipient), Room::default);
        if room.messages > 0 {
            room.messages -= 1;
            return InboxAdmission::Free;
        }
        match room.counted_at {
            Some(at) if now.saturating_duration_since(at) < FULL_FOR => InboxAdmission::Full,
            _ => InboxAdmission::Uncounted,
        }
    }

    /// The inbox of `recipient` has so many messages now. Reserves the room of one more, if there is
    /// room.
    pub fn counted(&self, recipient: &str, messages: u64, now: Instant) -> InboxAdmission {
        let room = self.messages_max.saturating_sub(messages);
        let mut inboxes = self.lock();
        *inboxes.entry(self.keys.hash_one(recipient), Room::default) = Room {
            messages: room.min(MESSAGES_PER_COUNT).saturating_sub(1),
            // It is full from the last message on that it has room for.
            counted_at: (room <= MESSAGES_PER_COUNT).then_some(now),
        };
        if room > 0 {
            InboxAdmission::Free
        } else {
            InboxAdmission::Full
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recent<u64, Room>> {
        // Nothing panics while it is held, and every state of it is a good one.
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{InboxAdmission, InboxRoom, MESSAGES_PER_COUNT};

    #[test]
    fn full_inbox_is_counted_once_a_second() {
        let room = InboxRoom::new(100);
        let start = Instant::now();
        assert_eq!(room.reserve("bob", start), InboxAdmission::Uncounted);
        assert_eq!(room.counted("bob", 97, start), InboxAdmission::Free);
        for _ in 0..2 {
            assert_eq!(room.reserve("bob", start), InboxAdmission::Free);
        }
        assert_eq!(room.reserve("bob", start), InboxAdmission::Full);
        assert_eq!(
            room.reserve("ann", start),
            InboxAdmission::Uncounted,
            "another inbox"
        );
        let later = start + Duration::from_secs(1);
        assert_eq!(room.reserve("bob", later), InboxAdmission::Uncounted);
        assert_eq!(room.counted("bob", 100, later), InboxAdmission::Full);
        assert_eq!(room.reserve("bob", later), InboxAdmission::Full);
        assert_eq!(
            room.counted("bob", 1_000, later),
            InboxAdmission::Full,
            "in flight"
        );
    }

    #[test]
    fn inbox_with_room_is_counted_rarely() {
        let room = InboxRoom::new(2_000_000);
        let now = Instant::now();
        let mut counts = 0;
        for sent in 0..3 * MESSAGES_PER_COUNT {
            if room.reserve("bob", now) == InboxAdmission::Uncounted {
                counts += 1;
                assert_eq!(room.counted("bob", sent, now), InboxAdmission::Free);
            }
        }
        assert_eq!(counts, 3);
    }
}
