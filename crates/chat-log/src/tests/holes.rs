//! Logs with a hole: the node stays up, and the hole goes when it is compacted.

use std::fs;
use std::ops::Range;

use chat_consensus::{ChainValue, LogIndex, Position, StorageId, Term, TermRun};

use crate::tests::fixture::{
    Disk, Log, append, base, block_of, entries, entry, read_all, truncate, written,
};
use crate::{Finding, Hole, LogError, Opened, ReadLimits};

const ALL: LogIndex = LogIndex(u64::MAX);

fn hole(after: u64, through: u64, removable_at: u64) -> Option<Hole> {
    Some(Hole {
        after: LogIndex(after),
        through: LogIndex(through),
        removable_at: LogIndex(removable_at),
    })
}

/// Its name, what is done, and the hole that it makes.
type DamageCase<'a> = (&'a str, &'a dyn Fn(&Disk), Option<Hole>);

/// The chain value after the entries 1 to `last` of [`written`].
fn chain(last: u64) -> ChainValue {
    let entries = entries(1, last, 1);
    entries.iter().fold(base().chain, ChainValue::next)
}

/// That the disk did not forget.
#[track_caller]
fn assert_memory_is_whole(opened: &Opened) {
    assert_eq!(opened.amnesia, None, "{:?}", opened.findings);
    assert_eq!(opened.stored.storage, StorageId(1));
    assert_eq!(opened.stored.hard_state.vote.unwrap().node.0, 1);
}

/// What of the entries 1 to `last` of [`written`], whose hole is `after..=through`, can be read.
#[track_caller]
fn check_reads(log: &mut Log, after: u64, through: u64, last: u64) {
    let mut reader = log.reader();
    let begin = reader.base().unwrap().position.index.0;
    let begins = log.base().unwrap();
    assert_eq!(
        begins.position,
        Position::new(through, u64::from(through > 0))
    );
    assert_eq!(begins.chain, chain(through));
    let mut read = |range: Range<u64>| {
        reader.read(LogIndex(range.start), LogIndex(range.end), ReadLimits::NONE)
    };
    if after > begin {
        assert_eq!(read(begin..after).unwrap(), entries(begin + 1, after, 1));
    }
    assert_eq!(read(through..last).unwrap(), entries(through + 1, last, 1));
    for within in after.max(begin)..through {
        for range in [begin..within + 1, within..last, within..within + 1] {
            let error = read(range.clone()).unwrap_err();
            let expected = (LogIndex(after), LogIndex(through));
            let LogError::InHole { after, through } = error else {
                panic!("{range:?}: {error}");
            };
            assert_eq!((after, through), expected, "{range:?}");
        }
    }
    for index in begin..=last {
        let found = log.chain_at(Position::new(index, u64::from(index > 0)));
        let expected = (index >= through).then(|| chain(index));
        assert_eq!(found.unwrap(), expected, "{index}");
    }
}

#[test]
fn damage_that_valid_blocks_follow_is_a_hole() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 6);
    let image = disk.image();
    let name = disk.last_segment();
    for byte in [0, 9, 50, 99, 107, 115] {
        disk.restore(&image);
        disk.edit(&name, |bytes| {
            for block in 3..=4 {
                bytes[block_of(block) + byte] ^= 1;
            }
        });
        // It is the same after a restart.
        for starts in 0..2 {
            let (mut log, opened) = disk.open();
            assert_memory_is_whole(&opened);
            assert_eq!(opened.hole, hole(2, 4, 6), "byte {byte}");
            assert_eq!(log.hole(), opened.hole);
            let finding = Finding::Hole {
                from: LogIndex(3),
                through: LogIndex(4),
            };
            assert_eq!(opened.findings, [finding]);
            assert_eq!(opened.stored.last, Position::new(6, 1));
            assert_eq!(opened.chain, chain(6));
            let begins = log.base();
            assert_eq!(opened.stored.base, begins);
            assert!(opened.stored.behind_hole);
            let run = TermRun {
                term: Term(1),
                first: LogIndex(5),
            };
            assert_eq!(opened.stored.terms, [run]);
            check_reads(&mut log, 2, 4, 6);
            assert_eq!(disk.segments().len(), 2, "start {starts}");
        }
    }
}

