//! Batches of writes: all or nothing, in order, and none after a failure.

use super::*;

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
        cluster: Some(ClusterId(77)),
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
            entries: vec![no_op(1, 1)],
            ..bootstrap()
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
    write(&mut log, &bootstrap());
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
fn failed_write_prevents_all_later_writes() {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path());
    // The trigger simulates a disk that fails in the middle of a batch.
    tamper(
        directory.path(),
        "CREATE TRIGGER full BEFORE INSERT ON commits WHEN new.\"index\" = 8 \
         BEGIN SELECT RAISE(ABORT, 'no space'); END",
    );
    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    let failing = Writes {
        hard_state: Some(HardState {
            term: Term(9),
            ..bootstrap().hard_state.unwrap()
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
        "a batch is written as a whole or not at all"
    );
    assert_eq!(Some(stored.hard_state), bootstrap().hard_state);
}

#[test]
#[should_panic(expected = "no gap in the log")]
fn gap_in_the_log_panics() {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    append(&mut log, &[no_op(1, 1), entry(3, 1, "three")]);
}

#[test]
#[should_panic(expected = "one base")]
fn second_base_of_a_disk_panics() {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    write(&mut log, &bootstrap());
    write(&mut log, &bootstrap());
}

#[test]
#[should_panic(expected = "one cluster")]
fn second_cluster_of_a_disk_panics() {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    write(&mut log, &bootstrap());
    let mut other = bootstrap();
    other.base = None;
    other.hard_state.as_mut().unwrap().cluster = Some(ClusterId(78));
    write(&mut log, &other);
}
