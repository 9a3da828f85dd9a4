//! R19: the log keeps who the members are: every start has the changes of its entries, and each segment's
//! header has the members as of its beginning.

use std::fs;

use chat_consensus::{LogBase, LogIndex, Membership, MembershipChange, Position, StorageId};

use crate::block::checksum;
use crate::tests::fixture::{
    Disk, Log, append, base, change, entries, entry, members, read_all, truncate,
};
use crate::{LogError, Opened};

/// Appends the entries `from` through `through`, one a block.
fn fill(log: &mut Log, from: u64, through: u64, term: u64) {
    for index in from..=through {
        log.append_and_sync(&append(entries(index, index, term)))
            .unwrap();
    }
}

/// Makes `learner` a learner by the entry at `index`, alone in its block.
fn learn(log: &mut Log, index: u64, term: u64, learner: u64) {
    let next = change(index, term, members(learner));
    log.append_and_sync(&append(vec![next])).unwrap();
}

/// Three segments: entries 1, 2 and the change 3; 4, 5 and the change 6; 7 and 8.
fn with_two_changes(disk: &mut Disk) -> Log {
    let mut log = disk.open_with_base();
    fill(&mut log, 1, 2, 1);
    learn(&mut log, 3, 1, 2);
    fill(&mut log, 4, 5, 1);
    learn(&mut log, 6, 1, 3);
    fill(&mut log, 7, 8, 1);
    log
}

/// The members as of where the log begins, and the changes after that: index and learner.
#[track_caller]
fn check(log: &Log, opened: &Opened, begins: Membership, changes: &[(u64, u64)]) {
    let changes = changes.iter().map(|&(index, learner)| MembershipChange {
        index: LogIndex(index),
        membership: members(learner),
    });
    assert_eq!(opened.stored.changes, changes.collect::<Vec<_>>());
    assert_eq!(opened.stored.base.as_ref().unwrap().membership, begins);
    assert_eq!(log.base(), opened.stored.base);
}

/// Restarts twice, and checks both.
#[track_caller]
fn check_restarts(disk: &mut Disk, log: Log, begins: Membership, changes: &[(u64, u64)]) -> Log {
    drop(log);
    let (log, opened) = disk.open();
    assert_eq!((&opened.findings[..], opened.hole), (&[][..], None));
    check(&log, &opened, begins.clone(), changes);
    drop(log);
    let (log, opened) = disk.open();
    check(&log, &opened, begins, changes);
    log
}

fn first_index(name: &str) -> u64 {
    name[..20].parse().unwrap()
}

#[test]
fn changes_are_found_after_a_restart_and_returned_by_readers() {
    let mut disk = Disk::new(1 << 20);
    let mut log = disk.open_with_base();
    fill(&mut log, 1, 3, 1);
    let batch = [entries(4, 5, 1), vec![change(6, 1, members(2))]].concat();
    log.append_and_sync(&append(batch.clone())).unwrap();
    // The segment with the change ends with it, also if it is the last one at a start.
    assert_eq!(disk.segments().len(), 1);
    let mut log = check_restarts(&mut disk, log, members(1), &[(6, 2)]);
    assert_eq!(disk.segments().len(), 1);
    fill(&mut log, 7, 8, 1);
    assert_eq!(disk.segments().len(), 2);
    learn(&mut log, 9, 1, 3);
    learn(&mut log, 10, 1, 4);
    assert_eq!(disk.segments().len(), 3);
    log.roll().unwrap();
    let changes = [(6, 2), (9, 3), (10, 4)];
    let mut log = check_restarts(&mut disk, log, members(1), &changes);
    fill(&mut log, 11, 12, 1);
    let log = check_restarts(&mut disk, log, members(1), &changes);
    assert_eq!(read_all(&log)[3..6], batch);
    for name in log.reader().sealed_segments() {
        log.reader().verify_segment(&name).unwrap();
    }
}

