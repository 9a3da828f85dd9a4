//! The log on real files: what is written comes back, and what was changed behind its back is found.

use std::path::Path;

use bytes::Bytes;
use chat_consensus::{
    ClusterId, Entry, HardState, LogIndex, Membership, NodeId, Payload, Position, StorageId,
    Stored, TERM_MAX, Term, Voter, Writes,
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
    Membership {
        cluster: ClusterId(cluster),
        voters: (1..=3).map(voter).collect(),
    }
}

fn birth() -> Entry {
    Entry {
        position: Position::new(1, 1),
        payload: Payload::Membership(membership(77)),
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

/// A log of a membership, an empty entry, three commands and another term's command, closed.
fn sample(directory: &Path) -> Stored {
    let (mut log, _) = CommitLog::open(directory).unwrap();
    let empty = Entry {
        position: Position::new(2, 1),
        payload: Payload::Empty,
    };
    append(&mut log, &[birth(), empty]);
    append(&mut log, &[entry(3, 1, "three"), entry(4, 1, "four")]);
    append(&mut log, &[entry(5, 1, "five"), entry(6, 4, "six")]);
    log.close().unwrap();
    CommitLog::open(directory).unwrap().1
}

/// Runs `sql` on the closed log, as a flipped bit or a meddling hand would.
fn tamper(directory: &Path, sql: &'static str) {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(directory.join("log.db"));
        let mut connection = options.connect().await.unwrap();
        connection.execute(sql).await.unwrap();
        connection.close().await.unwrap();
    });
}

#[test]
fn new_log_is_empty_and_keeps_its_storage_id() {
    let directory = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let (log, stored) = CommitLog::open(directory.path()).unwrap();
    assert_eq!(stored, Stored::empty(stored.storage));
    assert_eq!(log.cluster(), None);
    drop(log);
    assert_eq!(CommitLog::open(directory.path()).unwrap().1, stored);
    assert_ne!(
        CommitLog::open(other.path()).unwrap().1.storage,
        stored.storage
    );
}

#[test]
fn reopened_log_contains_everything_written() {
    let directory = tempfile::tempdir().unwrap();
    let stored = sample(directory.path());
    assert_eq!(stored.membership, Some(membership(77)));
    assert_eq!(stored.last, Position::new(6, 4));
    let terms: Vec<_> = stored
        .terms
        .iter()
        .map(|span| (span.term.0, span.first.0))
        .collect();
    assert_eq!(terms, [(1, 1), (4, 6)]);

    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    assert_eq!(log.cluster(), Some(ClusterId(77)));
    let entries = read_all(&mut log);
    assert_eq!(entries.len(), 6);
    assert_eq!(entries[0], birth());
    assert_eq!(entries[1].payload, Payload::Empty);
    assert_eq!(entries[5], entry(6, 4, "six"));
}

#[test]
fn term_vote_and_boot_count_are_stored_together_with_entries() {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    let vote = Voter {
        node: NodeId(u64::MAX),
        storage: StorageId(u128::MAX - 1),
    };
    let hard_state = HardState {
        term: TERM_MAX,
        vote: Some(vote),
        repair_through: LogIndex(7),
    };
    write(
        &mut log,
        &Writes {
            boot_count: Some(5),
            ..Writes::default()
        },
    );
    write(
        &mut log,
        &Writes {
            hard_state: Some(hard_state),
            entries: vec![birth()],
            ..Writes::default()
        },
    );
    drop(log);
    let (_, stored) = CommitLog::open(directory.path()).unwrap();
    assert_eq!((stored.boot_count, stored.hard_state), (5, hard_state));
    assert_eq!(stored.last, Position::new(1, 1));
}

#[test]
fn batch_larger_than_a_statement_is_stored_whole() {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    for count in [1, 2, 3, 511, 512, 513, 1100] {
        let first = log.last().index.0 + 1;
        let entries: Vec<_> = (first..first + count)
            .map(|index| entry(index, 2, "x"))
            .collect();
        append(&mut log, &entries);
        let last = LogIndex(u64::MAX);
        assert_eq!(
            block_on(log.read(LogIndex(first - 1), last, ReadLimits::NONE)).unwrap(),
            entries
        );
    }
    let last = log.last();
    drop(log);
    assert_eq!(CommitLog::open(directory.path()).unwrap().1.last, last);
}

#[test]
fn truncated_log_continues_after_its_new_end() {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path());
    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    let before = block_on(log.chain_at(LogIndex(4))).unwrap();
    write(
        &mut log,
        &Writes {
            truncate_after: Some(LogIndex(4)),
            entries: vec![entry(5, 6, "another five")],
            ..Writes::default()
        },
    );
    assert_eq!(block_on(log.chain_at(LogIndex(4))).unwrap(), before);
    assert_eq!(log.last(), Position::new(5, 6));
    write(
        &mut log,
        &Writes {
            truncate_after: Some(LogIndex(5)),
            ..Writes::default()
        },
    );
    drop(log);
    let (mut log, stored) = CommitLog::open(directory.path()).unwrap();
    assert_eq!(stored.last, Position::new(5, 6));
    assert_eq!(read_all(&mut log)[4], entry(5, 6, "another five"));
}

