//! The chat's tables, `state.db`: what the commands of the log add up to, and who may read it.
//!
//! [`ChatState`] is the one writer. It applies committed entries in order and notes how far it came
//! in the same transaction as their effects. Never the reason for an acknowledgement: what a power
//! cut takes from it is applied again from the log, so it syncs only when SQLite copies its
//! write-ahead log. [`ChatReader`] reads what is committed, on connections of its own.
//!
//! Applying is deterministic (R16): no clock, no randomness, no order of a hash map.

mod accounts;
mod apply_context;
mod checkpoints;
mod command;
mod error;
mod events;
mod inbox_changes;
mod inbox_counts;
mod older_format;
mod outcome;
mod pending_messages;
mod progress;
mod queries;
mod reader;
mod retention;
mod sessions;

#[cfg(test)]
mod tests;

use std::path::Path;

use bytes::Bytes;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};

use chat_consensus::{LogIndex, Position, Term};
use futures::executor::block_on;

pub use error::{InvalidCommand, StateError};
pub use events::{ApplyResult, Change, Event};
pub use inbox_counts::InboxCounts;
pub use queries::{
    Account, Credential, InboxQuery, Message, MessagePage, Session, StoredMessage, UsernamePage,
};
pub use reader::{ChatReader, FoundSession, ReadTransaction};

use accounts::Accounts;
use apply_context::ApplyContext;
use checkpoints::{BUSY_TIMEOUT, Checkpoints};
use command::{Command, Operation, SessionClaim, SessionOperation};
use events::BatchResult;
use inbox_changes::{Deleted, InboxChanges};
use inbox_counts::CountChanges;
use pending_messages::{PendingMessages, SentMessage};
use progress::Progress;
use retention::Retention;
use sessions::SessionCheck;

use crate::database::{Database, DatabaseFile};

/// SQLite's `user_version` of `state.db`.
const FORMAT: i64 = 3;

/// After how many entries the open transaction is committed by itself.
///
/// A commit copies every page that was touched since the last one, and messages to many recipients
/// touch nearly one page each, over and over: fewer commits copy less. This many keep what a crash
/// makes us apply again well under a second.
const UNCOMMITTED_ENTRIES_MAX: usize = 2048;

/// After how many pages of 4 KiB in the write-ahead log SQLite copies them into the main file.
///
/// Nobody waits for these syncs but readers, and the same index pages come again and again, so it
/// is larger than the log's: about 16 MiB.
const CHECKPOINT_PAGES: &str = "4000";

/// How much of the tables the writer keeps in memory, in KiB (negative, as SQLite wants it). What
/// an open transaction has changed beyond it goes into the write-ahead log early and twice.
const CACHE_KIB: &str = "-65536";

