//! The faulty disk itself: each promise, and each way to break it.

use super::*;

const NAME: &str = "file";

fn write(directory: &FaultyDirectory, name: &str, offset: u64, byte: u8, count: usize) {
    let file = directory.open(name).or_else(|_| directory.create(name));
    let file = file.unwrap();
    file.write_at(offset, &vec![byte; count]).unwrap();
}

fn sync(directory: &FaultyDirectory, name: &str) -> io::Result<()> {
    directory.open(name).unwrap().sync()
}

fn read(directory: &FaultyDirectory, name: &str) -> Vec<u8> {
    let file = directory.open(name).unwrap();
    let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
    bytes
}

/// A disk with a file of four sectors of ones, synced.
fn disk() -> FaultyDirectory {
    let directory = FaultyDirectory::empty();
    write(&directory, NAME, 0, 1, 4 * SECTOR);
    sync(&directory, NAME).unwrap();
    directory.sync().unwrap();
    directory
}

/// What each of 200 power losses leaves of `directory`.
fn power_losses(directory: &FaultyDirectory, tearing: Tearing) -> Vec<FaultyDirectory> {
    let image = directory.image();
    let lose = |seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        image.attach().lose_power(&mut random, tearing)
    };
    (0..200).map(lose).collect()
}

#[test]
fn synced_contents_under_a_synced_name_survive_a_power_loss() {
    for directory in power_losses(&disk(), Tearing::AtAnyByte) {
        assert_eq!(read(&directory, NAME), vec![1; 4 * SECTOR]);
    }
}

#[test]
fn unsynced_write_survives_a_kill_and_in_any_part_a_power_loss() {
    let directory = disk();
    write(&directory, NAME, 0, 2, 4 * SECTOR);
    assert_eq!(
        read(&directory.image().attach().kill(), NAME),
        vec![2; 4 * SECTOR]
    );
    let mut found = std::collections::BTreeSet::new();
    for directory in power_losses(&directory, Tearing::Never) {
        let bytes = read(&directory, NAME);
        for sector in bytes.chunks(SECTOR) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "torn");
        }
        found.insert(bytes);
    }
    assert_eq!(found.len(), 16, "every subset of four sectors");
    let torn = power_losses(&directory, Tearing::AtAnyByte);
    let torn = torn.iter().any(|directory| {
        let bytes = read(directory, NAME);
        bytes
            .chunks(SECTOR)
            .any(|sector| sector[0] != sector[SECTOR - 1])
    });
    assert!(torn);
}

#[test]
fn unsynced_length_is_the_old_or_the_new_one_or_between() {
    let directory = disk();
    write(&directory, NAME, 4 * SECTOR as u64, 2, 3 * SECTOR);
    let lengths = power_losses(&directory, Tearing::Never);
    let lengths = lengths
        .iter()
        .map(|directory| read(directory, NAME).len() / SECTOR);
    let lengths: std::collections::BTreeSet<usize> = lengths.collect();
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [4, 5, 6, 7]);
}

#[test]
fn unsynced_names_survive_in_any_prefix_or_subset() {
    let directory = disk();
    write(&directory, "new", 0, 3, SECTOR);
    sync(&directory, "new").unwrap();
    directory.rename(NAME, "renamed").unwrap();
    let mut found = std::collections::BTreeSet::new();
    for directory in power_losses(&directory, Tearing::Never) {
        let mut names = directory.names().unwrap();
        names.sort();
        found.insert(names.join(" "));
    }
    let expected = ["file", "file new", "new renamed", "renamed"];
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
    directory.sync().unwrap();
    for directory in power_losses(&directory, Tearing::Never) {
        assert_eq!(directory.names().unwrap(), ["new", "renamed"]);
    }
}

#[test]
fn name_that_was_created_and_removed_unsynced_can_come_back() {
    let directory = disk();
    write(&directory, "new", 0, 3, SECTOR);
    directory.remove("new").unwrap();
    let left = power_losses(&directory, Tearing::Never);
    let back = left.iter().filter(|disk| disk.open("new").is_ok());
    assert!((1..200).contains(&back.count()));
}

#[test]
fn failed_sync_pretends_until_the_cache_is_dropped() {
    let directory = disk();
    write(&directory, NAME, 0, 2, 4 * SECTOR);
    directory.plan(0, Trouble::SyncFails, 7);
    assert!(sync(&directory, NAME).is_err());
    assert_eq!(directory.occurred(), Some(Trouble::SyncFails));
    // The next sync succeeds, and brings nothing of it to the medium.
    sync(&directory, NAME).unwrap();
    let next = directory.kill();
    assert_eq!(read(&next, NAME), vec![2; 4 * SECTOR]);
    next.open(NAME).unwrap().drop_cache().unwrap();
    let left = read(&next, NAME);
    assert_ne!(left, vec![2; 4 * SECTOR]);
    for directory in power_losses(&next, Tearing::Never) {
        assert_eq!(read(&directory, NAME), left);
    }
}