#[test]
fn equal_logs_have_equal_chain_values_and_different_logs_do_not() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [mut left, mut right] = directories.each_ref().map(|directory| {
        sample(directory.path());
        CommitLog::open(directory.path()).unwrap().0
    });
    for index in 0..=7 {
        let index = LogIndex(index);
        assert_eq!(
            block_on(left.chain_at(index)).unwrap(),
            block_on(right.chain_at(index)).unwrap()
        );
    }
    assert_eq!(block_on(left.chain_at(LogIndex(7))).unwrap(), None);
    append(&mut left, &[entry(7, 4, "seven")]);
    append(&mut right, &[entry(7, 5, "seven")]);
    assert_ne!(
        block_on(left.chain_at(LogIndex(7))).unwrap(),
        block_on(right.chain_at(LogIndex(7))).unwrap()
    );
}

#[test]
fn read_returns_what_fits_and_at_least_one_entry() {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path());
    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    let mut check_limits = |after, last, limits, expected: &[u64]| {
        let entries = block_on(log.read(LogIndex(after), LogIndex(last), limits)).unwrap();
        let indexes: Vec<u64> = entries.iter().map(|entry| entry.position.index.0).collect();
        assert_eq!(indexes, expected, "after {after} to {last}, {limits:?}");
    };
    for (entries_max, expected) in [(0, &[3][..]), (1, &[3]), (2, &[3, 4]), (9, &[3, 4, 5, 6])] {
        let limits = ReadLimits {
            entries_max,
            ..ReadLimits::NONE
        };
        check_limits(2, 6, limits, expected);
    }
    let mut check = |after, last, bytes_max, expected: &[u64]| {
        let limits = ReadLimits {
            bytes_max,
            ..ReadLimits::NONE
        };
        check_limits(after, last, limits, expected);
    };
    check(2, 6, 0, &[3]);
    check(2, 6, 8, &[3]);
    check(2, 6, 9, &[3, 4]);
    check(2, 6, 1000, &[3, 4, 5, 6]);
    check(2, 4, 1000, &[3, 4]);
    check(0, 2, 0, &[1]);
    check(0, 2, 88, &[1, 2]);
    check(5, 1000, 1000, &[6]);
    check(6, 6, 1000, &[]);
    check(7, 9, 1000, &[]);
    check(4, 2, 1000, &[]);
}

#[test]
fn changed_row_is_detected_and_named() {
    check_damage(
        "UPDATE commits SET payload = CAST('fouR' AS BLOB) WHERE \"index\" = 4",
        expect!["entry 4 has a wrong chain value"],
    );
    check_damage(
        "UPDATE commits SET term = 2 WHERE \"index\" = 5",
        expect!["entry 5 has a wrong chain value"],
    );
    check_damage(
        "UPDATE commits SET kind = 258 WHERE \"index\" = 3",
        expect!["entry 3 has a wrong chain value"],
    );
    check_damage(
        "UPDATE commits SET chain = x'00' WHERE \"index\" = 6",
        expect!["entry 6 has a wrong chain value"],
    );
    check_damage(
        "DELETE FROM commits WHERE \"index\" = 3",
        expect!["entry 3 is missing"],
    );
    check_damage(
        "DELETE FROM commits WHERE \"index\" = 1",
        expect!["entry 1 is missing"],
    );
    check_damage(
        "UPDATE node SET term = 1",
        expect!["the stored term and vote are damaged"],
    );
    check_damage(
        "UPDATE node SET vote_node = 1",
        expect!["the stored term and vote are damaged"],
    );
    check_damage(
        "UPDATE node SET storage = randomblob(16)",
        expect!["the stored term and vote are damaged"],
    );
    check_damage(
        "DELETE FROM node",
        expect!["the stored term and vote are damaged"],
    );
}

fn check_damage(sql: &'static str, expected: Expect) {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path());
    tamper(directory.path(), sql);
    let error = CommitLog::open(directory.path()).unwrap_err();
    assert!(error.is_damage(), "{sql}: {error:?}");
    expected.assert_eq(&error.to_string());
}

#[test]
fn file_that_is_not_a_database_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path());
    std::fs::write(directory.path().join("log.db"), [7; 8192]).unwrap();
    let error = CommitLog::open(directory.path()).unwrap_err();
    assert!(error.is_damage(), "{error:?}");
}

#[test]
fn newer_format_is_refused_and_is_not_damage() {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path());
    tamper(directory.path(), "PRAGMA user_version = 9");
    let error = CommitLog::open(directory.path()).unwrap_err();
    assert!(matches!(
        error,
        LogError::Open(OpenError::UnknownFormat { found: 9, .. })
    ));
    assert!(!error.is_damage());
}

