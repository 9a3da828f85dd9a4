//! The log on real files. Here is what its tests share.

mod damage;
mod opening;
mod reading;
mod writing;

use std::path::Path;

use bytes::Bytes;
use chat_consensus::{
    ClusterId, Entry, HardState, LogBase, LogIndex, Membership, NodeId, Payload, Position,
    StorageId, Stored, TERM_MAX, Term, Voter, Writes,
};
use expect_test::{Expect, expect};
use futures::executor::block_on;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};

use super::{CommitLog, LogError, ReadLimits};
use crate::database::OpenError;

fn entry(index: u64, term: u64, command: &'static str) -> Entry {
    Entry {
        position: Position::new(index, term),
        payload: Payload::Command(Bytes::from_static(command.as_bytes())),
    }
}

fn membership(cluster: u128) -> Membership {
    let voter = |node| Voter {
        node: NodeId(node),
        storage: StorageId(node.into()),
    };
    Membership::of_voters(ClusterId(cluster), (1..=3).map(voter).collect())
}

/// What a bootstrap writes.
fn bootstrap() -> Writes {
    let base = LogBase::first(membership(77));
    Writes {
        hard_state: Some(HardState {
            cluster: Some(base.membership.cluster),
            ..HardState::default()
        }),
        base: Some(Box::new(base)),
        ..Writes::default()
    }
}

fn no_op(index: u64, term: u64) -> Entry {
    Entry {
        position: Position::new(index, term),
        payload: Payload::Empty,
    }
}

fn append(log: &mut CommitLog, entries: &[Entry]) {
    write(
        log,
        &Writes {
            entries: entries.to_vec(),
            ..Writes::default()
        },
    );
}

fn write(log: &mut CommitLog, writes: &Writes) {
    block_on(log.write_and_sync(writes)).unwrap();
}

fn read_all(log: &mut CommitLog) -> Vec<Entry> {
    block_on(log.read(LogIndex::ZERO, LogIndex(u64::MAX), ReadLimits::NONE)).unwrap()
}

/// A closed log with a base: two empty entries, three commands, and a command of another
/// term. Returns what opening it reports.
fn sample(directory: &Path) -> Stored {
    let (mut log, _) = CommitLog::open(directory).unwrap();
    write(&mut log, &bootstrap());
    append(&mut log, &[no_op(1, 1), no_op(2, 1)]);
    append(&mut log, &[entry(3, 1, "three"), entry(4, 1, "four")]);
    append(&mut log, &[entry(5, 1, "five"), entry(6, 4, "six")]);
    log.close().unwrap();
    CommitLog::open(directory).unwrap().1
}

/// Runs `sql` on the closed log, to change it as a flipped bit or another program could.
fn tamper(directory: &Path, sql: &'static str) {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(directory.join("log.db"));
        let mut connection = options.connect().await.unwrap();
        connection.execute(sql).await.unwrap();
        connection.close().await.unwrap();
    });
}