#[test]
#[should_panic(expected = "the last of its batch")]
fn entry_after_a_change_in_one_batch_panics() {
    let mut disk = Disk::new(1 << 20);
    let mut log = disk.open_with_base();
    let batch = vec![change(1, 1, members(2)), entry(2, 1)];
    log.append_and_sync(&append(batch)).unwrap();
}

/// Also by the entry at which the truncation ends, and by one that writes a change again.
#[test]
fn truncation_removes_changes() {
    for (after, left) in [
        (7, vec![(3, 2), (6, 3)]),
        (6, vec![(3, 2), (6, 3)]),
        (5, vec![(3, 2)]),
        (3, vec![(3, 2)]),
        (2, vec![]),
        (0, vec![]),
    ] {
        for changes_again in [false, true] {
            let mut disk = Disk::new(1 << 20);
            let mut log = with_two_changes(&mut disk);
            let mut left = left.clone();
            let mut new = entries(after + 1, after + 2, 2);
            if changes_again {
                // The same members as before the truncation.
                new.push(change(after + 3, 2, members(3)));
                if left.last().is_none_or(|&(_, learner)| learner != 3) {
                    left.push((after + 3, 3));
                }
            }
            log.append_and_sync(&truncate(after, new)).unwrap();
            let mut log = check_restarts(&mut disk, log, members(1), &left);
            let last = log.last().index.0;
            fill(&mut log, last + 1, last + 2, 2);
            let mut log = check_restarts(&mut disk, log, members(1), &left);
            log.roll().unwrap();
            fill(&mut log, last + 3, last + 4, 2);
            check_restarts(&mut disk, log, members(1), &left);
        }
    }
}

#[test]
fn installed_base_brings_its_members() {
    let mut disk = Disk::new(1 << 20);
    let mut log = disk.open_with_base();
    learn(&mut log, 1, 1, 2);
    let installed = LogBase {
        position: Position::new(9, 1),
        membership: members(5),
        ..base()
    };
    log.install(&installed).unwrap();
    fill(&mut log, 10, 11, 1);
    assert_eq!(disk.segments().len(), 1);
    let mut log = check_restarts(&mut disk, log, members(5), &[]);
    learn(&mut log, 12, 1, 3);
    check_restarts(&mut disk, log, members(5), &[(12, 3)]);
}

#[test]
fn compacted_log_begins_with_the_members_of_its_position() {
    let mut disk = Disk::new(1 << 20);
    let mut log = with_two_changes(&mut disk);
    assert_eq!(log.compact(LogIndex(2)).unwrap(), base());
    for (through, begins, learner, left) in [(5, 3, 2, vec![(6, 3)]), (7, 6, 3, vec![])] {
        let compacted = log.compact(LogIndex(through)).unwrap();
        assert_eq!(compacted.position, Position::new(begins, 1));
        assert_eq!(compacted.membership, members(learner));
        assert_eq!(log.base(), Some(compacted));
        log = check_restarts(&mut disk, log, members(learner), &left);
    }
    log.roll().unwrap();
    let compacted = log.compact(LogIndex(8)).unwrap();
    assert_eq!(compacted.membership, members(3));
}

/// Four segments: entries 1, 2 and the change 3; 4, 5, 6 and the change 7; 8, 9 and the change 10; 11
/// to 14.
fn with_changes(disk: &mut Disk) {
    let mut log = disk.open_with_base();
    fill(&mut log, 1, 2, 1);
    learn(&mut log, 3, 1, 2);
    fill(&mut log, 4, 6, 1);
    learn(&mut log, 7, 1, 3);
    fill(&mut log, 8, 9, 1);
    learn(&mut log, 10, 1, 4);
    fill(&mut log, 11, 14, 1);
    drop(log);
    assert_eq!(disk.segments().len(), 4);
}

/// Where a block begins in a segment, the first one as number 0.
fn block(number: usize) -> usize {
    512 + 512 * number
}

