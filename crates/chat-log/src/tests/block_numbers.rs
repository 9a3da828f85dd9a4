//! The number of the newest block, which peers remember (R18): on a disk that keeps what it synced no
//! start returns a lower one.

use chat_consensus::{BlockNumber, LogBase, LogIndex, Position};

use crate::tests::fixture::{Disk, Log, append, base, block_of, entries, truncate, vote, written};

/// The log has this number, and so has it after a restart.
fn check(disk: &mut Disk, log: Log, expected: u64) -> Log {
    let expected = BlockNumber(expected);
    assert_eq!(log.synced_block(), expected);
    drop(log);
    let (log, opened) = disk.open();
    assert_eq!(opened.stored.synced_block, expected);
    assert_eq!(log.synced_block(), expected);
    log
}

#[test]
fn only_what_is_written_changes_the_block_number() {
    let mut disk = Disk::new(1 << 20);
    let (log, _) = disk.open();
    let mut log = check(&mut disk, log, 0);
    log.append_and_sync(&vote(1)).unwrap();
    let mut log = check(&mut disk, log, 0);
    log.install(&base()).unwrap();
    let mut log = check(&mut disk, log, 1);
    log.append_and_sync(&append(entries(1, 5, 1))).unwrap();
    let mut log = check(&mut disk, log, 2);
    // Whatever it does to the index.
    log.append_and_sync(&truncate(2, entries(3, 3, 2))).unwrap();
    let mut log = check(&mut disk, log, 3);
    log.append_and_sync(&truncate(1, Vec::new())).unwrap();
    let mut log = check(&mut disk, log, 4);
    log.append_and_sync(&vote(3)).unwrap();
    log.refresh_witness().unwrap();
    let mut log = check(&mut disk, log, 4);
    log.roll().unwrap();
    let mut log = check(&mut disk, log, 4);
    log.compact(LogIndex(1)).unwrap();
    let mut log = check(&mut disk, log, 4);
    // A number is left out where a segment has no block yet.
    let later = LogBase {
        position: Position::new(90, 3),
        ..base()
    };
    log.install(&later).unwrap();
    let mut log = check(&mut disk, log, 6);
    log.append_and_sync(&append(entries(91, 91, 3))).unwrap();
    check(&mut disk, log, 7);
}

#[test]
fn number_behind_a_hole_is_that_of_the_end() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 9);
    let (log, _) = disk.open();
    let whole = log.synced_block();
    drop(log);
    let name = disk.last_segment();
    disk.edit(&name, |bytes| bytes[block_of(4) + 120] ^= 1);
    let (log, opened) = disk.open();
    assert!(opened.hole.is_some());
    assert_eq!(opened.stored.synced_block, whole);
    let mut log = check(&mut disk, log, whole.0);
    log.append_and_sync(&append(entries(10, 10, 1))).unwrap();
    let mut log = check(&mut disk, log, whole.0 + 1);
    log.compact(LogIndex(10)).unwrap();
    check(&mut disk, log, whole.0 + 1);
}

/// Nothing on the disk remembers the last block, so only a peer that has met its number can.
#[test]
fn end_that_is_lost_unnoticed_has_a_lower_number() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 5);
    let image = disk.image();
    let (mut log, opened) = disk.open();
    let older = opened.stored.synced_block;
    log.append_and_sync(&append(entries(6, 6, 1))).unwrap();
    assert!(log.synced_block() > older);
    drop(log);
    disk.restore(&image);
    let (_, opened) = disk.open();
    assert_eq!(opened.amnesia, None);
    assert_eq!(opened.stored.synced_block, older);
}

/// Under the new storage id no number is used that the one before had.
#[test]
fn amnesia_does_not_lower_the_block_number() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 5);
    let (mut log, _) = disk.open();
    let before = log.synced_block();
    let storage = chat_consensus::StorageId(99);
    log.begin_amnesia(storage, "a peer remembers more").unwrap();
    drop(log);
    let (mut log, opened) = disk.open();
    assert_eq!(opened.stored.storage, storage);
    assert_eq!(opened.stored.last, Position::new(5, 1));
    assert!(opened.stored.synced_block >= before);
    let begun = opened.stored.synced_block;
    log.append_and_sync(&append(entries(6, 6, 2))).unwrap();
    check(&mut disk, log, begun.0 + 1);
}
