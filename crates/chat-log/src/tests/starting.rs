//! What a start makes of a directory that a crash, a lying disk or a mistake left.

use std::fs;

use chat_consensus::{BlockNumber, ClusterId, LogIndex, NodeId, Position, StorageId};

use crate::tests::fixture::{Disk, append, block_of, entries, read_all, vote, written};
use crate::{Finding, LogError};

/// The reasons of amnesia among the findings.
fn amnesia(findings: &[Finding]) -> Vec<&str> {
    fn why(finding: &Finding) -> Option<&str> {
        match finding {
            Finding::Amnesia { why } => Some(why),
            _ => None,
        }
    }
    findings.iter().filter_map(why).collect()
}

#[test]
fn torn_last_block_is_dropped_and_written_over() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 5);
    let name = disk.last_segment();
    disk.edit(&name, |bytes| bytes[block_of(5) + 120] ^= 1);
    let (mut log, opened) = disk.open();
    let torn = Finding::TornTail {
        segment: name,
        offset: block_of(5) as u64,
    };
    assert_eq!(opened.findings, [torn]);
    assert_eq!(opened.stored.last, Position::new(4, 1));
    assert_eq!(opened.amnesia, None);
    log.append_and_sync(&append(entries(5, 5, 2))).unwrap();
    drop(log);
    let (log, opened) = disk.open();
    assert_eq!(opened.findings, []);
    assert_eq!(
        read_all(&log),
        [entries(1, 4, 1), entries(5, 5, 2)].concat()
    );
}

/// Its last block is read at a start, the others when they are needed or verified.
#[test]
fn damage_inside_an_older_segment_is_found_when_it_is_read_or_verified() {
    let mut disk = Disk::new(4096);
    written(&mut disk, 30);
    let name = disk.segments()[1].clone();
    disk.edit(&name, |bytes| bytes[block_of(1) + 110] ^= 1);
    let (log, _) = disk.open();
    let mut reader = log.reader();
    let error = reader.verify_segment(&name).unwrap_err();
    assert!(error.is_damage(), "{error}");
    let limits = crate::ReadLimits::NONE;
    let error = reader.read(LogIndex(0), LogIndex(99), limits).unwrap_err();
    assert!(error.is_damage(), "{error}");
}

/// R18: the witness remembers what the segment has lost.
#[test]
fn end_that_is_shorter_than_its_witness_is_amnesia() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 5);
    disk.open().0.close().unwrap();
    let name = disk.last_segment();
    disk.edit(&name, |bytes| bytes[block_of(4)..].fill(0));
    let (mut log, opened) = disk.open();
    assert_eq!(amnesia(&opened.findings).len(), 1, "{:?}", opened.findings);
    assert!(opened.amnesia.is_some());
    let storage = opened.stored.storage;
    assert_ne!(storage, StorageId(1));
    assert_eq!(opened.stored.hard_state.vote, None);
    assert_eq!(opened.stored.hard_state.cluster, Some(ClusterId(7)));
    assert_eq!(opened.stored.hard_state.term.0, 1);
    assert_eq!(opened.stored.last, Position::new(3, 1));
    assert_eq!(disk.segments().len(), 2);
    assert!(log.synced_block() >= BlockNumber(6), "numbers only grow");
    log.append_and_sync(&append(entries(4, 6, 3))).unwrap();
    drop(log);

    let (mut log, opened) = disk.open();
    assert_eq!(opened.stored.storage, storage);
    assert_eq!(opened.findings, []);
    assert!(opened.amnesia.is_some(), "the mark stays");
    assert_eq!(
        read_all(&log),
        [entries(1, 3, 1), entries(4, 6, 3)].concat()
    );
    log.clear_amnesia().unwrap();
    drop(log);
    assert_eq!(disk.open().1.amnesia, None);
}

#[test]
fn hole_and_a_lost_end_are_amnesia_that_keeps_what_is_before_the_hole() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 9);
    disk.open().0.close().unwrap();
    let name = disk.last_segment();
    disk.edit(&name, |bytes| {
        bytes[block_of(4) + 7] ^= 1;
        bytes[block_of(8)..].fill(0);
    });
    let (mut log, opened) = disk.open();
    assert_eq!(amnesia(&opened.findings).len(), 1, "{:?}", opened.findings);
    assert_eq!(opened.stored.last, Position::new(3, 1));
    log.append_and_sync(&append(entries(4, 6, 3))).unwrap();
    drop(log);
    let (log, opened) = disk.open();
    assert_eq!(opened.findings, []);
    assert_eq!(
        read_all(&log),
        [entries(1, 3, 1), entries(4, 6, 3)].concat()
    );
}