/// Its name, what is damaged, the hole's ends, the members behind it and the changes after that.
type HoleCase<'a> = (&'a str, &'a dyn Fn(&Disk), [u64; 2], u64, &'a [(u64, u64)]);

#[test]
fn log_behind_a_hole_begins_with_the_members_of_there() {
    let mut disk = Disk::new(1 << 20);
    with_changes(&mut disk);
    let image = disk.image();
    let names = disk.segments();
    let flip = |disk: &Disk, segment: usize, number: usize| {
        disk.edit(&names[segment], |bytes| bytes[block(number)] ^= 1);
    };
    let cases: [HoleCase<'_>; 6] = [
        ("a change", &|disk| flip(disk, 1, 3), [6, 7], 3, &[(10, 4)]),
        (
            "the newest change",
            &|disk| flip(disk, 2, 2),
            [9, 10],
            4,
            &[],
        ),
        (
            "the first block after a change",
            &|disk| flip(disk, 3, 0),
            [10, 11],
            4,
            &[],
        ),
        ("a later block", &|disk| flip(disk, 3, 2), [12, 13], 4, &[]),
        (
            "a whole segment",
            &|disk| fs::remove_file(disk.path(&names[1])).unwrap(),
            [3, 7],
            3,
            &[(10, 4)],
        ),
        (
            "two segments, of one the header",
            &|disk| {
                fs::remove_file(disk.path(&names[1])).unwrap();
                disk.edit(&names[2], |bytes| bytes[30] ^= 1);
            },
            [3, 10],
            4,
            &[],
        ),
    ];
    for (what, damage, ends, learner, changes) in cases {
        disk.restore(&image);
        damage(&disk);
        for _ in 0..2 {
            let (log, opened) = disk.open();
            assert_eq!(opened.amnesia, None, "{what}");
            let hole = opened.hole.unwrap();
            assert_eq!([hole.after.0, hole.through.0], ends, "{what}");
            check(&log, &opened, members(learner), changes);
        }
        let (mut log, opened) = disk.open();
        fill(&mut log, 15, 16, 1);
        learn(&mut log, 17, 1, 5);
        let removable = opened.hole.unwrap().removable_at;
        let compacted = log.compact(removable).unwrap();
        let mut left = [changes, &[(17, 5)]].concat();
        left.retain(|&(index, _)| index > compacted.position.index.0);
        let begins = compacted.membership;
        check_restarts(&mut disk, log, begins, &left);
    }
}

/// The block with the change is the last one of its segment, which goes on before it.
#[test]
fn hole_in_the_segment_of_a_change_has_the_members_before_it() {
    let mut disk = Disk::new(1 << 20);
    let mut log = disk.open_with_base();
    learn(&mut log, 1, 1, 2);
    fill(&mut log, 2, 5, 1);
    learn(&mut log, 6, 1, 3);
    drop(log);
    let name = disk.last_segment();
    disk.edit(&name, |bytes| bytes[block(1)] ^= 1);
    for _ in 0..2 {
        let (log, opened) = disk.open();
        assert_eq!(opened.hole.unwrap().through, LogIndex(3));
        check(&log, &opened, members(2), &[(6, 3)]);
    }
    let (mut log, _) = disk.open();
    log.append_and_sync(&truncate(4, entries(5, 7, 2))).unwrap();
    drop(log);
    let (mut log, opened) = disk.open();
    check(&log, &opened, members(2), &[]);
    // Before the hole, which is gone with it.
    log.append_and_sync(&truncate(0, entries(1, 3, 3))).unwrap();
    check_restarts(&mut disk, log, members(1), &[]);
}