#[test]
fn log_with_a_hole_goes_on_at_its_end_until_the_hole_is_compacted() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 6);
    let name = disk.last_segment();
    disk.edit(&name, |bytes| bytes[block_of(3)] ^= 1);
    let (mut log, _) = disk.open();
    log.append_and_sync(&append(entries(7, 9, 1))).unwrap();
    drop(log);
    let (mut log, opened) = disk.open();
    assert_memory_is_whole(&opened);
    assert_eq!(opened.hole, hole(2, 3, 6));
    check_reads(&mut log, 2, 3, 9);
    for through in [1, 3, 5] {
        let begins = log.compact(LogIndex(through)).unwrap();
        assert_eq!(begins.position, Position::new(3, 1), "{through}");
        assert_eq!(begins.chain, chain(3), "{through}");
    }
    assert!(log.hole().is_some());
    let begins = log.compact(LogIndex(6)).unwrap();
    assert_eq!(begins.position, Position::new(6, 1));
    assert_eq!(begins.chain, chain(6));
    assert_eq!(log.hole(), None);
    assert_eq!(read_all(&log), entries(7, 9, 1));
    log.append_and_sync(&append(entries(10, 11, 2))).unwrap();
    drop(log);
    let (log, opened) = disk.open();
    assert_memory_is_whole(&opened);
    assert_eq!((opened.hole, opened.findings), (None, vec![]));
    assert_eq!(opened.stored.base, Some(begins));
    let expected = [entries(7, 9, 1), entries(10, 11, 2)].concat();
    assert_eq!(read_all(&log), expected);
}

#[test]
fn hole_in_the_last_segment_is_compacted_at_once() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 6);
    let name = disk.last_segment();
    disk.edit(&name, |bytes| bytes[block_of(3)] ^= 1);
    let (mut log, _) = disk.open();
    assert_eq!(log.compact(LogIndex(6)).unwrap().chain, chain(6));
    assert_eq!(disk.segments().len(), 1);
    drop(log);
    let (log, opened) = disk.open();
    assert_eq!((opened.hole, opened.findings), (None, vec![]));
    assert_eq!(log.last(), Position::new(6, 1));
}

#[test]
fn installed_base_replaces_a_hole() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 6);
    let name = disk.last_segment();
    disk.edit(&name, |bytes| bytes[block_of(3)] ^= 1);
    let (mut log, _) = disk.open();
    let mut installed = base();
    installed.position = Position::new(20, 1);
    log.install(&installed).unwrap();
    assert_eq!(log.hole(), None);
    drop(log);
    assert_eq!(disk.open().1.findings, []);
}

/// The header of the next segment says where an older one ends, and its terms.
#[test]
fn damage_in_an_older_segment_is_a_hole() {
    let mut disk = Disk::new(4096);
    written(&mut disk, 30);
    let image = disk.image();
    let names = disk.segments();
    let begins = |place: usize| -> u64 {
        let number: u64 = names[place][..20].parse().unwrap();
        number - 2
    };
    let damages: [DamageCase<'_>; 5] = [
        (
            "header",
            &|disk| disk.edit(&names[1], |bytes| bytes[20] ^= 1),
            hole(begins(1), begins(2), begins(2)),
        ),
        (
            "missing",
            &|disk| fs::remove_file(disk.path(&names[2])).unwrap(),
            hole(begins(2), begins(3), begins(3)),
        ),
        (
            "two missing",
            &|disk| {
                fs::remove_file(disk.path(&names[1])).unwrap();
                fs::remove_file(disk.path(&names[2])).unwrap();
            },
            hole(begins(1), begins(3), begins(3)),
        ),
        (
            "header of the oldest",
            &|disk| disk.edit(&names[0], |bytes| bytes[20] ^= 1),
            hole(0, begins(1), begins(1)),
        ),
        (
            "last block",
            &|disk| {
                disk.edit(&names[1], |bytes| {
                    let end = begins(2) - begins(1);
                    bytes[512 * end as usize] ^= 1;
                });
            },
            hole(begins(2) - 1, begins(2), begins(2)),
        ),
    ];
    for (what, damage, expected) in damages {
        disk.restore(&image);
        damage(&disk);
        let Some(hole) = expected else { unreachable!() };
        for _ in 0..2 {
            let (mut log, opened) = disk.open();
            assert_memory_is_whole(&opened);
            assert_eq!(opened.hole, expected, "{what}");
            assert_eq!(opened.stored.last, Position::new(30, 1), "{what}");
            assert_eq!(opened.chain, chain(30));
            check_reads(&mut log, hole.after.0, hole.through.0, 30);
        }
        let (mut log, _) = disk.open();
        let begins = log.compact(hole.removable_at).unwrap();
        assert_eq!(begins.chain, chain(hole.removable_at.0));
        drop(log);
        let (log, opened) = disk.open();
        assert_eq!(opened.hole, None, "{what}");
        let first = hole.removable_at.0 + 1;
        assert_eq!(read_all(&log), entries(first, 30, 1));
    }
}

