//! Finds a message by its id: in which conversation it is, and with which sort key. Remembers which ids
//! were deleted, and which were read before they were loaded.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::model::message::SortKey;
use crate::model::names::{MessageId, Name};

/// Deleted ids that are remembered, so that an answer that was under way does not bring one back.
const DELETED_MAX: usize = 100_000;
/// The same for messages that were read before they were loaded.
const READ_BEFORE_LOAD_MAX: usize = 100_000;

/// Where each message is.
#[derive(Debug, Default)]
pub(super) struct MessageIndex {
    pub(super) places: HashMap<MessageId, (Name, SortKey)>,
    deleted: HashSet<MessageId>,
    deleted_in_order: VecDeque<MessageId>,
    /// Read before we had them.
    read_before_load: HashSet<MessageId>,
}

impl MessageIndex {
    /// Remembers that a message was deleted.
    pub(super) fn forget(&mut self, id: MessageId) {
        if self.deleted.insert(id) {
            self.deleted_in_order.push_back(id);
        }
        if self.deleted_in_order.len() > DELETED_MAX
            && let Some(oldest) = self.deleted_in_order.pop_front()
        {
            self.deleted.remove(&oldest);
        }
    }

    /// Whether a message was deleted.
    pub(super) fn is_gone(&self, id: MessageId) -> bool {
        self.deleted.contains(&id)
    }

    /// Remembers that a message was read that is not here yet.
    pub(super) fn read_before_load(&mut self, id: MessageId) {
        if self.read_before_load.len() < READ_BEFORE_LOAD_MAX {
            self.read_before_load.insert(id);
        }
    }

    /// Whether a message was read before it was here.
    pub(super) fn take_read_before_load(&mut self, id: MessageId) -> bool {
        self.read_before_load.remove(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}
