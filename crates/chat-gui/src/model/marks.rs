//! What a person has marked about the chats of an account. Kept on this device; the servers know
//! nothing of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::names::Name;

/// Pinned chats at most: more would fill the list, and none would be noticed.
pub const PINNED_MAX: usize = 50;

/// What a person has marked about the chats of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatMarks {
    /// Stay at the top of the list.
    pub pinned: BTreeSet<Name>,
    /// Are shown as unread until they are opened.
    pub unread: BTreeSet<Name>,
    /// Was open last.
    pub open: Option<Name>,
}
