//! R24: snapshots on a disk that fails, fills up and loses what was not synced.

mod memory_directory;

use chat_consensus::{
    ChainValue, ClusterId, Membership, MembershipEdit, NodeAddresses, NodeId, PartialDownload,
    Position, StorageId, Voter,
};

use super::*;
use memory_directory::MemoryDirectory;
use std::slice::from_ref;

type Store = SnapshotStore<MemoryDirectory>;

fn base(index: u64) -> LogBase {
    let voter = |node| Voter {
        node: NodeId(node),
        storage: StorageId(u128::from(node) << 70),
    };
    LogBase {
        position: Position::new(index, 3),
        chain: ChainValue([7; 16]),
        membership: Membership::of_voters(ClusterId(99), (1..=3).map(voter).collect()),
    }
}

fn open(disk: &MemoryDirectory) -> (Store, Download<MemoryDirectory>) {
    SnapshotStore::open(disk.clone()).unwrap()
}

/// 10 MiB that do not repeat.
fn large() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut bytes = vec![0; 10 << 20];
    random.fill(&mut bytes);
    bytes
}

/// A snapshot as another node has it.
fn foreign(index: u64, state: &[u8]) -> (Store, Snapshot) {
    let (mut store, _) = open(&MemoryDirectory::default());
    let snapshot = store.write(base(index), state).unwrap();
    (store, snapshot)
}

/// Stores pieces from what is there until `through` bytes are.
fn fetch(
    download: &mut Download<MemoryDirectory>,
    from: &Store,
    snapshot: &Snapshot,
    through: u64,
) {
    let mut reader = from.reader();
    let there = download
        .progress()
        .filter(|there| there.id == snapshot.id());
    let mut stored = there.map_or(0, |there| there.bytes);
    while stored < through.min(snapshot.size) {
        let piece = reader.read(snapshot.id(), stored, PIECE_BYTES_MAX).unwrap();
        stored = download.store(snapshot.id(), stored, &piece).unwrap();
    }
}

/// The whole content, verified.
fn content(store: &Store, snapshot: &Snapshot) -> Vec<u8> {
    let mut reader = store.reader();
    reader.verify(snapshot.id(), &mut unpaced).unwrap();
    let mut content = Vec::new();
    loop {
        let offset = content.len() as u64;
        let piece = reader.read(snapshot.id(), offset, usize::MAX).unwrap();
        if piece.is_empty() {
            return content;
        }
        content.extend(piece);
    }
}

fn partial(snapshot: &Snapshot, bytes: u64) -> Option<PartialDownload> {
    let id = snapshot.id();
    Some(PartialDownload { id, bytes })
}

#[test]
fn snapshot_survives_a_power_failure_once_it_is_complete() {
    let disk = MemoryDirectory::default();
    let taken = open(&disk).0.write(base(5), b"state").unwrap();
    disk.lose_power();
    let (store, _) = open(&disk);
    assert_eq!(store.kept(), from_ref(&taken));
    assert_eq!(content(&store, &taken), b"state");
}

/// Wherever the power fails while one is taken, the one before it is still there.
#[test]
fn interrupted_snapshot_leaves_the_one_before_it() {
    let disk = MemoryDirectory::default();
    let (mut store, _) = open(&disk);
    let first = store.write(base(5), b"first").unwrap();
    let name = store.begin().unwrap();
    disk.create(name).unwrap().write_at(0, b"sec").unwrap();
    disk.sync().unwrap();
    disk.lose_power();
    assert_eq!(open(&disk).0.kept(), from_ref(&first));
    // Renamed, and no sidecar beside it.
    let unfinished = Snapshot {
        base: base(9),
        digest: Digest([1; 32]),
        size: 3,
    };
    let name = Store::file_name(&unfinished);
    disk.create(&name).unwrap().write_at(0, b"sec").unwrap();
    disk.create("notes.txt").unwrap();
    disk.sync().unwrap();
    assert_eq!(open(&disk).0.kept(), [first]);
    let names = disk.names().unwrap();
    assert!(!names.contains(&name), "{names:?}");
    assert!(names.contains(&"notes.txt".to_owned()), "not ours");
}

