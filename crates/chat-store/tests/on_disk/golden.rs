//! The data directory of one node of the first release: the current program opens its log, applies
//! it with the same outcomes as then, and opens its tables.
//!
//! The programs of commit beb46d4 wrote `tests/golden/first_release`. Neither the directory nor the
//! two lists in it are ever written again: a change that requires new lists changes the meaning of
//! old entries. The log contains five starts of one node; 340 random entries, with times of several
//! days, so that sessions expire and the clean-up removes them; and the requests of clients to a
//! server: accounts created, deleted and created again, sessions, logouts, changed passwords,
//! messages sent, retried, read and deleted. `tokens.txt` contains tokens that are valid until
//! 2036; the passwords of alice, bob and carol are the digits a, e and d, 64 times.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use chat_store::{
    ChainValue, ChatState, CommitLog, CommittedEntry, Entry, LogIndex, Payload, Position,
    ReadLimits,
};
use expect_test::expect_file;
use futures::executor::block_on;
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row};
use tempfile::TempDir;

use crate::first_outcome;
use crate::tables::database;

/// The contents of the tables, one line a row, in a format that does not depend on the tables'
/// format.
const CONTENTS: [&str; 6] = [
    "SELECT 'progress ' || applied_index || '@' || applied_term || ' ' || quote(last_timestamp) \
     FROM progress",
    "SELECT 'account ' || username || ' ' || incarnation || '.' || credential_version || ' ' \
     || password || ' ' || hex(created_by_request) || ' ' || iif(password_request IS NULL, '-', hex(password_request)) \
     FROM users ORDER BY username",
    "SELECT 'session ' || hex(token_hash) || ' ' || username || ' ' || incarnation || '.' \
     || credential_version || ' ' || idle_seconds || ' ' || ends || ' ' || last_used || ' ' \
     || expires || ' ' || iif(ended_by IS NULL, '-', hex(ended_by)) FROM sessions ORDER BY token_hash",
    "SELECT 'message ' || commit_index || '@' || commit_term || ' ' || id || ' ' || sender || ' ' \
     || recipient || ' ' || quote(timestamp) || ' ' || read || ' ' || deleted || ' ' || deleted_at || ' [' \
     || body || ']' FROM messages ORDER BY commit_index",
    "SELECT 'former ' || deleted || ' ' || deleted_at || ' ' || username || ' ' \
     || hex(created_by_request) FROM former_accounts ORDER BY deleted",
    "SELECT 'erasure ' || deleted || ' ' || deleted_at || ' ' || username \
     FROM erasures ORDER BY deleted",
];

#[test]
fn log_of_the_first_release_replays_to_the_same_outcomes() {
    let directory = copy(&["log.db", "identity.toml"]);
    let entries = entries(directory.path());
    assert_eq!(entries.len(), 392);
    for batch in [1, 7, entries.len()] {
        let tables = tempfile::tempdir().unwrap();
        let (mut state, _) = ChatState::open(tables.path()).unwrap();
        let mut outcomes = String::new();
        for entries in entries.chunks(batch) {
            let applied = block_on(state.apply(entries)).unwrap();
            for (entry, outcome) in entries.iter().zip(&applied.outcomes) {
                outcomes += &line(entry, outcome);
            }
        }
        state.close().unwrap();
        expect_file![golden("outcomes.txt")].assert_eq(&outcomes);
        expect_file![golden("tables.txt")].assert_eq(&contents(tables.path()));
    }
}