#[test]
fn damaged_header_of_the_last_segment_is_amnesia() {
    let mut disk = Disk::new(4096);
    written(&mut disk, 30);
    let last = disk.last_segment();
    disk.edit(&last, |bytes| bytes[30] ^= 1);
    let (log, opened) = disk.open();
    assert_eq!(amnesia(&opened.findings).len(), 1, "{:?}", opened.findings);
    let kept = opened.stored.last.index.0;
    assert!((20..30).contains(&kept), "{kept}");
    assert_eq!(read_all(&log), entries(1, kept, 1));
    assert!(disk.segments().contains(&format!("{last}.damaged")));
    drop(log);
    assert_eq!(disk.open().1.findings, []);
}

#[test]
fn lost_segments_are_amnesia_without_a_base() {
    let mut disk = Disk::new(4096);
    written(&mut disk, 30);
    for name in disk.segments() {
        fs::remove_file(disk.path(&name)).unwrap();
    }
    let (mut log, opened) = disk.open();
    assert_eq!(amnesia(&opened.findings).len(), 1, "{:?}", opened.findings);
    assert_eq!(opened.stored.base, None);
    assert_eq!(opened.stored.hard_state.cluster, Some(ClusterId(7)));
    log.install(&crate::tests::fixture::base()).unwrap();
    log.append_and_sync(&append(entries(1, 2, 5))).unwrap();
    drop(log);
    let (log, opened) = disk.open();
    assert_eq!(opened.findings, []);
    assert_eq!(read_all(&log), entries(1, 2, 5));
}

#[test]
fn one_invalid_slot_loses_nothing() {
    for slot in [0, 1] {
        let mut disk = Disk::new(1 << 20);
        written(&mut disk, 3);
        disk.edit("node", |bytes| bytes[slot * 4096 + 40] ^= 1);
        let (_, opened) = disk.open();
        let slot = slot as u64;
        assert_eq!(opened.findings, [Finding::BadSlot { slot }]);
        assert_eq!(Some(opened.stored.hard_state), vote(1).hard_state);
        assert_eq!(opened.stored.storage, StorageId(1));
        assert_eq!(disk.open().1.findings, []);
    }
}

#[test]
fn two_invalid_slots_are_amnesia() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 3);
    let image = disk.image();
    let damages: [&dyn Fn(&Disk); 3] = [
        &|disk| disk.edit("node", |bytes| bytes.fill(0)),
        &|disk| disk.edit("node", Vec::clear),
        &|disk| fs::remove_file(disk.path("node")).unwrap(),
    ];
    for damage in damages {
        disk.restore(&image);
        damage(&disk);
        let (log, opened) = disk.open();
        assert_eq!(amnesia(&opened.findings).len(), 1, "{:?}", opened.findings);
        assert_ne!(opened.stored.storage, StorageId(1));
        assert_eq!(opened.stored.hard_state.cluster, Some(ClusterId(7)));
        assert_eq!(opened.stored.hard_state.term.0, 1);
        assert_eq!(read_all(&log), entries(1, 3, 1));
    }
}

/// R18: `node` is written before the entries of its term, so it was rolled back, and a vote with it.
#[test]
fn node_with_a_lower_term_than_the_last_entry_is_amnesia() {
    let mut disk = Disk::new(1 << 20);
    let log = disk.open_with_base();
    drop(log);
    let old = fs::read(disk.path("node")).unwrap();
    let (mut log, _) = disk.open();
    log.append_and_sync(&append(entries(1, 3, 2))).unwrap();
    drop(log);
    fs::write(disk.path("node"), old).unwrap();
    let (log, opened) = disk.open();
    assert_eq!(amnesia(&opened.findings).len(), 1, "{:?}", opened.findings);
    assert_ne!(opened.stored.storage, StorageId(1));
    assert_eq!(opened.stored.hard_state.vote, None);
    assert_eq!(opened.stored.hard_state.term.0, 2);
    assert_eq!(read_all(&log), entries(1, 3, 2));
    drop(log);
    assert_eq!(disk.open().1.findings, []);
}