#[test]
fn removed_snapshot_is_gone_permanently() {
    let disk = MemoryDirectory::default();
    let (mut store, _) = open(&disk);
    let first = store.write(base(1), b"state").unwrap();
    let second = store.write(base(2), b"state").unwrap();
    assert_eq!(store.kept(), [first.clone(), second.clone()]);
    store.remove(first.id()).unwrap();
    store.remove(first.id()).unwrap();
    assert_eq!(store.kept(), from_ref(&second));
    disk.lose_power();
    assert_eq!(open(&disk).0.kept(), [second]);
}

/// A file of the right size with other content is never used.
#[test]
fn damaged_snapshot_is_neither_read_nor_offered() {
    let disk = MemoryDirectory::default();
    let taken = open(&disk).0.write(base(5), b"state").unwrap();
    disk.flip(&Store::file_name(&taken), 2);
    let (store, _) = open(&disk);
    assert_eq!(store.kept(), from_ref(&taken));
    let mut reader = store.reader();
    let read = reader.read(taken.id(), 0, 10);
    assert!(
        matches!(read, Err(SnapshotError::Unknown { .. })),
        "{read:?}"
    );
    let verified = reader.verify(taken.id(), &mut unpaced);
    let wrong = matches!(verified, Err(SnapshotError::WrongDigest { .. }));
    assert!(wrong, "{verified:?}");
    assert_eq!(store.kept(), []);
    assert_eq!(disk.names().unwrap(), [""; 0]);
}

/// A file that rots while it is served is not served for ever.
#[test]
fn snapshot_that_rots_is_found_by_verifying_again() {
    let disk = MemoryDirectory::default();
    let (mut store, _) = open(&disk);
    let taken = store.write(base(5), b"state").unwrap();
    let mut reader = store.reader();
    reader.verify_again(taken.id(), &mut unpaced).unwrap();
    disk.flip(&Store::file_name(&taken), 2);
    reader.verify(taken.id(), &mut unpaced).unwrap();
    assert_eq!(reader.read(taken.id(), 0, 2).unwrap(), b"st");
    let again = reader.verify_again(taken.id(), &mut unpaced);
    assert!(matches!(again, Err(SnapshotError::WrongDigest { .. })));
    assert_eq!(store.kept(), []);
}

#[test]
fn damaged_sidecar_does_not_count_and_a_newer_one_is_refused() {
    let disk = MemoryDirectory::default();
    let taken = open(&disk).0.write(base(5), b"state").unwrap();
    disk.flip(&sidecar_name(&taken), 20);
    assert_eq!(open(&disk).0.kept(), []);
    let newer = record::encode(sidecar::SNAPSHOT, 4, b"???");
    let file = disk.create(&sidecar_name(&taken)).unwrap();
    file.write_at(0, &newer).unwrap();
    let opened = SnapshotStore::open(disk);
    let refused = matches!(opened, Err(SnapshotError::NewerFormat { version: 4, .. }));
    assert!(refused, "{opened:?}");
}