/// F3: an oldest segment that is gone is not taken for a compaction.
#[test]
fn lost_oldest_segment_is_a_hole_and_a_compaction_is_not() {
    let mut disk = Disk::new(4096);
    written(&mut disk, 30);
    fs::remove_file(disk.path(&disk.segments()[0])).unwrap();
    for _ in 0..2 {
        let (mut log, opened) = disk.open();
        assert_memory_is_whole(&opened);
        let hole = opened.hole.unwrap();
        assert_eq!(hole.after, LogIndex(0));
        let begins = opened.stored.base.unwrap().position;
        assert_eq!(hole.through, begins.index);
        assert_eq!(hole.removable_at, begins.index);
        check_reads(&mut log, 0, begins.index.0, 30);
    }
    let (mut log, opened) = disk.open();
    log.compact(opened.hole.unwrap().through).unwrap();
    assert_eq!(log.hole(), None);
    drop(log);
    let (mut log, opened) = disk.open();
    assert_eq!((opened.hole, opened.findings), (None, vec![]));
    log.compact(LogIndex(25)).unwrap();
    drop(log);
    assert_eq!(disk.open().1.findings, []);
}

#[test]
fn damage_inside_an_older_segment_is_a_hole_once_it_is_recorded() {
    let mut disk = Disk::new(4096);
    written(&mut disk, 30);
    let name = disk.segments()[1].clone();
    let first: u64 = name[..20].parse().unwrap();
    // The second block of it: of the entry of its number less one.
    disk.edit(&name, |bytes| bytes[2 * 512 + 110] ^= 1);
    let (mut log, opened) = disk.open();
    assert_eq!(opened.hole, None);
    let error = log.reader().read(LogIndex(0), ALL, ReadLimits::NONE);
    let Err(LogError::Damaged { segment, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(segment, name);
    log.record_hole(&segment).unwrap();
    drop(log);
    for _ in 0..2 {
        let (mut log, opened) = disk.open();
        assert_memory_is_whole(&opened);
        let hole = opened.hole.unwrap();
        assert_eq!((hole.after.0, hole.through.0), (first - 1, first));
        check_reads(&mut log, first - 1, first, 30);
    }
    let (mut log, opened) = disk.open();
    log.compact(opened.hole.unwrap().removable_at).unwrap();
    drop(log);
    assert_eq!(disk.open().1.hole, None);
    let (mut log, _) = disk.open();
    let refused = log.record_hole("nothing");
    assert!(matches!(refused, Err(LogError::NoSuchSegment { .. })));
}

#[test]
fn recorded_segment_without_damage_is_no_hole() {
    let mut disk = Disk::new(4096);
    written(&mut disk, 30);
    let (mut log, _) = disk.open();
    log.record_hole(&disk.segments()[1]).unwrap();
    log.record_hole(&disk.last_segment()).unwrap();
    drop(log);
    let (log, opened) = disk.open();
    assert_eq!((opened.hole, opened.findings), (None, vec![]));
    assert_eq!(read_all(&log), entries(1, 30, 1));
}

/// R11: what remains of a truncation is known by its chain value, or the log is not truncated.
#[test]
fn truncation_ends_outside_of_a_hole_or_is_refused() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 9);
    let name = disk.last_segment();
    disk.edit(&name, |bytes| {
        for block in 4..=6 {
            bytes[block_of(block)] ^= 1;
        }
    });
    let image = disk.image();
    for (after, left) in [(8, hole(3, 6, 9)), (6, hole(3, 6, 9)), (3, None), (1, None)] {
        disk.restore(&image);
        let (mut log, _) = disk.open();
        let new = entries(after + 1, after + 2, 2);
        log.append_and_sync(&truncate(after, new.clone())).unwrap();
        let kept = log.hole().map(|hole| (hole.after, hole.through));
        let left = left.map(|hole| (hole.after, hole.through));
        assert_eq!(kept, left, "{after}");
        drop(log);
        let (log, opened) = disk.open();
        assert_memory_is_whole(&opened);
        assert_eq!(opened.hole.is_some(), left.is_some(), "{after}");
        let from = if left.is_some() { 6 } else { 0 };
        let read = log.reader().read(LogIndex(from), ALL, ReadLimits::NONE);
        assert_eq!(read.unwrap(), [entries(from + 1, after, 1), new].concat());
    }

    disk.restore(&image);
    let (mut log, _) = disk.open();
    for after in [4, 5] {
        let refused = log.append_and_sync(&truncate(after, vec![entry(after + 1, 2)]));
        assert!(
            matches!(refused, Err(LogError::InHole { .. })),
            "{refused:?}"
        );
    }
    // Nothing was changed, and the log is not poisoned: it forgets what it does not know.
    log.begin_amnesia(StorageId(77), "truncated into a hole")
        .unwrap();
    drop(log);
    let (mut log, opened) = disk.open();
    assert_eq!(opened.stored.storage, StorageId(77));
    assert_eq!(opened.hole, None);
    assert_eq!(opened.stored.last, Position::new(3, 1));
    log.append_and_sync(&append(entries(4, 5, 2))).unwrap();
    drop(log);
    let (log, opened) = disk.open();
    assert_eq!((opened.hole, opened.findings), (None, vec![]));
    assert_eq!(
        read_all(&log),
        [entries(1, 3, 1), entries(4, 5, 2)].concat()
    );
}

