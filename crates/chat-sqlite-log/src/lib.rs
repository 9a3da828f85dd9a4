//! The commit log of one replica, in one SQLite file.
//!
//! [`CommitLog`] (`log.db`) provides all durability: what it has accepted survives a power failure.
//! `docs/storage.md` describes file, tables and encodings. This crate makes no decision about
//! replication, reads no clock, and opens no socket.
//!
//! # The caller's duties
//!
//! 1. Open, close and drop [`CommitLog`] outside of `async` tasks: these block the thread, and
//!    opening reads all of the log. The other methods that use the disk are `async`, need no
//!    particular runtime, and wait for SQLite's own thread. Await each write to its end: dropping its
//!    future poisons the log.
//! 2. After any error of a write, stop the node. All later writes are refused.
//!
//! # `fdatasync`
//!
//! SQLite calls `fsync` unless it is compiled with `HAVE_FDATASYNC`. Both are equally safe, and
//! `fdatasync` writes less. A crate cannot set this for its dependents: this workspace sets
//! `LIBSQLITE3_FLAGS` in its `.cargo/config.toml`, and so must the workspace that embeds this
//! crate.
//!
//! [`database`], [`directory`] and [`batched_statement`] are public for `chat-store`, whose tables
//! are opened and written in the same way, and have no stable interface.

pub mod batched_statement;
mod commit_log;
mod conversion;
pub mod database;
pub mod directory;

pub use commit_log::{ChainValue, CommitLog, LogError, ReadLimits};
pub use conversion::{CONVERTED, ConversionError, convert};
pub use database::OpenError;