/// R19: with learners and addresses; format 1 had neither, and ended with the voters.
#[test]
fn snapshot_keeps_its_members_and_one_of_an_earlier_format_counts() {
    let disk = MemoryDirectory::default();
    let mut base = base(5);
    let add = MembershipEdit::Add(
        NodeId(9),
        NodeAddresses {
            peer: "nine:7501".into(),
            client: "nine:7401".into(),
        },
    );
    let plain = base.membership.clone();
    base.membership = plain.edited(&add).unwrap().unwrap();
    let taken = open(&disk).0.write(base.clone(), b"state").unwrap();
    assert_eq!(open(&disk).0.kept(), from_ref(&taken));
    disk.remove(&sidecar_name(&taken)).unwrap();

    let learners = vec![NodeId(4), NodeId(9)];
    base.membership = Membership::of(plain.cluster, plain.voters, learners);
    let taken = open(&disk).0.write(base, b"state").unwrap();

    let name = sidecar_name(&taken);
    let mut bytes = vec![0; 1000];
    let length = disk.open(&name).unwrap().read_at(0, &mut bytes).unwrap();
    // Kind, format, position, digest, size, chain value, cluster; number of voters; voters; number of
    // learners, learners; checksum.
    assert_eq!(length, 12 + 88 + 4 + 3 * 24 + 4 + 2 * 8 + 4);
    let second = record::encode(sidecar::SNAPSHOT, 2, &bytes[12..length - 4]);
    let first = [&bytes[12..100], &bytes[104..176]].concat();
    let first = record::encode(sidecar::SNAPSHOT, 1, &first);
    let mut without = taken.clone();
    let Membership {
        cluster, voters, ..
    } = taken.base.membership.clone();
    without.base.membership = Membership::of_voters(cluster, voters);
    for (earlier, expected) in [(second, taken), (first, without)] {
        disk.remove(&name).unwrap();
        let file = disk.create(&name).unwrap();
        file.write_at(0, &earlier).unwrap();
        assert_eq!(open(&disk).0.kept(), [expected]);
    }
}

/// What was written before a full disk stays, nothing of the new one does, and a later attempt works.
#[test]
fn full_disk_is_an_error_that_leaves_the_rest() {
    let disk = MemoryDirectory::default();
    let (mut store, mut download) = open(&disk);
    let first = store.write(base(5), b"first").unwrap();
    let names = disk.names().unwrap();
    disk.set_full(true);
    let error = store.write(base(6), b"second").unwrap_err();
    assert!(error.is_full(), "{error}");
    assert_eq!(disk.names().unwrap(), names);
    assert_eq!(store.kept(), [first]);
    let other = foreign(9, b"other").1;
    let error = download.store(other.id(), 0, b"other").unwrap_err();
    assert!(error.is_full(), "{error}");
    disk.set_full(false);
    store.write(base(6), b"second").unwrap();
}

#[test]
fn failed_sync_leaves_no_snapshot() {
    let disk = MemoryDirectory::default();
    let (mut store, _) = open(&disk);
    disk.set_failing_syncs(true);
    store.write(base(6), b"state").unwrap_err();
    assert_eq!(store.kept(), []);
    disk.set_failing_syncs(false);
    assert_eq!(open(&disk).0.kept(), []);
}

/// R24: pieces in order, over restarts of both sides; a power failure costs at most 4 MiB.
#[test]
fn download_goes_on_after_a_power_failure_and_is_installed_whole() {
    let state = large();
    let (other, snapshot) = foreign(9, &state);
    let disk = MemoryDirectory::default();
    let (_, mut download) = open(&disk);
    fetch(&mut download, &other, &snapshot, 7 << 20);
    disk.lose_power();
    let (store, mut download) = open(&disk);
    assert_eq!(download.progress(), partial(&snapshot, 4 << 20));
    fetch(&mut download, &other, &snapshot, u64::MAX);
    download.finish(&snapshot, &mut unpaced).unwrap();
    assert_eq!(download.progress(), None);
    assert_eq!(store.kept(), from_ref(&snapshot));
    let read = store.reader().read(snapshot.id(), 0, 1);
    assert_eq!(read.unwrap(), state[..1], "it is verified already");
    disk.lose_power();
    let (store, download) = open(&disk);
    assert_eq!(download.progress(), None);
    assert_eq!(content(&store, &snapshot), state);
    assert_eq!(disk.names().unwrap().len(), 2);
}