/// The blocks that are damaged may have truncated the log: what is before them counts only if that is
/// impossible.
#[test]
fn entries_that_damaged_blocks_may_have_truncated_are_in_the_hole() {
    let mut disk = Disk::new(1 << 20);
    let mut log = disk.open_with_base();
    for index in 1..=5 {
        let new = append(entries(index, index, 1));
        log.append_and_sync(&new).unwrap();
    }
    // Block 7; then 8 and 9.
    log.append_and_sync(&truncate(3, entries(4, 4, 2))).unwrap();
    log.append_and_sync(&append(entries(5, 5, 2))).unwrap();
    log.append_and_sync(&append(entries(6, 6, 2))).unwrap();
    let end = log.last_chain();
    drop(log);
    let image = disk.image();
    let name = disk.last_segment();
    let run = |term, first| TermRun {
        term: Term(term),
        first: LogIndex(first),
    };
    // Only the second one of term 2: it goes on after an entry of its own term.
    disk.edit(&name, |bytes| bytes[block_of(7)] ^= 1);
    let (_, opened) = disk.open();
    assert_eq!(opened.hole, hole(4, 5, 6));
    assert_eq!(opened.stored.terms, [run(2, 6)]);
    // The one that truncates.
    disk.restore(&image);
    disk.edit(&name, |bytes| bytes[block_of(6)] ^= 1);
    let (log, opened) = disk.open();
    assert_eq!(opened.hole, hole(0, 4, 6));
    assert_eq!(opened.stored.last, Position::new(6, 2));
    assert_eq!(opened.stored.terms, [run(2, 5)]);
    assert_eq!(opened.chain, end);
    let read = log.reader().read(LogIndex(4), ALL, ReadLimits::NONE);
    assert_eq!(read.unwrap(), entries(5, 6, 2));
    drop(log);
    // A block that was truncated away is not needed.
    disk.restore(&image);
    disk.edit(&name, |bytes| bytes[block_of(5)] ^= 1);
    let (log, opened) = disk.open();
    assert_eq!((opened.hole, opened.findings), (None, vec![]));
    assert_eq!(
        read_all(&log),
        [entries(1, 3, 1), entries(4, 6, 2)].concat()
    );
}

#[test]
fn damaged_block_and_a_torn_end_are_a_hole_and_a_torn_tail() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 6);
    let name = disk.last_segment();
    disk.edit(&name, |bytes| {
        bytes[block_of(3)] ^= 1;
        bytes[block_of(6) + 110] ^= 1;
    });
    let (mut log, opened) = disk.open();
    assert_memory_is_whole(&opened);
    assert_eq!(opened.stored.last, Position::new(5, 1));
    check_reads(&mut log, 2, 3, 5);
    log.append_and_sync(&append(entries(6, 6, 1))).unwrap();
    drop(log);
    let (mut log, opened) = disk.open();
    assert_eq!(opened.hole, hole(2, 3, 5));
    check_reads(&mut log, 2, 3, 6);
}

/// R24: without its beginning nothing shows that the rest is committed, so a disk that forgot uses
/// nothing of it, and must be given a base.
#[test]
fn disk_that_forgot_without_the_beginning_of_its_log_has_no_base() {
    let mut disk = Disk::new(4096);
    written(&mut disk, 30);
    fs::remove_file(disk.path(&disk.segments()[0])).unwrap();
    let (mut log, opened) = disk.open();
    assert!(opened.stored.behind_hole);
    log.begin_amnesia(StorageId(7), "a truncation ends in the hole")
        .unwrap();
    drop(log);
    for _ in 0..2 {
        let (log, opened) = disk.open();
        assert_eq!(opened.stored.storage, StorageId(7));
        assert_eq!((opened.stored.base, log.base()), (None, None));
        assert_eq!(opened.stored.last, Position::ZERO);
        assert!(!opened.stored.behind_hole);
        assert!(opened.stored.hard_state.cluster.is_some());
        assert!(opened.stored.hard_state.repair_through > LogIndex::ZERO);
    }
    let (mut log, _) = disk.open();
    log.install(&base()).unwrap();
    log.append_and_sync(&append(entries(1, 2, 1))).unwrap();
    drop(log);
    assert_eq!(read_all(&disk.open().0), entries(1, 2, 1));
}