/// `deleted` names the commit that deleted a message of which only what a late retry needs is left
/// (R15), or 0. The index `inbox` leaves those out; within one recipient and one `read` it is in the
/// order of the log, because the row's own key is its commit's index. Times other than a message's
/// are whole seconds. The indexes on what has ended are for the clean-up; see `retention`.
const SCHEMA: &str = "
    CREATE TABLE progress (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        applied_index INTEGER NOT NULL,
        applied_term INTEGER NOT NULL,
        last_timestamp REAL NOT NULL
    ) STRICT;
    CREATE TABLE inboxes (
        account INTEGER PRIMARY KEY,
        messages INTEGER NOT NULL,
        unread INTEGER NOT NULL CHECK (unread BETWEEN 0 AND messages)
    ) STRICT;
    CREATE TABLE users (
        username TEXT PRIMARY KEY,
        password TEXT NOT NULL,
        incarnation INTEGER NOT NULL,
        credential_version INTEGER NOT NULL,
        created_by_request BLOB NOT NULL,
        password_request BLOB
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE former_accounts (
        deleted INTEGER PRIMARY KEY,
        deleted_at INTEGER NOT NULL,
        username TEXT NOT NULL,
        created_by_request BLOB NOT NULL,
        UNIQUE (username, created_by_request)
    ) STRICT;
    CREATE TABLE erasures (
        deleted INTEGER PRIMARY KEY,
        deleted_at INTEGER NOT NULL,
        username TEXT NOT NULL
    ) STRICT;
    CREATE TABLE sessions (
        token_hash BLOB PRIMARY KEY,
        username TEXT NOT NULL,
        incarnation INTEGER NOT NULL,
        credential_version INTEGER NOT NULL,
        idle_seconds INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        last_used INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        ended_by BLOB
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX session_ends ON sessions (expires);
    CREATE TABLE messages (
        commit_index INTEGER PRIMARY KEY,
        commit_term INTEGER NOT NULL,
        id TEXT NOT NULL UNIQUE,
        sender TEXT NOT NULL,
        sender_since INTEGER NOT NULL,
        recipient TEXT NOT NULL,
        body TEXT NOT NULL,
        timestamp REAL NOT NULL,
        read INTEGER NOT NULL DEFAULT 0,
        deleted INTEGER NOT NULL DEFAULT 0,
        deleted_at INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX inbox ON messages (recipient, read) WHERE deleted = 0;
    CREATE INDEX tombstones ON messages (deleted) WHERE deleted > 0;
    INSERT INTO progress VALUES (1, 0, 0, 0.0)
";

/// A committed entry of the log, as the chat sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedEntry {
    /// Its place in the log.
    pub index: LogIndex,
    /// The term in which it was appended.
    pub term: Term,
    /// An encoded `storage.v1.Command`; `None` for an entry that is not the chat's.
    pub command: Option<Bytes>,
}

/// The chat's tables and the only one who writes to them.
///
/// Opening and closing block; everything else waits for SQLite's own thread. A call that is dropped
/// before it has ended leaves the tables poisoned.
#[derive(Debug)]
pub struct ChatState {
    database: Database,
    checkpoints: Checkpoints,
    accounts: Accounts,
    pending: PendingMessages,
    inbox_changes: InboxChanges,
    counts: CountChanges,
    retention: Retention,
    /// Includes what the open transaction has applied.
    progress: Progress,
    /// See [`Self::set_aside`].
    set_aside: Position,
    /// What readers see.
    visible: Position,
    /// How many entries the open transaction has applied; `None` while there is none.
    uncommitted_entries: Option<usize>,
    /// Set while something is under way, so that nothing but its success takes it back.
    poisoned: bool,
}

impl ChatState {
    /// Opens the tables in `directory`, or makes empty ones. Needs no `async` runtime.
    ///
    /// Tables of an older format are set aside and replaced by empty ones: see [`Self::set_aside`].
    ///
    /// # Errors
    ///
    /// [`StateError::Open`] when the directory cannot be used or is in use.
    pub fn open(directory: &Path) -> Result<(Self, ChatReader), StateError> {
        Self::open_with(directory, Retention::DEFAULT)
    }

    fn open_with(directory: &Path, retention: Retention) -> Result<(Self, ChatReader), StateError> {
        let file = DatabaseFile {
            path: directory.join("state.db"),
            lock: directory.join("state.lock"),
            format: FORMAT,
            schema: SCHEMA,
            upgrades: &[],
        };
        let options = SqliteConnectOptions::new()
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("mmap_size", "0")
            .pragma("cell_size_check", "ON")
            .pragma("trusted_schema", "OFF")
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .pragma("cache_size", CACHE_KIB)
            .thread_name(|_| "state.db".to_owned());
        let lock = file.take_lock()?;
        let set_aside = older_format::set_aside(&file.path)?;
        let mut database = file.open_locked(lock, options)?;
        let progress = block_on(Progress::load(&mut database))?;
        let set_aside = match set_aside {
            Some(older) if older.applied.index <= progress.applied.index => {
                older.remove()?;
                Position::ZERO
            }
            Some(older) => older.applied,
            None => Position::ZERO,
        };
        let reader = ChatReader::new(&file.path);
        let state = Self {
            database,
            checkpoints: Checkpoints::new(&file.path),
            accounts: Accounts::default(),
            pending: PendingMessages::new(),
            inbox_changes: InboxChanges::new(),
            counts: CountChanges::new(),
            retention,
            progress,
            set_aside,
            visible: progress.applied,
            uncommitted_entries: None,
            poisoned: false,
        };
        Ok((state, reader))
    }

    /// Applies the entries that follow the last applied one and returns each one's outcome, and what
    /// changed for whom.
    ///
    /// Readers see the effects only after a commit: see [`Self::commit_if_behind`].
    ///
    /// # Errors
    ///
    /// [`StateError::InvalidCommand`] when an entry cannot be understood, which must never be
    /// skipped; otherwise SQLite's. After any error everything is refused: stop.
    ///
    /// # Panics
    ///
    /// If the entries do not follow the last applied one without a gap.
    pub async fn apply(&mut self, entries: &[CommittedEntry]) -> Result<ApplyResult, StateError> {
        self.begin()?;
        let applied = self.apply_all(entries).await?;
        self.poisoned = false;
        Ok(applied)
    }

    /// The last entry whose effects are in the tables, committed or not.
    pub fn applied(&self) -> Position {
        self.progress.applied
    }

    /// The log's time, in seconds since 1970: the greatest that any applied command has brought.
    pub fn log_time(&self) -> f64 {
        self.progress.log_time()
    }

    /// The index of [`Self::applied`].
    pub fn applied_index(&self) -> LogIndex {
        self.progress.applied.index
    }

    /// What tables of an older format had applied, which were set aside when these were opened or
    /// before, and are being made again; [`Position::ZERO`] if there are none. The log of the same
    /// disk must hold it, and it is committed.
    pub fn set_aside(&self) -> Position {
        self.set_aside
    }

    /// The last entry whose effects readers see.
    pub fn visible_index(&self) -> LogIndex {
        self.visible.index
    }

    /// Makes what is applied visible to readers, unless they see the entry at `index` already.
    /// Returns the last entry that they see, which is before `index` if that was not applied yet.
    ///
    /// # Errors
    ///
    /// SQLite's; everything is refused then.
    pub async fn commit_if_behind(&mut self, index: LogIndex) -> Result<LogIndex, StateError> {
        if self.visible.index < index {
            self.commit().await?;
        }
        Ok(self.visible.index)
    }

    /// Makes all that is applied visible to readers.
    ///
    /// # Errors
    ///
    /// SQLite's; everything is refused then.
    pub async fn commit(&mut self) -> Result<(), StateError> {
        self.begin()?;
        self.commit_open().await?;
        self.poisoned = false;
        Ok(())
    }

    /// Commits and closes. Dropping instead forgets what was not committed.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn close(mut self) -> Result<(), StateError> {
        block_on(self.commit())?;
        Ok(self.database.close()?)
    }

    /// Refuses everything from now on, unless what begins here ends well: not when it fails, panics
    /// or is dropped in its middle.
    fn begin(&mut self) -> Result<(), StateError> {
        if self.poisoned {
            return Err(StateError::Poisoned);
        }
        self.poisoned = true;
        Ok(())
    }

    async fn apply_all(&mut self, entries: &[CommittedEntry]) -> Result<ApplyResult, StateError> {
        let mut results = BatchResult::new(entries.len());
        if entries.is_empty() {
            return Ok(results.finish());
        }
        if self.uncommitted_entries.is_none() {
            self.database
                .execute(sqlx::query("BEGIN IMMEDIATE"))
                .await?;
        }
        for (batch_index, entry) in entries.iter().enumerate() {
            self.progress.advance(Position {
                term: entry.term,
                index: entry.index,
            });
            if self.retention.is_due(entry.index) {
                self.clean_up(&mut results).await?;
            }
            if let Some(command) = &entry.command {
                let command =
                    Command::decode(command).map_err(|source| StateError::InvalidCommand {
                        index: entry.index,
                        source,
                    })?;
                self.apply_command(command, batch_index, &mut results)
                    .await?;
            }
        }
        self.flush(&mut results).await?;
        let rows = self.uncommitted_entries.unwrap_or(0) + entries.len();
        self.uncommitted_entries = Some(rows);
        if rows >= UNCOMMITTED_ENTRIES_MAX {
            self.commit_open().await?;
        }
        Ok(results.finish())
    }

    /// Puts messages that wait into the tables.
    async fn flush(&mut self, results: &mut BatchResult) -> Result<(), StateError> {
        self.pending
            .flush(&mut self.database, &mut self.counts, results)
            .await
    }

    /// At the entry that `progress` has just reached, before its command.
    async fn clean_up(&mut self, results: &mut BatchResult) -> Result<(), StateError> {
        // What waits may be retries of what is about to be forgotten.
        self.flush(results).await?;
        self.retention
            .clean_up(
                &mut self.database,
                &mut self.accounts,
                self.progress.applied.index,
                self.progress.now(),
            )
            .await
    }

    /// Applies the command of the entry that `progress` has just reached.
    async fn apply_command(
        &mut self,
        command: Command,
        batch_index: usize,
        results: &mut BatchResult,
    ) -> Result<(), StateError> {
        let timestamp = self.progress.timestamp(command.time);
        let now = self.progress.now();
        let context = ApplyContext {
            batch_index,
            commit: self.progress.applied,
            request: command.request_id,
            timestamp,
            now,
            retain_until: now.saturating_add(self.retention.seconds),
        };
        match command.operation {
            Operation::CreateUser(user) => {
                let database = &mut self.database;
                results.set_outcome(
                    batch_index,
                    self.accounts.create_user(database, &user, &context).await?,
                );
            }
            Operation::CreateSession(session) => {
                // Its answer says how many of the messages that were sent before it are unread.
                self.flush(results).await?;
                let outcome = self
                    .accounts
                    .create_session(&mut self.database, &self.counts, &session, &context)
                    .await?;
                results.set_outcome(batch_index, outcome);
            }
            Operation::InSession(claim, operation) => {
                let database = &mut self.database;
                match self
                    .accounts
                    .check_session(database, &claim, &context)
                    .await?
                {
                    SessionCheck::Valid => {
                        self.apply_in_session(&claim, operation, &context, results)
                            .await?;
                    }
                    SessionCheck::EndedByThisRequest => {
                        results.set_outcome(batch_index, replayed_outcome(&operation))
                    }
                    SessionCheck::Invalid => {
                        results.set_outcome(batch_index, outcome::unauthenticated())
                    }
                }
            }
        }
        Ok(())
    }

    /// Does what was asked in the name of a session that is valid.
    async fn apply_in_session(
        &mut self,
        claim: &SessionClaim,
        operation: SessionOperation,
        context: &ApplyContext,
        results: &mut BatchResult,
    ) -> Result<(), StateError> {
        let account = claim.credential.incarnation;
        let username = || claim.username.clone();
        let change = match operation {
            SessionOperation::SendMessage(message) => {
                let message = SentMessage::new(message, claim, context);
                return self.apply_message(message, results).await;
            }
            SessionOperation::ReadMessages(ids) => {
                self.flush(results).await?;
                self.read_messages(claim, &ids).await?
            }
            SessionOperation::DeleteMessages(ids) => {
                self.flush(results).await?;
                self.delete_messages(claim, &ids, context).await?
            }
            SessionOperation::Logout => {
                self.accounts
                    .logout(&mut self.database, claim, context)
                    .await?;
                Some(Change::SessionEnded {
                    token_hash: claim.token_hash,
                })
            }
            SessionOperation::DeleteUser => {
                // Messages on their way belong to the inbox that goes.
                self.flush(results).await?;
                let database = &mut self.database;
                self.accounts.delete_user(database, claim, context).await?;
                self.counts.remove(database, account).await?;
                let deleted = (context.commit.index, context.now);
                self.retention
                    .begin_inbox_deletion(database, &claim.username, deleted)
                    .await?;
                Some(Change::AccountDeleted {
                    username: username(),
                    incarnation: account,
                })
            }
            SessionOperation::ChangePassword(new) => {
                let credential = self
                    .accounts
                    .change_password(&mut self.database, claim, &new, context)
                    .await?;
                Some(Change::PasswordChanged {
                    username: username(),
                    credential,
                })
            }
            SessionOperation::RenewSession => None,
        };
        results.set_outcome(context.batch_index, outcome::done());
        if let Some(change) = change {
            results.set_change(context.batch_index, context.commit, change);
        }
        Ok(())
    }

    async fn read_messages(
        &mut self,
        claim: &SessionClaim,
        ids: &[String],
    ) -> Result<Option<Change>, StateError> {
        let database = &mut self.database;
        let message_ids = self.inbox_changes.read(database, claim, ids).await?;
        let account = claim.credential.incarnation;
        self.counts.read(account, message_ids.len());
        Ok((!message_ids.is_empty()).then(|| Change::MessagesRead {
            username: claim.username.clone(),
            message_ids,
        }))
    }

    async fn delete_messages(
        &mut self,
        claim: &SessionClaim,
        ids: &[String],
        context: &ApplyContext,
    ) -> Result<Option<Change>, StateError> {
        let Deleted {
            message_ids,
            unread,
        } = self
            .inbox_changes
            .delete(&mut self.database, claim, ids, context)
            .await?;
        let account = claim.credential.incarnation;
        self.counts.deleted(account, message_ids.len(), unread);
        Ok((!message_ids.is_empty()).then(|| Change::MessagesDeleted {
            username: claim.username.clone(),
            message_ids,
        }))
    }

    async fn apply_message(
        &mut self,
        sent: SentMessage,
        results: &mut BatchResult,
    ) -> Result<(), StateError> {
        let database = &mut self.database;
        let recipient = self.accounts.credential(database, &sent.message.recipient);
        let recipient = recipient.await?.map(|credential| credential.incarnation);
        self.pending
            .send(database, &mut self.counts, (sent, recipient), results)
            .await
    }

    async fn commit_open(&mut self) -> Result<(), StateError> {
        if self.uncommitted_entries.take().is_some() {
            self.counts.write(&mut self.database).await?;
            self.progress.save_and_commit(&mut self.database).await?;
            self.visible = self.progress.applied;
            self.checkpoints.shorten_wal(&mut self.database).await?;
        }
        Ok(())
    }
}

/// The answer to a request that has ended the session in whose name it comes again (R15).
fn replayed_outcome(operation: &SessionOperation) -> Bytes {
    match operation {
        SessionOperation::Logout | SessionOperation::DeleteUser => outcome::done(),
        SessionOperation::ChangePassword(_) => outcome::already_changed_by_this_request(),
        SessionOperation::SendMessage(_)
        | SessionOperation::ReadMessages(_)
        | SessionOperation::DeleteMessages(_)
        | SessionOperation::RenewSession => outcome::unauthenticated(),
    }
}