#[test]
fn directory_in_use_is_refused_until_it_is_free() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = CommitLog::open(directory.path()).unwrap();
    let error = CommitLog::open(directory.path()).unwrap_err();
    assert!(
        matches!(error, LogError::Open(OpenError::InUse { .. })),
        "{error:?}"
    );
    drop(log);
    CommitLog::open(directory.path()).unwrap();
}

#[test]
fn files_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("one/two");
    let (mut log, _) = CommitLog::open(&directory).unwrap();
    append(&mut log, &[birth()]);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(directory.parent().unwrap()), 0o700);
    let mut names = Vec::new();
    for file in directory.read_dir().unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    names.sort();
    assert_eq!(names, ["log.db", "log.db-wal", "log.lock"]);
    assert!(log.size_on_disk().unwrap() > 8192);
}

#[test]
fn failed_write_prevents_all_later_writes() {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path());
    // A trigger stands for a disk that fails in the middle of a batch.
    tamper(
        directory.path(),
        "CREATE TRIGGER full BEFORE INSERT ON commits WHEN new.\"index\" = 8 \
         BEGIN SELECT RAISE(ABORT, 'no space'); END",
    );
    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    let failing = Writes {
        hard_state: Some(HardState {
            term: Term(9),
            vote: None,
            ..HardState::default()
        }),
        entries: vec![entry(7, 9, "seven"), entry(8, 9, "eight")],
        ..Writes::default()
    };
    assert!(matches!(
        block_on(log.write_and_sync(&failing)),
        Err(LogError::Sqlite(_))
    ));
    let harmless = Writes {
        boot_count: Some(1),
        ..Writes::default()
    };
    assert!(matches!(
        block_on(log.write_and_sync(&harmless)),
        Err(LogError::Poisoned)
    ));
    drop(log);
    let (_, stored) = CommitLog::open(directory.path()).unwrap();
    assert_eq!(
        stored.last,
        Position::new(6, 4),
        "half of a batch is no batch"
    );
    assert_eq!(stored.hard_state, HardState::default());
}

#[test]
fn log_with_a_recorded_fault_does_not_open() {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path());
    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    block_on(log.record_fault("its leader asked for too much")).unwrap();
    let more = Writes {
        boot_count: Some(9),
        ..Writes::default()
    };
    let refused = block_on(log.write_and_sync(&more));
    assert!(matches!(refused, Err(LogError::Poisoned)));
    drop(log);
    for _ in 0..2 {
        let error = CommitLog::open(directory.path()).map(drop).unwrap_err();
        assert!(matches!(&error, LogError::Fault { fault } if fault.contains("too much")));
        assert!(!error.is_damage());
    }
}

#[test]
fn log_belongs_to_the_node_that_claimed_it_first() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (mut log, _) = CommitLog::open(directory.path()).unwrap();
        block_on(log.claim(NodeId(u64::MAX))).unwrap();
        let refused = block_on(log.claim(NodeId(2))).unwrap_err();
        expect!["this log is that of node 18446744073709551615, and this is node 2"]
            .assert_eq(&refused.to_string());
        log.close().unwrap();
    }
}

#[test]
fn log_of_an_older_format_is_upgraded_without_loss() {
    let older = [
        "ALTER TABLE node DROP COLUMN node_id; ALTER TABLE node DROP COLUMN repair_through; \
         ALTER TABLE node DROP COLUMN fault; PRAGMA user_version = 1",
        "ALTER TABLE node DROP COLUMN node_id; PRAGMA user_version = 2",
    ];
    for older in older {
        check_upgrade(older);
    }
}

fn check_upgrade(older: &'static str) {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    let hard_state = HardState {
        term: Term(3),
        vote: None,
        repair_through: LogIndex::ZERO,
    };
    let writes = Writes {
        boot_count: Some(4),
        hard_state: Some(hard_state),
        entries: vec![birth()],
        ..Writes::default()
    };
    write(&mut log, &writes);
    log.close().unwrap();
    tamper(directory.path(), older);
    for _ in 0..2 {
        let (mut log, stored) = CommitLog::open(directory.path()).unwrap();
        block_on(log.claim(NodeId(1))).unwrap();
        assert_eq!((stored.boot_count, stored.hard_state), (4, hard_state));
        assert_eq!(stored.last, Position::new(1, 1));
        log.close().unwrap();
    }
}

#[test]
#[should_panic(expected = "no gap in the log")]
fn gap_in_the_log_panics() {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    append(&mut log, &[birth(), entry(3, 1, "three")]);
}

#[test]
#[should_panic(expected = "one bootstrap only")]
fn second_bootstrap_of_a_disk_panics() {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    append(&mut log, &[birth()]);
    let payload = Payload::Membership(membership(78));
    write(
        &mut log,
        &Writes {
            truncate_after: Some(LogIndex::ZERO),
            entries: vec![Entry {
                position: Position::new(1, 2),
                payload,
            }],
            ..Writes::default()
        },
    );
}