/// They are rebuilt from the log. Until the new ones have applied as many entries, the old ones are
/// kept, and `set_aside` returns what the log must contain.
#[test]
fn tables_of_the_first_release_are_rebuilt() {
    let directory = copy(&["log.db", "state.db", "identity.toml"]);
    let entries = entries(directory.path());
    let aside = directory.path().join("state.db.older");
    let end = Position::new(392, 5);
    let mut rest = entries.as_slice();
    for count in [0, 100, 292] {
        let (mut state, _) = ChatState::open(directory.path()).unwrap();
        assert_eq!(state.set_aside(), end);
        assert_eq!(state.applied_index().0 + rest.len() as u64, 392);
        let (batch, after) = rest.split_at(count);
        block_on(state.apply(batch)).unwrap();
        rest = after;
        state.close().unwrap();
        assert!(aside.exists());
    }
    let (state, _) = ChatState::open(directory.path()).unwrap();
    assert_eq!((state.set_aside(), state.applied()), (Position::ZERO, end));
    assert!(!aside.exists());
    state.close().unwrap();
    expect_file![golden("tables.txt")].assert_eq(&contents(directory.path()));
}

/// Its last entries are in the write-ahead log only. The program of commit 89beb67 wrote it, from the
/// same log.
#[test]
fn tables_of_format_3_are_upgraded_and_moved() {
    let log = copy(&["log.db", "identity.toml"]);
    let entries = entries(log.path());
    let directory = tempfile::tempdir().unwrap();
    for name in ["state.db", "state.db-wal"] {
        let from = golden("../format_3").join(name);
        std::fs::copy(from, directory.path().join(name)).unwrap();
    }
    let (mut state, _) = ChatState::open(directory.path()).unwrap();
    assert_eq!(state.applied(), Position::new(392, 5));
    assert_eq!((state.applied_chain(), state.lost()), (None, None));
    expect_file![golden("tables.txt")].assert_eq(&contents(directory.path()));
    // From the next entry on the chain value is known.
    let next = CommittedEntry {
        index: LogIndex(393),
        command: None,
        ..entries[391].clone()
    };
    block_on(state.apply(std::slice::from_ref(&next))).unwrap();
    state.close().unwrap();
    let (state, _) = ChatState::open(directory.path()).unwrap();
    assert_eq!(state.applied_chain(), Some(next.chain));
    assert!(!directory.path().join("state.db").exists());
}

fn golden(name: &str) -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.join("tests/golden/first_release").join(name)
}

fn copy(names: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in names {
        std::fs::copy(golden(name), directory.path().join(name)).unwrap();
    }
    directory
}

fn entries(directory: &Path) -> Vec<CommittedEntry> {
    let (mut log, stored) = CommitLog::open(directory).unwrap();
    let last = stored.last.index;
    let entries = block_on(log.read(LogIndex::ZERO, last, ReadLimits::NONE)).unwrap();
    log.close().unwrap();
    let terms: Vec<u64> = stored.terms.iter().map(|span| span.term.0).collect();
    assert_eq!(terms, [1, 2, 3, 4, 5]);
    // R12: the first entry was the membership; the first opening has made a base of it.
    let base = stored.base.expect("a log with entries has a base");
    assert_eq!(base.position, Position::ZERO);
    let (log, again) = CommitLog::open(directory).unwrap();
    assert_eq!(again.base.as_ref(), Some(&base));
    log.close().unwrap();
    let mut chain = base.chain;
    let applied = |entry| {
        chain = chain.next(&entry);
        applied(entry, chain)
    };
    entries.into_iter().map(applied).collect()
}

fn applied(entry: Entry, chain: ChainValue) -> CommittedEntry {
    CommittedEntry {
        index: entry.position.index,
        term: entry.position.term,
        chain,
        command: match entry.payload {
            Payload::Command(command) => Some(command),
            _ => None,
        },
    }
}

/// The beginning of the outcome's SHA-256 is short, and enough to detect a difference.
fn line(entry: &CommittedEntry, outcome: &Bytes) -> String {
    let mut line = format!("{}@{} ", entry.index, entry.term);
    for byte in &Sha256::digest(first_outcome::encode(outcome))[..8] {
        write!(line, "{byte:02x}").unwrap();
    }
    line + "\n"
}

fn contents(directory: &Path) -> String {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(database(directory));
        let mut connection = options.connect().await.unwrap();
        let mut text = String::new();
        for query in CONTENTS {
            let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
            for row in rows {
                text += &row.get::<String, _>(0);
                text.push('\n');
            }
        }
        connection.close().await.unwrap();
        text
    })
}
