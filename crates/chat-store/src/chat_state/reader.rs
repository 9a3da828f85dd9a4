//! Reads the tables while they are written: own connections, own snapshots, `async`.
//!
//! Readers see only what is committed. The caller must ensure that this is recent enough (R14)
//! before it begins to read.

use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use chat_consensus::{LogIndex, Position};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions};
use sqlx::{Sqlite, Transaction};

use super::checkpoints::Verifier;
use super::error::StateError;
use super::found_damage::FoundDamage;
use super::inbox_counts::InboxCounts;
use super::queries::{
    self, Account, InboxQuery, LocatedMessage, MessagePage, Session, StoredMessage, UsernamePage,
};
use crate::database::connect_options;

/// How many reads run at once. Each is a thread, and machines have few cores.
const CONNECTIONS_MAX: u32 = 4;
/// How many sessions are looked up at once without a transaction. Separate from the other reads,
/// because clients with invented tokens cause these.
const LOOKUPS_MAX: u32 = 1;
/// How many pages of names are read at once. Separate from the other reads, because each scans
/// thousands of rows.
const LISTINGS_MAX: u32 = 2;
/// How long a read waits for one of the connections before it fails.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a read begins again because the tables were replaced meanwhile.
const CHANGES_MAX: usize = 3;

/// Reads the chat's tables. Clones share their connections.
///
/// When the tables are replaced, later reads use the new ones, and those in progress finish on the old
/// ones.
#[derive(Clone, Debug)]
pub struct ChatReader {
    shared: Arc<RwLock<Arc<Connections>>>,
}

/// The connections to one file.
#[derive(Debug)]
struct Connections {
    reads: LazyPool,
    lookups: LazyPool,
    listings: LazyPool,
    verifier: Verifier,
    damage: FoundDamage,
}

/// Created by the first read, because creating a pool needs tokio, and opening the tables must not.
#[derive(Debug)]
struct LazyPool {
    options: SqliteConnectOptions,
    connections_max: u32,
    pool: OnceLock<SqlitePool>,
}

/// A session as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSession {
    /// The session, as [`ReadTransaction::session`] returns it.
    pub session: Option<Session>,
    /// The last visible entry at that moment. A session that an earlier entry opened, and that is
    /// not found, has ended.
    pub applied: LogIndex,
}

/// Several reads in one snapshot. Ends when dropped.
///
/// A long one keeps SQLite from reusing its write-ahead log: end it before waiting for anything but
/// these reads.
#[derive(Debug)]
pub struct ReadTransaction {
    transaction: Transaction<'static, Sqlite>,
    damage: FoundDamage,
}

impl ChatReader {
    pub(super) fn new(path: &Path, verifier: Verifier) -> Self {
        Self {
            shared: Arc::new(RwLock::new(Arc::new(Connections::new(path, verifier)))),
        }
    }