/// Where the truncation in the last block ends is in a segment that is missing, and the header of its own
/// segment has the members before it: only that of a next one shows them.
#[test]
fn last_block_that_truncates_into_a_missing_segment_is_amnesia_until_a_segment_follows() {
    let mut disk = Disk::new(1 << 20);
    let mut log = with_two_changes(&mut disk);
    log.append_and_sync(&truncate(4, entries(5, 5, 2))).unwrap();
    let names = disk.segments();
    let damage = |disk: &Disk| fs::remove_file(disk.path(&names[1])).unwrap();
    let image = disk.image();
    fill(&mut log, 6, 8, 2);
    drop(log);
    damage(&disk);
    for _ in 0..2 {
        let (log, opened) = disk.open();
        assert_eq!(opened.amnesia, None);
        let hole = opened.hole.unwrap();
        assert_eq!([hole.after.0, hole.through.0], [3, 5]);
        check(&log, &opened, members(2), &[]);
    }

    disk.restore(&image);
    damage(&disk);
    let (log, opened) = disk.open();
    let why = opened.amnesia.clone().unwrap();
    assert!(why.contains("members"), "{why}");
    assert_eq!(opened.stored.last, Position::new(3, 1));
    check_restarts(&mut disk, log, members(1), &[(3, 2)]);
}

/// Every block of a segment but the last one leaves the members as they are, and where that truncates
/// is in its successor's header.
#[test]
fn last_block_that_truncates_into_a_damaged_one_shows_the_members() {
    let mut disk = Disk::new(1 << 20);
    let mut log = disk.open_with_base();
    fill(&mut log, 1, 2, 1);
    let batch = [entries(3, 4, 1), vec![change(5, 1, members(2))]].concat();
    log.append_and_sync(&append(batch)).unwrap();
    fill(&mut log, 6, 7, 1);
    log.append_and_sync(&truncate(4, entries(5, 5, 2))).unwrap();
    drop(log);
    disk.edit(&disk.segments()[0], |bytes| bytes[block(3)] ^= 1);
    let (log, opened) = disk.open();
    assert_eq!(opened.amnesia, None);
    let hole = opened.hole.unwrap();
    assert_eq!([hole.after.0, hole.through.0], [2, 5]);
    check(&log, &opened, members(1), &[]);
}

#[test]
fn torn_change_was_never_there() {
    let mut disk = Disk::new(1 << 20);
    let mut log = disk.open_with_base();
    learn(&mut log, 1, 1, 2);
    fill(&mut log, 2, 3, 1);
    learn(&mut log, 4, 1, 3);
    drop(log);
    let name = disk.last_segment();
    disk.edit(&name, |bytes| bytes[block(2) + 120] ^= 1);
    let (mut log, opened) = disk.open();
    assert_eq!(opened.findings.len(), 1);
    check(&log, &opened, members(1), &[(1, 2)]);
    let segments = disk.segments().len();
    fill(&mut log, 4, 5, 1);
    assert_eq!(disk.segments().len(), segments);
    check_restarts(&mut disk, log, members(1), &[(1, 2)]);
}

#[test]
fn disk_that_forgot_has_the_members_of_where_its_log_ends() {
    for (left, changes) in [
        (3, &[(1, 2)][..]),
        (4, &[(1, 2), (4, 3)]),
        (5, &[(1, 2), (4, 3)]),
    ] {
        let mut disk = Disk::new(1 << 20);
        let mut log = disk.open_with_base();
        learn(&mut log, 1, 1, 2);
        fill(&mut log, 2, 3, 1);
        learn(&mut log, 4, 1, 3);
        fill(&mut log, 5, 6, 1);
        log.close().unwrap();
        let names = disk.segments();
        if left < 5 {
            fs::remove_file(disk.path(&names[2])).unwrap();
        } else {
            disk.edit(&names[2], |bytes| bytes[block(1)..].fill(0));
        }
        if left < 4 {
            disk.edit(&names[1], |bytes| bytes[block(2)..].fill(0));
        }
        let (mut log, opened) = disk.open();
        assert!(opened.amnesia.is_some());
        assert_ne!(opened.stored.storage, StorageId(1));
        assert_eq!(opened.stored.last, Position::new(left, 1));
        check(&log, &opened, members(1), changes);
        fill(&mut log, left + 1, left + 2, 3);
        let mut log = check_restarts(&mut disk, log, members(1), changes);
        learn(&mut log, left + 3, 3, 4);
        let changes = [changes, &[(left + 3, 4)]].concat();
        check_restarts(&mut disk, log, members(1), &changes);
    }
}

