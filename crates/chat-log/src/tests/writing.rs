//! Appending, truncating, rolling, compacting and installing, and reading what results.

use chat_consensus::{HardState, LogBase, LogIndex, Payload, Position, TermRun, Writes};

use crate::tests::fixture::{Disk, append, base, entries, entry, read_all, truncate, vote};
use crate::{LogError, ReadLimits};

const ALL: LogIndex = LogIndex(u64::MAX);

#[test]
fn appended_entries_are_read_also_after_a_restart() {
    let mut disk = Disk::new(1 << 20);
    let mut log = disk.open_with_base();
    log.append_and_sync(&append(entries(1, 5, 1))).unwrap();
    let mut more = append(entries(6, 7, 3));
    more.entries[1].payload = Payload::Empty;
    log.append_and_sync(&more).unwrap();
    let expected = [entries(1, 5, 1), more.entries].concat();
    assert_eq!(read_all(&log), expected);
    let chain = log.last_chain();
    drop(log);

    let (log, opened) = disk.open();
    assert_eq!(read_all(&log), expected);
    assert_eq!(opened.findings, []);
    assert_eq!(opened.chain, chain);
    assert_eq!(opened.stored.base, Some(base()));
    assert_eq!(opened.stored.last, Position::new(7, 3));
    let run = |term, first| TermRun {
        term: chat_consensus::Term(term),
        first: LogIndex(first),
    };
    assert_eq!(opened.stored.terms, [run(1, 1), run(3, 6)]);
}

/// R1: term, vote, cluster and boot count are durable.
#[test]
fn restarted_log_has_its_boot_count_and_vote() {
    let mut disk = Disk::new(1 << 20);
    let (mut log, opened) = disk.open();
    let storage = opened.stored.storage;
    let writes = Writes {
        boot_count: Some(3),
        ..vote(9)
    };
    log.append_and_sync(&writes).unwrap();
    log.set_state_directory("7-ab").unwrap();
    log.close().unwrap();
    let (_, opened) = disk.open();
    assert_eq!(opened.stored.storage, storage);
    assert_eq!(opened.stored.boot_count, 3);
    assert_eq!(Some(opened.stored.hard_state), writes.hard_state);
    assert_eq!(opened.state_directory.as_deref(), Some("7-ab"));
    assert_eq!(opened.amnesia, None);
}

#[test]
fn full_segment_is_followed_by_another() {
    let mut disk = Disk::new(4096);
    let mut log = disk.open_with_base();
    for index in 1..=20 {
        log.append_and_sync(&append(entries(index, index, 1)))
            .unwrap();
    }
    assert!(disk.segments().len() >= 3);
    assert_eq!(read_all(&log), entries(1, 20, 1));
    let mut reader = log.reader();
    for name in reader.sealed_segments() {
        reader.verify_segment(&name).unwrap();
    }
    drop(log);
    let (log, _) = disk.open();
    assert_eq!(read_all(&log), entries(1, 20, 1));
}

#[test]
fn batch_that_is_larger_than_a_segment_is_alone_in_one() {
    let mut disk = Disk::new(4096);
    let mut log = disk.open_with_base();
    log.append_and_sync(&append(entries(1, 2, 1))).unwrap();
    log.append_and_sync(&append(entries(3, 900, 1))).unwrap();
    log.append_and_sync(&append(entries(901, 901, 1))).unwrap();
    assert_eq!(disk.segments().len(), 3);
    assert_eq!(read_all(&log), entries(1, 901, 1));
    drop(log);
    assert_eq!(read_all(&disk.open().0), entries(1, 901, 1));
}

/// R11.
#[test]
fn truncated_entries_are_never_read_again() {
    let mut disk = Disk::new(4096);
    let mut log = disk.open_with_base();
    for index in 1..=20 {
        log.append_and_sync(&append(entries(index, index, 1)))
            .unwrap();
    }
    let mut reader = log.reader();
    assert_eq!(
        reader
            .read(LogIndex(0), ALL, ReadLimits::NONE)
            .unwrap()
            .len(),
        20
    );
    log.append_and_sync(&truncate(3, entries(4, 5, 2))).unwrap();
    log.append_and_sync(&truncate(4, vec![])).unwrap();
    log.append_and_sync(&append(entries(5, 9, 4))).unwrap();
    let expected = [entries(1, 3, 1), entries(4, 4, 2), entries(5, 9, 4)].concat();
    assert_eq!(
        reader.read(LogIndex(0), ALL, ReadLimits::NONE).unwrap(),
        expected
    );
    drop(log);
    let (log, opened) = disk.open();
    assert_eq!(read_all(&log), expected);
    assert_eq!(opened.stored.last, Position::new(9, 4));
    let terms: Vec<_> = opened.stored.terms.iter().map(|run| run.first.0).collect();
    assert_eq!(terms, [1, 4, 5]);
}

