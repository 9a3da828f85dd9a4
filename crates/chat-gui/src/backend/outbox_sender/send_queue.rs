//! Which message of the outbox is sent next. Messages to one recipient keep their order; a recipient
//! whose messages the servers do not take now does not block the others.
//!
//! Deliberately absent: sending, clocks and waiting.

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;

use crate::model::message::OutboxMessage;
use crate::model::names::{MessageId, Name};

/// The messages that wait, in the order of writing.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    waiting: VecDeque<Waiting>,
    /// No message is sent before this moment.
    paused_until: Option<Instant>,
    /// Recipients to whom nothing is sent before these moments.
    held: HashMap<Name, Instant>,
}

/// A message that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) message: OutboxMessage,
    pub(super) attempts: u32,
    /// Whether an earlier attempt may have succeeded: its outcome is unknown.
    pub(super) outcome_uncertain: bool,
    /// Whether the person has requested it again: then it is sent however old it is.
    pub(super) is_requested: bool,
}

impl Waiting {
    pub(super) fn new(message: OutboxMessage) -> Self {
        Self {
            message,
            attempts: 0,
            outcome_uncertain: false,
            is_requested: false,
        }
    }
}

impl SendQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
    }

    /// Takes a message out. The next one to its recipient need not wait for what it waited for.
    pub(super) fn remove(&mut self, id: MessageId) -> Option<Waiting> {
        let place = self.waiting.iter().position(|one| one.message.id == id)?;
        let removed = self.waiting.remove(place)?;
        self.held.remove(&removed.message.recipient);
        Some(removed)
    }

    pub(super) fn find(&mut self, id: MessageId) -> Option<&mut Waiting> {
        self.waiting.iter_mut().find(|one| one.message.id == id)
    }

    /// The message to send now, or when the next one is due.
    pub(super) fn next(&self, now: Instant) -> Result<&Waiting, Option<Instant>> {
        let due = |one: &Waiting| {
            let held = self.held.get(&one.message.recipient).copied();
            held.max(self.paused_until).filter(|until| now < *until)
        };
        let mut earliest: Option<Instant> = None;
        for one in &self.waiting {
            let Some(until) = due(one) else {
                return Ok(one);
            };
            earliest = Some(earliest.map_or(until, |earliest| earliest.min(until)));
        }
        Err(earliest)
    }

    /// Nothing is sent before this moment.
    pub(super) fn pause(&mut self, until: Instant) {
        self.paused_until = Some(until);
    }

    /// Nothing is sent to this recipient before this moment.
    pub(super) fn hold(&mut self, recipient: Name, until: Instant) {
        self.held.insert(recipient, until);
    }

    /// What waits may be sent now.
    pub(super) fn release(&mut self) {
        self.paused_until = None;
        self.held.clear();
    }
}

impl Extend<Waiting> for SendQueue {
    fn extend<T: IntoIterator<Item = Waiting>>(&mut self, messages: T) {
        self.waiting.extend(messages);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::Instant;
    use uuid::Uuid;

    use super::{SendQueue, Waiting};
    use crate::model::message::{CopyPlace, OutboxMessage};
    use crate::model::names::{MessageId, Name, RequestId};
    use crate::model::time::Timestamp;

    fn id(number: u128) -> MessageId {
        MessageId(Uuid::from_u128(number))
    }

    /// Messages 1, 2, … to these recipients.
    fn queue(recipients: &[&str]) -> SendQueue {
        let mut queue = SendQueue::default();
        for (number, recipient) in (1..).zip(recipients) {
            queue.push(Waiting::new(OutboxMessage {
                id: id(number),
                request_id: RequestId(Uuid::from_u128(number)),
                recipient: Name::new(recipient),
                body: Arc::from("hello"),
                written_at: Timestamp(1.0),
                reply_to: None,
                copy: CopyPlace::Servers,
                refused: None,
            }));
        }
        queue
    }

    fn next(queue: &SendQueue, now: Instant) -> Result<u128, Option<Instant>> {
        queue.next(now).map(|one| one.message.id.0.as_u128())
    }

    #[test]
    fn held_recipient_blocks_no_other_one_and_keeps_its_order() {
        let now = Instant::now();
        let [soon, later] = [1, 5].map(|seconds| now + Duration::from_secs(seconds));
        let mut queue = queue(&["bob", "bob", "carol", "bob", "dave"]);
        assert_eq!(next(&queue, now), Ok(1));
        queue.hold(Name::new("bob"), later);
        assert_eq!(next(&queue, now), Ok(3));
        queue.hold(Name::new("carol"), soon);
        assert_eq!(next(&queue, now), Ok(5));
        queue.remove(id(5));
        assert_eq!(next(&queue, now), Err(Some(soon)));
        assert_eq!(next(&queue, soon), Ok(3));
        assert_eq!(next(&queue, later), Ok(1));
        queue.release();
        assert_eq!(next(&queue, now), Ok(1));
    }

    #[test]
    fn pause_holds_all_recipients() {
        let now = Instant::now();
        let [soon, later] = [1, 5].map(|seconds| now + Duration::from_secs(seconds));
        let mut queue = queue(&["bob", "carol"]);
        queue.hold(Name::new("bob"), later);
        queue.pause(soon);
        assert_eq!(next(&queue, now), Err(Some(soon)));
        assert_eq!(next(&queue, soon), Ok(2));
        queue.remove(id(2));
        assert_eq!(next(&queue, soon), Err(Some(later)));
        queue.remove(id(1));
        assert_eq!(next(&queue, now), Err(None), "nothing waits");
    }
}