/// Makes of a segment's file what a program wrote that knew no addresses (2), nor learners (1).
fn in_format(format: u8, bytes: &mut Vec<u8>) {
    let length = u32::from_be_bytes(bytes[12..16].try_into().unwrap());
    let blocks = bytes.split_off((length as usize).next_multiple_of(512));
    bytes.truncate(length as usize - 4);
    if format == 1 {
        // After the only voter.
        assert_eq!(bytes.drain(128..132).collect::<Vec<_>>(), [0; 4]);
    }
    // Before the members: cluster, number of voters, a voter, number of learners.
    assert_eq!(bytes.drain(80..84).collect::<Vec<_>>(), [0, 0, 0, 48]);
    bytes[11] = format;
    let length = u32::try_from(bytes.len() + 4).unwrap();
    bytes[12..16].copy_from_slice(&length.to_be_bytes());
    bytes.extend(checksum(0, bytes).to_be_bytes());
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes.extend(blocks);
}

/// Also one whose header has a sector less than it would have now.
#[test]
fn log_of_an_earlier_format_is_continued_until_a_change() {
    for format in [1, 2] {
        check_continued(format);
    }
}

fn check_continued(format: u8) {
    let mut disk = Disk::new(1 << 20);
    let mut log = disk.open_with_base();
    for term in 1..=21 {
        fill(&mut log, term, term, term);
    }
    log.roll().unwrap();
    fill(&mut log, 22, 23, 21);
    drop(log);
    let mut bytes = Vec::new();
    for name in disk.segments() {
        disk.edit(&name, |file| {
            bytes.push(file.len());
            in_format(format, file);
            bytes.push(file.len());
        });
    }
    assert_eq!(bytes[0], bytes[1]);
    assert_eq!(bytes[2], bytes[3] + if format == 1 { 512 } else { 0 });
    let (mut log, opened) = disk.open();
    check(&log, &opened, members(1), &[]);
    let all: Vec<_> = (1..=21).map(|index| entry(index, index)).collect();
    let all = [all, entries(22, 23, 21)].concat();
    assert_eq!(read_all(&log), all);
    fill(&mut log, 24, 24, 21);
    assert_eq!(disk.segments().len(), 2);
    // An earlier program would take this block for one that was not written completely.
    learn(&mut log, 25, 21, 2);
    assert_eq!(disk.segments().len(), 3);
    let mut log = check_restarts(&mut disk, log, members(1), &[(25, 2)]);
    for name in log.reader().sealed_segments() {
        log.reader().verify_segment(&name).unwrap();
    }
    let compacted = log.compact(LogIndex(24)).unwrap();
    assert_eq!(compacted.position, Position::new(24, 21));
    assert_eq!(compacted.membership, members(1));
}

#[test]
fn log_of_a_later_format_does_not_open() {
    let mut disk = Disk::new(1 << 20);
    drop(disk.open_with_base());
    let name = disk.last_segment();
    assert_eq!(first_index(&name), 1);
    disk.edit(&name, |bytes| {
        bytes[11] = 4;
        let length = u32::from_be_bytes(bytes[12..16].try_into().unwrap()) as usize;
        let crc = checksum(0, &bytes[..length - 4]).to_be_bytes();
        bytes[length - 4..length].copy_from_slice(&crc);
    });
    let refused = disk.try_open().unwrap_err();
    let LogError::UnknownFormat {
        found: 4, known: 3, ..
    } = refused
    else {
        panic!("{refused}");
    };
}
