//! What an operator of a simulated cluster requests, and what comes of it.

use std::collections::BTreeMap;

use chat_replication::{ChangeMembersError, LogIndex};

/// Nodes that join a world at most: the network has room for them.
pub(super) const JOINERS_MAX: usize = 2;

/// What an operator's requests have come to.
pub(super) type Answers = BTreeMap<u64, Answer>;

/// At which index the change is committed, if it had to be made.
pub(super) type Answer = Result<Option<LogIndex>, ChangeMembersError>;