#[test]
fn read_stops_at_its_limits_after_at_least_one_entry() {
    let mut disk = Disk::new(1 << 20);
    let mut log = disk.open_with_base();
    log.append_and_sync(&append(entries(1, 9, 1))).unwrap();
    let mut reader = log.reader();
    let mut read = |after, last, entries_max, bytes_max| {
        let limits = ReadLimits {
            entries_max,
            bytes_max,
        };
        let read = reader
            .read(LogIndex(after), LogIndex(last), limits)
            .unwrap();
        read.iter()
            .map(|entry| entry.position.index.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(read(0, 20, 2, 1000), [1, 2]);
    assert_eq!(read(3, 5, 9, 1000), [4, 5]);
    assert_eq!(read(3, 9, 9, 0), [4]);
    assert_eq!(read(3, 9, 0, 1000), [4]);
    assert_eq!(read(3, 9, 9, entry(4, 1).size() * 2), [4, 5]);
    assert_eq!(read(9, 20, 9, 1000), [0; 0]);
    assert_eq!(read(u64::MAX, u64::MAX, 9, 1000), [0; 0]);
}

#[test]
fn compacted_log_begins_at_a_segment() {
    let mut disk = Disk::new(4096);
    let mut log = disk.open_with_base();
    for index in 1..=30 {
        log.append_and_sync(&append(entries(index, index, 1)))
            .unwrap();
    }
    let bytes = log.bytes_after(LogIndex(0));
    let begins = log.compact(LogIndex(17)).unwrap();
    assert!(begins.position.index <= LogIndex(17) && begins.position.index > LogIndex(8));
    assert_eq!(log.base(), Some(begins.clone()));
    assert_eq!(log.chain_at(begins.position).unwrap(), Some(begins.chain));
    assert!(log.bytes_after(LogIndex(0)) < bytes);
    let from = begins.position.index.0 + 1;
    assert_eq!(read_all(&log), entries(from, 30, 1));
    let below = log.reader().read(LogIndex(1), ALL, ReadLimits::NONE);
    assert!(
        matches!(below, Err(LogError::BelowBase { .. })),
        "{below:?}"
    );
    drop(log);
    let (mut log, opened) = disk.open();
    assert_eq!(opened.stored.base, Some(begins));
    assert_eq!(read_all(&log), entries(from, 30, 1));
    log.roll().unwrap();
    log.roll().unwrap();
    assert_eq!(log.compact(ALL).unwrap().position, Position::new(30, 1));
    assert_eq!(disk.segments().len(), 1);
    log.append_and_sync(&append(entries(31, 31, 2))).unwrap();
    drop(log);
    let (log, opened) = disk.open();
    assert_eq!(read_all(&log), entries(31, 31, 2));
    assert_eq!(opened.findings, []);
}

#[test]
fn segment_that_was_truncated_away_never_begins_the_log() {
    let mut disk = Disk::new(1 << 20);
    let mut log = disk.open_with_base();
    log.append_and_sync(&append(entries(1, 9, 1))).unwrap();
    log.roll().unwrap();
    log.append_and_sync(&truncate(5, entries(6, 8, 2))).unwrap();
    assert_eq!(log.compact(LogIndex(8)).unwrap().position, Position::ZERO);
    log.append_and_sync(&append(entries(9, 12, 2))).unwrap();
    assert_eq!(log.compact(LogIndex(12)).unwrap().position, Position::ZERO);
    log.roll().unwrap();
    assert_eq!(log.compact(LogIndex(11)).unwrap().position, Position::ZERO);
    assert_eq!(
        log.compact(LogIndex(12)).unwrap().position,
        Position::new(12, 2)
    );
    assert_eq!(disk.segments().len(), 1);
}

#[test]
fn installed_base_replaces_the_log() {
    let mut disk = Disk::new(4096);
    let mut log = disk.open_with_base();
    for index in 1..=20 {
        log.append_and_sync(&append(entries(index, index, 1)))
            .unwrap();
    }
    let installed = LogBase {
        position: Position::new(100, 4),
        chain: chat_consensus::ChainValue([9; 16]),
        membership: base().membership,
    };
    let mut reader = log.reader();
    log.install(&installed).unwrap();
    assert_eq!(disk.segments().len(), 1);
    assert_eq!(log.last(), installed.position);
    assert_eq!(log.last_chain(), installed.chain);
    let below = reader.read(LogIndex(1), ALL, ReadLimits::NONE);
    assert!(
        matches!(below, Err(LogError::BelowBase { .. })),
        "{below:?}"
    );
    drop(log);
    let (mut log, opened) = disk.open();
    assert_eq!(opened.stored.base, Some(installed));
    assert_eq!(opened.stored.terms, []);
    log.append_and_sync(&append(entries(101, 102, 4))).unwrap();
    assert_eq!(read_all(&log), entries(101, 102, 4));
}

/// R12: a disk with a cluster and without a base could never bootstrap, so a crash leaves a base alone.
#[test]
fn first_base_is_written_before_the_cluster() {
    let mut disk = Disk::new(4096);
    let (mut log, _) = disk.open();
    // Its segment cannot be made.
    let blocked = disk.path(&format!("{:020}.segment.new", 1));
    std::fs::create_dir(&blocked).unwrap();
    let first = Writes {
        base: Some(Box::new(base())),
        ..vote(1)
    };
    log.append_and_sync(&first).unwrap_err();
    drop(log);
    std::fs::remove_dir(&blocked).unwrap();
    let (mut log, opened) = disk.open();
    assert_eq!(opened.stored.hard_state, HardState::default());
    log.append_and_sync(&first).unwrap();
    drop(log);
    let (_, opened) = disk.open();
    assert_eq!(opened.stored.base, Some(base()));
    assert_eq!(Some(opened.stored.hard_state), first.hard_state);
}

/// Its segment must not get the name of the one that is empty and is then removed.
#[test]
fn base_that_is_installed_after_an_empty_segment_stays() {
    let mut disk = Disk::new(4096);
    let mut log = disk.open_with_base();
    log.append_and_sync(&append(entries(1, 2, 1))).unwrap();
    log.roll().unwrap();
    let installed = LogBase {
        position: Position::new(9, 1),
        ..base()
    };
    log.install(&installed).unwrap();
    drop(log);
    assert_eq!(disk.open().1.stored.base, Some(installed));
}

#[test]
fn chain_value_of_every_entry_is_found_by_its_position() {
    let mut disk = Disk::new(1 << 20);
    let mut log = disk.open_with_base();
    log.append_and_sync(&append(entries(1, 4, 2))).unwrap();
    let mut chain = base().chain;
    assert_eq!(log.chain_at(Position::ZERO).unwrap(), Some(chain));
    for entry in entries(1, 4, 2) {
        chain = chain.next(&entry);
        assert_eq!(log.chain_at(entry.position).unwrap(), Some(chain));
    }
    assert_eq!(log.chain_at(Position::new(3, 1)).unwrap(), None);
    assert_eq!(log.chain_at(Position::new(5, 2)).unwrap(), None);
}

#[test]
fn write_after_a_failed_write_is_refused() {
    let mut disk = Disk::new(4096);
    let mut log = disk.open_with_base();
    log.append_and_sync(&append(entries(1, 20, 1))).unwrap();
    // The next segment cannot be made.
    std::fs::create_dir(disk.path(&format!("{:020}.segment.new", 3))).unwrap();
    let failed = log.append_and_sync(&append(entries(21, 900, 1)));
    assert!(matches!(failed, Err(LogError::Io { .. })), "{failed:?}");
    let refused = log.append_and_sync(&append(entries(21, 21, 1)));
    assert!(matches!(refused, Err(LogError::Poisoned)), "{refused:?}");
    log.close().unwrap();
}

#[test]
fn open_log_is_locked() {
    let mut disk = Disk::new(4096);
    let (log, _) = disk.open();
    let refused = disk.try_open().unwrap_err();
    assert!(matches!(refused, LogError::InUse { .. }), "{refused}");
    drop(log);
    disk.open();
}
