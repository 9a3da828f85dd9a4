//! What a replica keeps on its disk: the commit log, and the chat's tables.
//!
//! [`CommitLog`] (`log.db`) carries every promise: what it has accepted survives a power cut.
//! `ChatState` (`state.db`, feature `chat`) is what the log's commands add up to. It may forget its
//! newest part in a power cut, and is then brought forward again from the log.
//! Files, tables and encodings are described in `docs/storage.md`. Nothing here decides anything
//! about replication, knows a clock, or opens a socket.
//!
//! # The caller's duties
//!
//! 1. [`CommitLog`] and `ChatState` block the thread that calls them: give each its own, outside of
//!    any `async` task. Only `ChatReader` is `async`.
//! 2. After any error of a write or an apply, stop the node. Both refuse everything after it.
//! 3. At a start, apply the entries after `ChatState::applied()`, once the log is known to
//!    hold that position and `ChatState::set_aside()`; otherwise delete `state.db*` and apply all.

mod batched_statement;
mod commit_log;
mod database;
mod directory;

#[cfg(feature = "chat")]
mod chat_state;

pub use chat_consensus::{
    ClusterId, Entry, HardState, LogIndex, Membership, NodeId, Payload, Position, StorageId,
    Stored, Term, TermRun, Voter, Writes,
};
#[cfg(feature = "chat")]
pub use chat_state::{
    Account, ApplyResult, Change, ChatReader, ChatState, CommittedEntry, Credential, Event,
    FoundSession, InboxCounts, InboxQuery, InvalidCommand, Message, MessagePage, ReadTransaction,
    Session, StateError, StoredMessage, UsernamePage,
};
pub use commit_log::{ChainValue, CommitLog, LogError, ReadLimits};
pub use database::OpenError;
