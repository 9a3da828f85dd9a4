//! Commands on real tables. Here is what the tests share.

mod applying;
mod checksums;
mod copying;
mod counting;
mod ending;
mod losing;
mod oracle;
mod properties;
mod proposing;
mod reading;
mod replacing;
mod upgrading;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chat_consensus::{ChainValue, LogIndex, Position, Term};
use chat_proto::storage::v1 as proto;
use chat_proto::storage::v1::command::Operation;
use chat_proto::storage::v1::outcome;
use expect_test::{Expect, expect};
use futures::executor::block_on;
use prost::Message as _;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, Row};
use tempfile::TempDir;

use super::current::Current;
use super::state_directories::StateDirectories;
use super::{
    Change, ChatReader, ChatState, CommittedEntry, Credential, Direction, DirectionFilter, Event,
    InboxQuery, Message, MessagePage, Session, StateError,
};

/// Copies of a data directory, one for each step that changed it.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps {
    copies: Option<Arc<Mutex<Vec<TempDir>>>>,
}

impl Steps {
    fn recorded() -> (Self, Arc<Mutex<Vec<TempDir>>>) {
        let copies = Arc::<Mutex<Vec<TempDir>>>::default();
        let steps = Self {
            copies: Some(Arc::clone(&copies)),
        };
        (steps, copies)
    }

    pub(super) fn take(&self, directory: &Path) {
        if let Some(copies) = &self.copies {
            let copy = tempfile::tempdir().unwrap();
            copy_all(directory, copy.path());
            copies.lock().unwrap().push(copy);
        }
    }
}

fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if from.is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy_all(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

/// Tables in their own directory, with a reader.
struct Chat {
    directory: TempDir,
    state: ChatState,
    reader: ChatReader,
}

impl Chat {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (state, reader) = ChatState::open(directory.path()).unwrap();
        Self {
            directory,
            state,
            reader,
        }
    }

    /// Accounts "ann" (by commit 1) and "bob" (by commit 2), in term 1.
    fn with_ann_and_bob() -> Self {
        let mut chat = Self::new();
        chat.run(
            &[create_user("ann", 1), create_user("bob", 2)],
            expect![[r#"
            1: created 1.1
            2: created 2.2
        "#]],
        );
        chat
    }

    /// As [`Self::with_ann_and_bob`], then what `setup` applies, then a commit, on another thread.
    async fn committed(setup: impl FnOnce(&mut Self) + Send + 'static) -> Self {
        on_own_thread(|| {
            let mut chat = Self::with_ann_and_bob();
            setup(&mut chat);
            block_on(chat.state.commit()).unwrap();
            chat
        })
        .await
    }

    async fn drop_on_own_thread(self) {
        on_own_thread(move || drop(self)).await;
    }

    fn run(&mut self, operations: &[proto::Command], expected: Expect) {
        let first = self.state.applied_index().0 + 1;
        let outcomes = self.apply(operations);
        let lines = outcomes.iter().zip(first..);
        let shown: String = lines
            .map(|(outcome, index)| format!("{index}: {}\n", show(outcome)))
            .collect();
        expected.assert_eq(&shown);
    }

    fn apply(&mut self, commands: &[proto::Command]) -> Vec<Bytes> {
        let first = self.state.applied_index().0 + 1;
        let entries: Vec<_> = commands
            .iter()
            .zip(first..)
            .map(|(command, index)| entry(index, command))
            .collect();
        block_on(self.state.apply(&entries)).unwrap().outcomes
    }

    /// As [`Self::apply`], within a task.
    async fn apply_later(&mut self, commands: &[proto::Command]) {
        let first = self.state.applied_index().0 + 1;
        let entries: Vec<_> = commands
            .iter()
            .zip(first..)
            .map(|(command, index)| entry(index, command))
            .collect();
        self.state.apply(&entries).await.unwrap();
    }

    fn reopen(&mut self) {
        // Both must be dropped to release the file.
        let placeholder = tempfile::tempdir().unwrap();
        let (state, reader) = ChatState::open(placeholder.path()).unwrap();
        std::mem::replace(&mut self.state, state).close().unwrap();
        self.reader = reader;
        (self.state, self.reader) = ChatState::open(self.directory.path()).unwrap();
    }
}

/// Far longer than any test takes by the log's time.
const LIFETIME: proto::SessionLifetime = proto::SessionLifetime {
    idle_seconds: 100_000,
    absolute_seconds: 1_000_000,
};

fn entry(index: u64, command: &proto::Command) -> CommittedEntry {
    let command = Some(command.encode_to_vec().into());
    CommittedEntry {
        index: LogIndex(index),
        term: Term(1),
        chain: chain(index),
        command,
    }
}

/// Takes the place of the chain value of the entry at `index`.
fn chain(index: u64) -> ChainValue {
    let mut value = [7; 16];
    value[8..].copy_from_slice(&index.to_be_bytes());
    ChainValue(value)
}

fn command(request: u8, operation: Operation) -> proto::Command {
    proto::Command {
        request_id: vec![request; 16].into(),
        time: 1000.0 + f64::from(request),
        operation: Some(operation),
    }
}

fn create_user(username: &str, request: u8) -> proto::Command {
    let user = proto::CreateUser {
        username: username.to_owned(),
        password_hash: format!("$hash of {username}"),
        token_hash: vec![request; 32].into(),
        lifetime: Some(LIFETIME),
    };
    command(request, Operation::CreateUser(user))
}

fn create_session(username: &str, commit: u64, token: u8) -> proto::Command {
    let session = proto::CreateSession {
        username: username.to_owned(),
        credential: credential(commit),
        token_hash: vec![token; 32].into(),
        lifetime: Some(LIFETIME),
        password_hash: String::new(),
    };
    command(token, Operation::CreateSession(session))
}

/// SEND from `sender`, whose account commit `token` created, with the token of that commit.
fn send(token: u8, sender: &str, id: &str, recipient: &str, body: &str) -> proto::Command {
    let message = message_of(token, sender, id, recipient, body);
    command(token, Operation::SendMessage(message))
}

fn message_of(
    token: u8,
    sender: &str,
    id: &str,
    recipient: &str,
    body: &str,
) -> proto::SendMessage {
    proto::SendMessage {
        token_hash: vec![token; 32].into(),
        credential: credential(token.into()),
        message_id: id.to_owned(),
        sender: sender.to_owned(),
        recipient: recipient.to_owned(),
        body: body.to_owned(),
    }
}

fn ann_sends(id: &str, recipient: &str, body: &str) -> proto::Command {
    send(1, "ann", id, recipient, body)
}

fn bob_reads(ids: &[&str]) -> proto::Command {
    let read = proto::ReadMessages {
        session: bobs(),
        message_ids: ids.iter().map(ToString::to_string).collect(),
    };
    command(50, Operation::ReadMessages(read))
}

fn bob_deletes(ids: &[&str]) -> proto::Command {
    let delete = proto::DeleteMessages {
        session: bobs(),
        message_ids: ids.iter().map(ToString::to_string).collect(),
    };
    command(51, Operation::DeleteMessages(delete))
}

fn bobs() -> Option<proto::Session> {
    Some(proto::Session {
        token_hash: vec![2; 32].into(),
        username: "bob".to_owned(),
        credential: credential(2),
    })
}

fn credential(commit: u64) -> Option<proto::Credential> {
    Some(proto::Credential {
        incarnation: commit,
        version: commit,
    })
}

/// The session that commit `commit` opened when it created the account.
fn first_session(username: &str, commit: u64) -> Session {
    Session {
        username: username.to_owned(),
        credential: Credential {
            incarnation: LogIndex(commit),
            version: LogIndex(commit),
        },
        renew_from: 1000 + commit.cast_signed() + 100_000 / 16,
        idle_seconds: 100_000,
    }
}

fn show(outcome: &[u8]) -> String {
    match proto::Outcome::decode(outcome).unwrap().result {
        None => "nothing".to_owned(),
        Some(outcome::Result::Created(created)) => {
            let credential = created.credential.unwrap();
            format!("created {}.{}", credential.incarnation, credential.version)
        }
        Some(outcome::Result::SessionCreated(session)) => {
            format!("session, {} unread", session.unread)
        }
        Some(outcome::Result::Sent(sent)) => {
            let proto::Sent {
                id,
                timestamp,
                commit_index,
                commit_term,
            } = sent;
            format!("sent {id} at {timestamp} as {commit_index}@{commit_term}")
        }
        Some(outcome::Result::Done(proto::Done {})) => "done".to_owned(),
        Some(outcome::Result::Error(error)) => format!("{:?}", error.code()),
    }
}

/// The file with the current tables of a data directory.
fn database(directory: &Path) -> PathBuf {
    let directories = StateDirectories::new(directory);
    match directories.current().unwrap() {
        Current::Named(name) => directories.database(&name),
        other => panic!("{other:?}"),
    }
}

/// All rows of all tables of the file.
fn all_rows(database: &Path) -> String {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(database);
        let mut connection = options.connect().await.unwrap();
        let mut text = String::new();
        for table in [
            "progress",
            "inboxes",
            "copies",
            "copy_counts",
            "users",
            "former_accounts",
            "erasures",
            "sessions",
            "messages",
        ] {
            let columns = format!(
                "SELECT group_concat('quote(' || name || ')', ' || '','' || ') FROM pragma_table_info('{table}')"
            );
            let columns = sqlx::query(sqlx::AssertSqlSafe(columns));
            let columns: String = columns.fetch_one(&mut connection).await.unwrap().get(0);
            let rows = format!("SELECT {columns} FROM {table} ORDER BY 1");
            let rows = sqlx::query(sqlx::AssertSqlSafe(rows));
            for row in rows.fetch_all(&mut connection).await.unwrap() {
                text += &format!("{table} {}\n", row.get::<String, _>(0));
            }
        }
        connection.close().await.unwrap();
        text
    })
}

fn tamper(directory: &Path, sql: &'static str) {
    tamper_file(&database(directory), sql);
}

fn tamper_file(database: &Path, sql: &'static str) {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(database);
        let mut connection = options.connect().await.unwrap();
        connection.execute(sql).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// How SQLite would run `sql`.
fn plan(directory: &Path, sql: &str) -> String {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(database(directory));
        let mut connection = options.connect().await.unwrap();
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = sqlx::raw_sql(explain)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        rows.iter()
            .map(|row| row.get::<String, _>(3) + "\n")
            .collect()
    })
}

/// Runs `work` where blocking is allowed: opening, closing and these tests block, a task must not.
async fn on_own_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}
