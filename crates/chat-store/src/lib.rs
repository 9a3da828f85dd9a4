//! What a replica keeps on its disk: the commit log, and the chat's tables.
//!
//! [`CommitLog`] (`log.db`, of `chat-sqlite-log`) provides all durability: what it has accepted
//! survives a power failure.
//! `ChatState` (`state.db`, feature `chat`) is the result of the log's commands. A power failure
//! may remove its newest part, which is then applied again from the log. `docs/storage.md`
//! describes files, tables and encodings. This crate makes no decision about replication, reads no
//! clock, and opens no socket.
//!
//! # The caller's duties
//!
//! 1. Open, close and drop [`CommitLog`] and `ChatState` outside of `async` tasks: these block the
//!    thread, and opening the log reads all of it. The other methods that use the disk are `async`,
//!    need no particular runtime, and wait for SQLite's own thread. Await each write and each apply
//!    to its end: dropping its future poisons the log or the tables. `ChatReader` is `async`
//!    throughout and needs tokio.
//! 2. After any error of a write or an apply, stop the node. All later calls are refused.
//! 3. At a start, check that the log contains the positions `ChatState::applied()` and
//!    `ChatState::set_aside()`, and has the chain value `ChatState::applied_chain()` at the former, then
//!    apply the entries after it. If it does not, do not start: `docs/storage.md` explains under
//!    "Applying" what an operator can do then.
//! 4. Call `ChatState::remove_old_evidence` now and then.

#[cfg(feature = "chat")]
mod chat_state;
#[cfg(feature = "chat")]
mod log_export;

#[cfg(feature = "chat")]
use chat_sqlite_log::{batched_statement, database, directory};

pub use chat_consensus::{
    ChainValue, ClusterId, CommittedEntry, Entry, HardState, LogBase, LogIndex, Membership, NodeId,
    Payload, Position, StorageId, Stored, Term, TermRun, Voter, Writes,
};
pub use chat_sqlite_log::{CommitLog, LogError, OpenError, ReadLimits};
#[cfg(feature = "chat")]
pub use chat_state::{
    Account, ApplyResult, Change, ChatReader, ChatState, Credential, Direction, DirectionFilter,
    Event, FoundSession, InboxCounts, InboxQuery, InvalidCommand, LocatedMessage, Message,
    MessagePage, NewMessage, ProposedCommand, ProposedOperation, ReadTransaction, SendOptions,
    Session, SnapshotWriter, StateError, StoredMessage, UsernamePage,
};
#[cfg(feature = "chat")]
pub use log_export::{ExportError, Secrets, ShownLog};