/// A refreshed witness is not synced: a power failure may leave any of its sectors.
#[test]
fn torn_refresh_of_the_witness_leaves_a_valid_slot() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 3);
    let (mut log, _) = disk.open();
    log.set_state_directory("7-ab").unwrap();
    let before = fs::read(disk.path("node")).unwrap();
    log.append_and_sync(&append(entries(4, 4, 1))).unwrap();
    log.refresh_witness().unwrap();
    let after = fs::read(disk.path("node")).unwrap();
    drop(log);
    let image = disk.image();
    assert_ne!(before, after);
    for lost in 0..16 {
        disk.restore(&image);
        let sector = lost * 512..(lost + 1) * 512;
        disk.edit("node", |bytes| {
            bytes[sector.clone()].copy_from_slice(&before[sector]);
        });
        let (_, opened) = disk.open();
        assert_eq!(opened.findings, [], "sector {lost}");
        assert_eq!(opened.state_directory.as_deref(), Some("7-ab"));
    }
}

/// R12: it must not found a second cluster.
#[test]
fn amnesia_without_a_cluster_is_not_an_empty_disk() {
    let mut disk = Disk::new(1 << 20);
    disk.open();
    disk.edit("node", |bytes| bytes.fill(0));
    let (_, opened) = disk.open();
    assert_eq!(amnesia(&opened.findings).len(), 1);
    assert_eq!(opened.stored.hard_state.cluster, None);
    assert_ne!(opened.stored.hard_state.repair_through, LogIndex::ZERO);
}

#[test]
fn amnesia_that_a_peer_noticed_begins_at_the_next_start() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 3);
    let (mut log, _) = disk.open();
    log.begin_amnesia(StorageId(99), "a peer remembers more")
        .unwrap();
    let refused = log.append_and_sync(&append(entries(4, 4, 1)));
    assert!(matches!(refused, Err(LogError::Poisoned)), "{refused:?}");
    drop(log);
    let (mut log, opened) = disk.open();
    assert_eq!(opened.stored.storage, StorageId(99));
    assert_eq!(opened.amnesia.as_deref(), Some("a peer remembers more"));
    assert_eq!(opened.findings, []);
    log.append_and_sync(&append(entries(4, 4, 1))).unwrap();
    drop(log);
    assert_eq!(read_all(&disk.open().0), entries(1, 4, 1));
}

/// R11.
#[test]
fn log_with_a_fault_does_not_open() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 3);
    let (mut log, _) = disk.open();
    log.record_fault("two leaders in a term").unwrap();
    drop(log);
    let error = disk.try_open().unwrap_err();
    assert!(
        matches!(&error, LogError::Fault { fault } if fault == "two leaders in a term"),
        "{error}"
    );
}

#[test]
fn log_of_another_node_does_not_open() {
    let mut disk = Disk::new(1 << 20);
    disk.open();
    disk.options.node = NodeId(2);
    let error = disk.try_open().unwrap_err();
    assert!(matches!(error, LogError::OtherNode { .. }), "{error}");
}

#[test]
fn segment_that_got_no_name_is_removed() {
    let mut disk = Disk::new(1 << 20);
    written(&mut disk, 3);
    let name = format!("{:020}.segment.new", 5);
    fs::write(disk.path(&name), b"half a header").unwrap();
    let (_, opened) = disk.open();
    assert_eq!(opened.findings, []);
    assert!(!disk.segments().contains(&name));
}

/// Whatever single byte changes, a start never panics, and what it then returns is a prefix of what
/// was written, or it says what is damaged.
#[test]
fn log_with_any_changed_byte_opens_as_a_prefix_or_is_refused() {
    let mut disk = Disk::new(4096);
    written(&mut disk, 12);
    let image = disk.image();
    for (name, bytes) in &image {
        let used = bytes
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        for place in (0..used).step_by(29) {
            disk.restore(&image);
            disk.edit(name, |bytes| bytes[place] ^= 0x10);
            let Ok((log, opened)) = disk.try_open() else {
                continue;
            };
            let last = opened.stored.last.index;
            let mut reader = log.reader();
            let read = reader.read(LogIndex(0), last, crate::ReadLimits::NONE);
            if let Ok(read) = read {
                assert_eq!(read, entries(1, last.0, 1), "{name} {place}");
            }
        }
    }
}