#[test]
fn piece_that_does_not_follow_is_refused() {
    let (_, snapshot) = foreign(9, b"0123456789");
    let id = snapshot.id();
    let (store, mut download) = open(&MemoryDirectory::default());
    let early = download.store(id, 4, b"4567");
    assert!(matches!(early, Err(SnapshotError::PieceDoesNotFit { .. })));
    assert_eq!(download.store(id, 0, b"0123").unwrap(), 4);
    let gap = download.store(id, 5, b"56");
    assert!(matches!(gap, Err(SnapshotError::PieceDoesNotFit { .. })));
    // What is there from the offset on is replaced.
    assert_eq!(download.store(id, 4, b"4xyz").unwrap(), 8);
    assert_eq!(download.store(id, 5, b"5").unwrap(), 6);
    assert_eq!(download.progress(), partial(&snapshot, 6));
    assert_eq!(download.store(id, 6, b"6789").unwrap(), 10);
    download.finish(&snapshot, &mut unpaced).unwrap();
    assert_eq!(content(&store, &snapshot), b"0123456789");
    let empty = foreign(10, b"").1;
    download.finish(&empty, &mut unpaced).unwrap();
    assert_eq!(content(&store, &empty), b"");
}

/// A power failure never leaves more than what is there for certain, also after a step back.
#[test]
fn download_that_went_back_claims_no_more_than_it_has() {
    let (other, snapshot) = foreign(9, &large());
    let disk = MemoryDirectory::default();
    let (_, mut download) = open(&disk);
    fetch(&mut download, &other, &snapshot, 5 << 20);
    download.store(snapshot.id(), 2 << 20, b"other").unwrap();
    disk.lose_power();
    assert_eq!(open(&disk).1.progress(), partial(&snapshot, 2 << 20));
}

#[test]
fn download_that_is_incomplete_or_has_a_wrong_digest_is_dropped() {
    let (_, snapshot) = foreign(9, b"0123456789");
    let disk = MemoryDirectory::default();
    for (stored, wrong_digest) in [("0123", false), ("012345678x", true)] {
        let (store, mut download) = open(&disk);
        download.store(snapshot.id(), 0, stored.as_bytes()).unwrap();
        let error = download.finish(&snapshot, &mut unpaced).unwrap_err();
        let wrong = matches!(error, SnapshotError::WrongDigest { .. });
        assert_eq!(wrong, wrong_digest, "{error}");
        assert_eq!((store.kept(), download.progress()), (vec![], None));
        assert_eq!(disk.names().unwrap(), [""; 0]);
    }
}

#[test]
fn other_snapshot_begins_at_0_and_a_failed_sync_too() {
    let state = large();
    let (other, snapshot) = foreign(9, &state);
    let disk = MemoryDirectory::default();
    let (_, mut download) = open(&disk);
    fetch(&mut download, &other, &snapshot, 1 << 20);
    let (newer, newest) = foreign(10, &state);
    fetch(&mut download, &newer, &newest, 3 << 20);
    assert_eq!(download.progress(), partial(&newest, 3 << 20));
    disk.set_failing_syncs(true);
    let piece = newer.reader().read(newest.id(), 3 << 20, PIECE_BYTES_MAX);
    let stored = download.store(newest.id(), 3 << 20, &piece.unwrap());
    assert!(matches!(stored, Err(SnapshotError::Io { .. })));
    assert_eq!(download.progress(), None);
}

/// A snapshot that was removed is gone for its readers; more files than four are not open at once.
#[test]
fn reader_follows_what_is_kept() {
    let disk = MemoryDirectory::default();
    let (mut store, _) = open(&disk);
    let mut reader = store.reader();
    let mut taken = Vec::new();
    for index in 1..=6 {
        let snapshot = store.write(base(index), b"state").unwrap();
        assert_eq!(reader.read(snapshot.id(), 3, 100).unwrap(), b"te");
        assert_eq!(reader.read(snapshot.id(), 9, 100).unwrap(), b"");
        taken.push(snapshot.id());
    }
    store.remove(taken[0]).unwrap();
    let read = reader.read(taken[0], 0, 1);
    assert!(matches!(read, Err(SnapshotError::Unknown { .. })));
    reader.read(taken[5], 0, 1).unwrap();
}
