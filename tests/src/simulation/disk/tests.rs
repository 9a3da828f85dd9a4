//! The disk of a node: what each kind of death leaves.

use chat_consensus::{
    ClusterId, HardState, LogBase, Membership, NodeId, Payload, Position, Term, Voter,
};

use super::*;

/// A running process on a disk on which a cluster was bootstrapped.
fn disk() -> Disk {
    let mut disk = Disk::empty(NodeId(1), StorageId(3));
    disk.start().unwrap();
    let membership = Membership::of_voters(
        ClusterId(1),
        vec![Voter {
            node: NodeId(1),
            storage: disk.storage(),
        }],
    );
    let bootstrap = Writes {
        hard_state: Some(HardState {
            // No entry here has a higher one.
            term: Term(3),
            cluster: Some(membership.cluster),
            ..HardState::default()
        }),
        base: Some(Box::new(LogBase::first(membership))),
        ..Writes::default()
    };
    disk.write_and_sync(&bootstrap).unwrap();
    disk
}

fn entry(index: u64) -> Writes {
    Writes {
        entries: vec![Entry {
            position: Position::new(index, 1),
            payload: Payload::Empty,
        }],
        ..Writes::default()
    }
}

/// What the next start finds.
fn last(disk: &mut Disk) -> u64 {
    disk.kill();
    disk.start().unwrap().last.index.0
}

#[test]
fn unsynced_write_is_seen_by_next_process() {
    let mut disk = disk();
    disk.write_and_sync(&entry(1)).unwrap();
    disk.die_in_write(&entry(2), WriteFate::Unsynced).unwrap();
    assert_eq!(disk.durable().last().index, LogIndex(1));
    assert!(disk.has_unsynced_writes());
    assert_eq!(last(&mut disk), 2);
    assert_eq!(disk.durable().last().index, LogIndex(2));
    assert!(!disk.lose_power(false).unwrap());
    assert_eq!(last(&mut disk), 2);
}

#[test]
fn unsynced_write_is_lost_at_power_loss() {
    let mut disk = disk();
    disk.write_and_sync(&entry(1)).unwrap();
    disk.die_in_write(&entry(2), WriteFate::Unsynced).unwrap();
    assert!(disk.lose_power(false).unwrap());
    assert_eq!(last(&mut disk), 1);
}

#[test]
fn crash_within_a_write_leaves_all_of_it_or_nothing() {
    let mut found = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let mut disk = disk();
        disk.random = fastrand::Rng::with_seed(seed);
        disk.write_and_sync(&entry(1)).unwrap();
        disk.die_in_write(&entry(2), WriteFate::Crashed).unwrap();
        disk.lose_power(true).unwrap();
        let durable = disk.durable().last().index.0;
        assert_eq!(last(&mut disk), durable);
        found.insert(durable);
    }
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn roll_back_restores_the_state_before_the_transactions() {
    let mut disk = disk();
    disk.write_and_sync(&entry(1)).unwrap();
    disk.write_and_sync(&entry(2)).unwrap();
    let before = disk.durable().entries().to_vec();
    let other_end = Writes {
        boot_count: Some(4),
        truncate_after: Some(LogIndex(1)),
        entries: vec![Entry {
            position: Position::new(2, 3),
            payload: Payload::Empty,
        }],
        ..Writes::default()
    };
    disk.write_and_sync(&other_end).unwrap();
    disk.kill();
    assert_eq!(disk.roll_back(1).unwrap(), 1);
    assert_eq!(disk.durable().entries(), before);
    assert_eq!(disk.durable().boot_count, 0);
    assert_eq!(last(&mut disk), 2);
}

#[test]
fn entry_after_a_gap_is_rejected() {
    let mut disk = disk();
    assert!(disk.write_and_sync(&entry(2)).is_err());
}

#[test]
fn entries_are_read_as_they_were_written() {
    let mut disk = disk();
    for index in 1..300 {
        disk.write_and_sync(&entry(index)).unwrap();
    }
    let limits = ReadLimits {
        entries_max: 7,
        bytes_max: 100,
    };
    let read = disk.read(LogIndex(100), LogIndex(200), limits).unwrap();
    assert_eq!(read, disk.durable().entries()[100..107]);
}

/// R18: what others remember of block numbers.
#[test]
fn block_number_falls_only_on_a_disk_that_lost_blocks() {
    let mut disk = disk();
    let mut newest = disk.synced_block();
    for index in 1..20 {
        disk.write_and_sync(&entry(index)).unwrap();
        assert!(disk.synced_block() > newest);
        newest = disk.synced_block();
        disk.kill();
        assert_eq!(disk.start().unwrap().synced_block, newest);
    }
    disk.kill();
    disk.roll_back(2).unwrap();
    let found = disk.start().unwrap().synced_block;
    assert!(found < newest && found == disk.synced_block());
    // Under a new storage id its vote and its lower number are those of no voter.
    disk.begin_amnesia(StorageId(9), "others remember more")
        .unwrap();
    assert_eq!(disk.start().unwrap().storage, StorageId(9));
    disk.write_and_sync(&entry(18)).unwrap();
    let disk = disk.copy().without_block_numbers();
    assert_eq!(disk.synced_block(), BlockNumber::UNKNOWN);
}