#[test]
fn sync_that_lies_is_lost_at_the_power_loss() {
    let directory = disk();
    write(&directory, NAME, 0, 2, SECTOR);
    directory.plan(0, Trouble::SyncLies, 7);
    sync(&directory, NAME).unwrap();
    write(&directory, NAME, SECTOR as u64, 3, SECTOR);
    sync(&directory, NAME).unwrap();
    assert_eq!(read(&directory, NAME)[0], 2);
    for directory in power_losses(&directory, Tearing::Never) {
        let bytes = read(&directory, NAME);
        assert_eq!((bytes[0], bytes[SECTOR]), (1, 3));
    }
}

#[test]
fn misdirected_sector_is_not_where_it_belongs() {
    let directory = disk();
    write(&directory, NAME, 0, 2, SECTOR);
    directory.plan(0, Trouble::Misdirected, 3);
    sync(&directory, NAME).unwrap();
    assert_eq!(read(&directory, NAME)[0], 2, "the cache has it");
    let (directory, _) = directory.lose_flushes(0);
    let bytes = read(&directory, NAME);
    assert_eq!(bytes[0], 1);
    assert_eq!(
        bytes[SECTOR..].iter().filter(|byte| **byte == 2).count(),
        SECTOR
    );
}

#[test]
fn lost_flushes_restore_contents_and_names() {
    let directory = disk();
    let flushes = directory.flushes();
    write(&directory, NAME, 0, 2, SECTOR);
    sync(&directory, NAME).unwrap();
    directory.remove(NAME).unwrap();
    directory.sync().unwrap();
    assert_eq!(directory.flushes(), flushes + 2);
    let (one, lost) = directory.image().attach().lose_flushes(1);
    assert_eq!((lost, read(&one, NAME)[0]), (1, 2));
    let (two, lost) = directory.lose_flushes(2);
    assert_eq!((lost, read(&two, NAME)[0]), (2, 1));
}

#[test]
fn crash_ends_every_handle_and_does_some_of_the_write() {
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let directory = disk();
        let file = directory.open(NAME).unwrap();
        directory.plan(0, Trouble::Crash, seed);
        assert!(file.write_at(0, &[2; 2 * SECTOR]).is_err());
        assert!(file.length().is_err());
        assert!(directory.names().is_err());
        let next = directory.kill();
        assert!(file.length().is_err(), "a handle of the dead process");
        let new = read(&next, NAME).iter().filter(|byte| **byte == 2).count();
        lengths.insert(new);
    }
    assert_eq!(
        lengths.into_iter().collect::<Vec<_>>(),
        [0, SECTOR, 2 * SECTOR]
    );
}

#[test]
fn full_disk_refuses_what_does_not_fit() {
    let directory = disk();
    directory.limit_capacity(Some(5 * SECTOR as u64));
    let file = directory.create("new").unwrap();
    let error = file.write_at(0, &[2; 2 * SECTOR]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    file.write_at(0, &[2; SECTOR]).unwrap();
    assert!(file.set_length(2 * SECTOR as u64).is_err());
    write(&directory, NAME, 0, 5, 4 * SECTOR);
}

#[test]
fn removed_file_stays_readable_while_it_is_open() {
    let directory = disk();
    let file = directory.open(NAME).unwrap();
    directory.remove(NAME).unwrap();
    directory.sync().unwrap();
    let mut byte = [0];
    assert_eq!(file.read_at(0, &mut byte).unwrap(), 1);
    assert!(directory.open(NAME).is_err());
}

#[test]
fn rot_changes_the_medium() {
    let directory = disk();
    let before = directory.image();
    write(&directory, NAME, SECTOR as u64, 2, SECTOR);
    sync(&directory, NAME).unwrap();
    let image = directory.image();
    let rotten = |rot| {
        let (directory, changed) = image.attach().rot(NAME, rot);
        assert!(changed, "{rot:?}");
        read(&directory, NAME)
    };
    assert_eq!(rotten(Rot::Flip { bit: 9 })[1], 1 ^ 2);
    assert_eq!(rotten(Rot::Zero { sector: 1 })[SECTOR], 0);
    assert_eq!(rotten(Rot::Truncate { length: 700 }).len(), 700);
    let swapped = rotten(Rot::Swap { left: 0, right: 1 });
    assert_eq!((swapped[0], swapped[SECTOR]), (2, 1));
    let (old, changed) = image.attach().restore(NAME, &before);
    assert!(changed);
    assert_eq!(read(&old, NAME)[SECTOR], 1);
    assert!(!image.attach().rot(NAME, Rot::Zero { sector: 9 }).1);
}

#[test]
fn each_recorded_change_can_be_where_the_process_dies() {
    let directory = disk();
    directory.record();
    write(&directory, NAME, 0, 2, SECTOR);
    sync(&directory, NAME).unwrap();
    let points = directory.take_recorded();
    assert_eq!(points.len(), 2);
    let (during_write, _) = points[0].crash(1).lose_flushes(0);
    assert_eq!(read(&during_write, NAME)[0], 1);
    let during_sync = points[1].crash(1).kill();
    assert_eq!(read(&during_sync, NAME)[0], 2);
    assert_eq!(read(&directory, NAME)[0], 2, "the original goes on");
}
