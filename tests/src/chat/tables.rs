//! The `state.db` of one node, in a memory-backed folder where the system has one.
//!
//! A dead process keeps what was committed, as a real one does; a power loss that loses more is an empty
//! folder here, which is then filled from the log.

use std::path::{Path, PathBuf};

use chat_consensus::LogIndex;
use chat_store::{ChatReader, ChatState};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Row};
use tempfile::TempDir;

use crate::chat::ledger::refused;
use crate::chat::tasks::{ChatLimits, NodeLogic};
use crate::checker::Violation;
use crate::simulation::service_api::Tables;

/// The system's memory-backed folder: syncs cost nothing there.
const MEMORY: &str = "/dev/shm";

/// Every row of every table, in an order that does not depend on how it was written.
const ALL_ROWS: [&str; 9] = [
    "SELECT quote(applied_index) || quote(applied_term) || quote(last_timestamp) FROM progress",
    "SELECT quote(username) || quote(password) || quote(incarnation) \
     || quote(credential_version) || quote(created_by_request) || quote(password_request) \
     FROM users ORDER BY username",
    "SELECT quote(token_hash) || quote(username) || quote(incarnation) \
     || quote(credential_version) || quote(idle_seconds) || quote(ends) || quote(last_used) \
     || quote(expires) || quote(ended_by) FROM sessions ORDER BY token_hash",
    "SELECT quote(commit_index) || quote(commit_term) || quote(id) || quote(sender) \
     || ' ' || quote(sender_since) || quote(recipient) || quote(body) || quote(timestamp) || quote(read) || quote(deleted) \
     || quote(deleted_at) || quote(reply_to) || quote(written_at) FROM messages ORDER BY commit_index",
    "SELECT quote(commit_index) || quote(owner) || quote(recipient_since) || quote(body) \
     || quote(reply_to) || quote(written_at) FROM copies ORDER BY commit_index",
    "SELECT quote(account) || ' ' || quote(copies) FROM copy_counts ORDER BY account",
    "SELECT quote(account) || ' ' || quote(messages) || ' ' || quote(unread) \
     FROM inboxes ORDER BY account",
    "SELECT quote(deleted) || quote(deleted_at) || quote(username) || quote(created_by_request) \
     FROM former_accounts ORDER BY deleted",
    "SELECT quote(deleted) || quote(deleted_at) || quote(username) FROM erasures ORDER BY deleted",
];

const LIVE_MESSAGES: &str = "SELECT id FROM messages WHERE deleted = 0 ORDER BY commit_index";

/// A copy must not be there without the row of its message.
const LIVE_COPIES: &str = "SELECT ifnull(id, 'of no message') FROM copies \
     LEFT JOIN messages ON messages.commit_index = copies.commit_index ORDER BY copies.commit_index";

/// A folder for all nodes, removed with the world.
#[derive(Debug)]
pub(super) struct Home {
    folder: TempDir,
}

/// The tables of one node.
#[derive(Debug)]
pub(super) struct NodeTables {
    folder: PathBuf,
    /// How many sets of tables it has lost.
    lost: u32,
    /// How often its process has started.
    starts: u64,
    /// Its random choices follow from it.
    seed: u64,
    limits: ChatLimits,
    /// While its process runs.
    pub(super) open: Option<OpenTables>,
}

/// The tables of a running process.
#[derive(Debug)]
pub(super) struct OpenTables {
    pub(super) state: ChatState,
    pub(super) reader: ChatReader,
    pub(super) logic: NodeLogic,
    /// The checker's own connection.
    watcher: SqliteConnection,
}

impl Home {
    pub(super) fn new() -> std::io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("chat-simulation-");
        let folder = if Path::new(MEMORY).is_dir() {
            builder.tempdir_in(MEMORY)
        } else {
            builder.tempdir()
        };
        folder.map(|folder| Self { folder })
    }

    pub(super) fn node(&self, node: usize, seed: u64, limits: ChatLimits) -> NodeTables {
        NodeTables {
            starts: 0,
            seed: seed ^ (node as u64 + 1) << 32,
            limits,
            folder: self.folder.path().join((node + 1).to_string()),
            lost: 0,
            open: None,
        }
    }
}

impl NodeTables {
    /// Opens the tables, or creates empty ones.
    pub(super) async fn start(&mut self) -> Result<LogIndex, Violation> {
        let folder = self.folder.join(self.lost.to_string());
        std::fs::create_dir_all(&self.folder).map_err(|error| refused(&error))?;
        let (state, reader) = ChatState::open(&folder).map_err(|error| refused(&error))?;
        let options = SqliteConnectOptions::new()
            .filename(state.path())
            .read_only(true)
            .disable_statement_logging();
        let watcher = options.connect().await.map_err(|error| refused(&error))?;
        let applied = state.applied_index();
        self.starts += 1;
        let logic = NodeLogic::new(
            &reader,
            self.seed.wrapping_add(self.starts),
            self.limits,
            state.log_time(),
        );
        self.open = Some(OpenTables {
            state,
            reader,
            logic,
            watcher,
        });
        Ok(applied)
    }

    /// Drops what was not committed, or everything.
    pub(super) fn stop(&mut self, tables: Tables) {
        self.open = None;
        if tables == Tables::Lost {
            self.lost += 1;
        }
    }
}

impl OpenTables {
    /// A number that is the same for the same rows in all tables.
    pub(super) async fn digest(&mut self) -> Result<u64, Violation> {
        self.state.commit().await.map_err(|error| refused(&error))?;
        let mut digest = 0xcbf2_9ce4_8422_2325;
        for query in ALL_ROWS {
            for line in self.lines(query).await? {
                for byte in line.bytes().chain([b'\n']) {
                    digest = (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
                }
            }
        }
        Ok(digest)
    }

    /// The ids of the messages that are not deleted.
    pub(super) async fn live_messages(&mut self) -> Result<Vec<String>, Violation> {
        self.lines(LIVE_MESSAGES).await
    }

    /// The ids of the messages of which there are copies.
    pub(super) async fn live_copies(&mut self) -> Result<Vec<String>, Violation> {
        self.lines(LIVE_COPIES).await
    }

    async fn lines(&mut self, query: &'static str) -> Result<Vec<String>, Violation> {
        let rows = sqlx::query(query).fetch_all(&mut self.watcher).await;
        let rows = rows.map_err(|error| refused(&error))?;
        let lines = rows.iter().map(|row| row.try_get(0));
        lines
            .collect::<Result<_, _>>()
            .map_err(|error| refused(&error))
    }
}