    /// Reads the tables at `path` from now on.
    pub(super) fn change_to(&self, path: &Path, verifier: Verifier) {
        let new = Arc::new(Connections::new(path, verifier));
        let mut current = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, new);
        drop(current);
        // Closes the connections that are not used.
        drop(old);
    }

    /// What is wrong with the tables that are read, if a read has found something.
    pub fn damage(&self) -> Option<String> {
        self.current().damage.reason()
    }

    /// Compares up to `count` pages of 4 KiB of the tables' file after page `after` with their checksums,
    /// and returns the last one, or `None` at the end of the file. Damage is noted as if a read had found
    /// it: see [`Self::damage`]. For a slow check in the background; commits may wait for it as long as it
    /// reads.
    ///
    /// # Errors
    ///
    /// When the file is not what was written, or cannot be read.
    pub async fn verify_pages(&self, after: u32, count: u32) -> Result<Option<u32>, StateError> {
        let connections = self.current();
        let verified = connections.verifier.verify_part(after, count).await;
        connections.damage.note(verified)
    }

    /// Begins a transaction, which reads what is committed now.
    ///
    /// # Errors
    ///
    /// SQLite's, or if no connection became free in five seconds.
    pub async fn begin(&self) -> Result<ReadTransaction, StateError> {
        // Beginning a transaction does not take the snapshot; the first read in it does.
        let begin = "BEGIN; SELECT applied_index FROM progress";
        let (transaction, damage) = self
            .use_pool(
                |connections| &connections.reads,
                async |pool| pool.begin_with(begin).await,
            )
            .await?;
        Ok(ReadTransaction {
            transaction,
            damage,
        })
    }

    /// See [`ReadTransaction::applied_index`].
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub async fn applied_index(&self) -> Result<LogIndex, StateError> {
        let (mut connection, damage) = self.connection().await?;
        damage.note(queries::applied_index(&mut connection).await)
    }

    /// See [`ReadTransaction::account`].
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub async fn account(&self, username: &str) -> Result<Option<Account>, StateError> {
        let (mut connection, damage) = self.connection().await?;
        damage.note(queries::account(&mut connection, username).await)
    }

    /// When exactly this message was stored, and by which commit; `None` if it was not.
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub async fn stored_message(
        &self,
        message: StoredMessage<'_>,
    ) -> Result<Option<(f64, Position)>, StateError> {
        let (mut connection, damage) = self.connection().await?;
        damage.note(queries::stored_message(&mut connection, message).await)
    }

    /// The Argon2 parameters of most stored passwords: the part before the salt in their PHC
    /// strings. Reads no more than `accounts_max` accounts; `None` if there is none.
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub async fn common_argon2_params(
        &self,
        accounts_max: usize,
    ) -> Result<Option<String>, StateError> {
        let (mut connection, damage) = self.connection().await?;
        damage.note(queries::common_argon2_params(&mut connection, accounts_max).await)
    }

    /// The session whose token has this SHA-256, and the last entry that was visible.
    ///
    /// Waits for no other kind of read, so these cannot delay it.
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub async fn find_session(&self, token_hash: &[u8; 32]) -> Result<FoundSession, StateError> {
        let (mut connection, damage) = self.lookup().await?;
        let found = queries::find_session(&mut connection, token_hash).await;
        let (session, applied) = damage.note(found)?;
        Ok(FoundSession { session, applied })
    }

    /// See [`ReadTransaction::session_ended_by`]. Waits as [`Self::find_session`] does.
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub async fn session_ended_by(
        &self,
        token_hash: &[u8; 32],
        request: &[u8; 16],
    ) -> Result<Option<Session>, StateError> {
        let (mut connection, damage) = self.lookup().await?;
        damage.note(queries::session_ended_by(&mut connection, token_hash, request).await)
    }

    /// See [`ReadTransaction::session`].
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub async fn session(&self, token_hash: &[u8; 32]) -> Result<Option<Session>, StateError> {
        let (mut connection, damage) = self.connection().await?;
        damage.note(queries::session(&mut connection, token_hash).await)
    }

    /// See [`ReadTransaction::inbox`].
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub async fn inbox(
        &self,
        owner: &Session,
        query: InboxQuery,
    ) -> Result<MessagePage, StateError> {
        let (mut connection, damage) = self.connection().await?;
        damage.note(queries::inbox(&mut connection, owner, query).await)
    }

    /// See [`ReadTransaction::unread_count`].
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub async fn unread_count(&self, owner: &Session) -> Result<u64, StateError> {
        let (mut connection, damage) = self.connection().await?;
        damage.note(queries::unread_count(&mut connection, owner).await)
    }

    /// The size of the inbox of the account with this name; `None` if the account does not exist.
    ///
    /// Reads two rows, however full the inbox is. Messages that are proposed and not applied yet
    /// are not counted. A leader that bounds inboxes need not query this for each message: after a
    /// count it may accept as many messages as there is room for before it queries again, because
    /// only it appends. Waits as [`Self::find_session`] does.
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub async fn inbox_counts(&self, username: &str) -> Result<Option<InboxCounts>, StateError> {
        let (mut connection, damage) = self.lookup().await?;
        damage.note(queries::inbox_counts(&mut connection, username).await)
    }

    /// How many copies of sent messages the account with this name has. Reads two rows. Waits as
    /// [`Self::find_session`] does.
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub async fn copy_count(&self, username: &str) -> Result<u64, StateError> {
        let (mut connection, damage) = self.lookup().await?;
        damage.note(queries::copy_count(&mut connection, username).await)
    }

    /// See [`ReadTransaction::usernames`]. Waits for other calls of this kind only.
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub async fn usernames(
        &self,
        glob: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<UsernamePage, StateError> {
        let (mut transaction, damage) = self
            .use_pool(
                |connections| &connections.listings,
                async |pool| pool.begin().await,
            )
            .await?;
        damage.note(queries::usernames(&mut transaction, glob, limit, after).await)
    }

    async fn connection(&self) -> Result<(PoolConnection<Sqlite>, FoundDamage), StateError> {
        self.use_pool(
            |connections| &connections.reads,
            async |pool| pool.acquire().await,
        )
        .await
    }

    async fn lookup(&self) -> Result<(PoolConnection<Sqlite>, FoundDamage), StateError> {
        self.use_pool(
            |connections| &connections.lookups,
            async |pool| pool.acquire().await,
        )
        .await
    }

    /// Takes a connection to the current tables. The tables may be replaced while this waits; what the
    /// caller has waited for may be in the new ones only.
    async fn use_pool<T, F: Future<Output = sqlx::Result<T>>>(
        &self,
        pool: fn(&Connections) -> &LazyPool,
        take: impl Fn(SqlitePool) -> F,
    ) -> Result<(T, FoundDamage), StateError> {
        let mut changes = 0;
        loop {
            let connections = self.current();
            let taken = take(pool(&connections).get().clone()).await;
            changes += 1;
            if Arc::ptr_eq(&connections, &self.current()) || changes > CHANGES_MAX {
                let damage = connections.damage.clone();
                let taken = damage.note(taken.map_err(StateError::from))?;
                return Ok((taken, damage));
            }
        }
    }

    fn current(&self) -> Arc<Connections> {
        Arc::clone(&self.shared.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Connections {
    fn new(path: &Path, verifier: Verifier) -> Self {
        let options = connect_options()
            .filename(path)
            .read_only(true)
            .thread_name(|number| format!("state.db reader {number}"));
        let pool = |connections_max| LazyPool {
            options: options.clone(),
            connections_max,
            pool: OnceLock::new(),
        };
        Self {
            reads: pool(CONNECTIONS_MAX),
            lookups: pool(LOOKUPS_MAX),
            listings: pool(LISTINGS_MAX),
            verifier,
            damage: FoundDamage::of(path),
        }
    }
}

impl LazyPool {
    fn get(&self) -> &SqlitePool {
        self.pool.get_or_init(|| {
            // A connection to a local file does not break by itself, so none is tested or replaced.
            SqlitePoolOptions::new()
                .max_connections(self.connections_max)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
                .connect_lazy_with(self.options.clone())
        })
    }
}

impl ReadTransaction {
    /// The last entry of the log whose effects this transaction sees.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub async fn applied_index(&mut self) -> Result<LogIndex, StateError> {
        let read = queries::applied_index(self.connection()).await;
        self.damage.note(read)
    }

    /// The account with this name.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub async fn account(&mut self, username: &str) -> Result<Option<Account>, StateError> {
        let read = queries::account(self.connection(), username).await;
        self.damage.note(read)
    }

    /// The session whose token has this SHA-256; `None` also if it has expired or was ended, or if
    /// its account was deleted or got another password since.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub async fn session(&mut self, token_hash: &[u8; 32]) -> Result<Option<Session>, StateError> {
        let read = queries::session(self.connection(), token_hash).await;
        self.damage.note(read)
    }

    /// The session whose token has this SHA-256, if the request with this id ended it: that request
    /// may be retried (R15), and nothing else may use the session.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub async fn session_ended_by(
        &mut self,
        token_hash: &[u8; 32],
        request: &[u8; 16],
    ) -> Result<Option<Session>, StateError> {
        let read = queries::session_ended_by(self.connection(), token_hash, request).await;
        self.damage.note(read)
    }

    /// A page of the messages of the account of `owner`. Arriving messages do not shift pages,
    /// because pages are found by log order.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub async fn inbox(
        &mut self,
        owner: &Session,
        query: InboxQuery,
    ) -> Result<MessagePage, StateError> {
        let read = queries::inbox(self.connection(), owner, query).await;
        self.damage.note(read)
    }

    /// Those of the messages with these ids that the account of `owner` has received or sent, in the order of
    /// their commits. The caller must bound the number of ids, which are UUIDs.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub async fn located_messages(
        &mut self,
        owner: &Session,
        ids: &[String],
    ) -> Result<Vec<LocatedMessage>, StateError> {
        let read = queries::located_messages(self.connection(), owner, ids).await;
        self.damage.note(read)
    }

    /// How many messages the account of `owner` has not read.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub async fn unread_count(&mut self, owner: &Session) -> Result<u64, StateError> {
        let read = queries::unread_count(self.connection(), owner).await;
        self.damage.note(read)
    }

    /// Up to `limit` names, and 1,000 at most, that match the SQLite pattern `glob` and come after
    /// `after` in the order of their bytes.
    ///
    /// Scans no more than 10,000 names that begin as the pattern does, whatever it matches: a page
    /// may have fewer names than there are, or none, and still contain where the next page
    /// continues. The caller must bound the length of the pattern.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub async fn usernames(
        &mut self,
        glob: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<UsernamePage, StateError> {
        let read = queries::usernames(self.connection(), glob, limit, after).await;
        self.damage.note(read)
    }

    fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}
