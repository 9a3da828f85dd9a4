//! R24 with real files: snapshots are taken, served, downloaded and installed.

pub(crate) mod book;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use chat_replication::{MemoryLog, Status};

use crate::cluster::soon;
use book::{Book, Nodes, PIECE};

/// Waits until a node's status is as wanted.
async fn wait_until(nodes: &Nodes, id: usize, wanted: impl Fn(&Status) -> bool) -> Status {
    let deadline = soon();
    loop {
        let status = nodes.handle(id).status().await.unwrap();
        if wanted(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "{status:?}");
        tokio::task::yield_now().await;
    }
}

/// Proposes until the logs of the given nodes begin after `index`.
async fn compact_beyond(nodes: &Nodes, running: &[usize], index: u64) {
    let deadline = soon();
    loop {
        nodes.write(running[0], 20).await;
        let mut compacted = true;
        for id in running {
            let status = nodes.handle(*id).status().await.unwrap();
            compacted &= status.log_begins_index > index;
        }
        if compacted {
            return;
        }
        assert!(Instant::now() < deadline, "no log is compacted");
    }
}

/// What the nodes have is the same, and the chain of it, too.
async fn check_level(nodes: &Nodes, running: &[usize]) {
    nodes.write(running[0], 1).await;
    for id in running {
        let linearizable = nodes.handle(*id).ensure_linearizable(soon()).await;
        linearizable.unwrap();
    }
    let (first, chain) = nodes.book(running[0]).contents();
    for id in running {
        let (commands, other) = nodes.book(*id).contents();
        assert_eq!(commands.len(), first.len(), "node {id}");
        assert!(commands == first, "node {id}");
        // Without one it has applied nothing after it installed a snapshot of everything.
        assert!(other.is_none() || chain.is_none() || other == chain);
    }
}

fn snapshot_files(folder: &std::path::Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder.join("snapshots")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    files
        .filter(|file| file.extension().is_some_and(|end| end == "snapshot"))
        .collect()
}

#[tokio::test]
async fn follower_that_was_down_while_the_log_was_compacted_is_level_by_snapshot() {
    let mut nodes = Nodes::start(3).await;
    nodes.write(1, 10).await;
    check_level(&nodes, &[1, 2, 3]).await;
    let before = nodes.handle(3).status().await.unwrap();
    nodes.stop(3).await;
    compact_beyond(&nodes, &[1, 2], before.last_index).await;
    nodes.run(3).await;
    check_level(&nodes, &[1, 2, 3]).await;
    assert!(nodes.book(3).installed.load(Ordering::Relaxed) >= 1);
    let after = nodes.handle(3).status().await.unwrap();
    assert!(after.log_begins_index > before.last_index, "{after:?}");
    assert!(!after.state_lost && after.download.is_none(), "{after:?}");
    // It counts: with one of the others it is a majority.
    nodes.stop(2).await;
    nodes.write(3, 5).await;
    check_level(&nodes, &[1, 3]).await;
}

#[tokio::test]
async fn wiped_disk_is_filled_by_snapshot() {
    let mut nodes = Nodes::start(3).await;
    compact_beyond(&nodes, &[1, 2, 3], 1).await;
    nodes.stop(3).await;
    nodes.replace_disk(3, MemoryLog::new());
    nodes.run(3).await;
    check_level(&nodes, &[1, 2, 3]).await;
    assert_eq!(nodes.book(3).installed.load(Ordering::Relaxed), 1);
    // Later it votes by itself (R20).
    for node in 1..=3 {
        let voter = |status: &Status| status.voter_ids == [1, 2, 3] && status.role != "learner";
        wait_until(&nodes, node, voter).await;
    }
    nodes.stop(2).await;
    nodes.write(3, 5).await;
    check_level(&nodes, &[1, 3]).await;
}

/// A state in memory is gone after each restart; what it needs of its log is not there any more.
#[tokio::test]
async fn state_that_ends_before_the_log_is_restored_from_the_own_snapshot() {
    let mut nodes = Nodes::start(1).await;
    compact_beyond(&nodes, &[1], 50).await;
    let before = nodes.book(1).contents();
    nodes.stop(1).await;
    nodes.run(1).await;
    check_level(&nodes, &[1]).await;
    assert_eq!(nodes.book(1).installed.load(Ordering::Relaxed), 1);
    // Nothing is missing, and nothing was applied twice.
    assert_eq!(nodes.book(1).contents().0.len(), before.0.len() + 1);
}

#[tokio::test]
async fn lost_state_without_a_good_snapshot_is_fetched() {
    for damaged in [false, true] {
        let mut nodes = Nodes::start(3).await;
        compact_beyond(&nodes, &[1, 2, 3], 50).await;
        nodes.stop(3).await;
        for file in snapshot_files(nodes.folder(3)) {
            if damaged {
                let mut content = fs::read(&file).unwrap();
                content[3] ^= 1;
                fs::write(&file, content).unwrap();
            } else {
                fs::remove_file(&file).unwrap();
            }
        }
        nodes.run(3).await;
        check_level(&nodes, &[1, 2, 3]).await;
        assert_eq!(nodes.book(3).installed.load(Ordering::Relaxed), 1);
        // The log was whole, so the node is what it was.
        let status = nodes.handle(3).status().await.unwrap();
        assert!(status.voter_ids.contains(&3), "{status:?}");
        assert_ne!(status.role, "learner");
    }
}

/// R24: what was stored and synced is not fetched again.
#[tokio::test]
async fn download_goes_on_after_a_restart() {
    let mut nodes = Nodes::start(3).await;
    nodes.write(1, 1).await;
    nodes.stop(3).await;
    nodes.write_large(1, 8 * PIECE).await;
    compact_beyond(&nodes, &[1, 2], 20).await;
    // A newer snapshot would be offered instead after the restart.
    for id in [1, 2] {
        wait_until(&nodes, id, |status| !status.taking_snapshot).await;
    }
    nodes.network.lose_pieces_from(5 * PIECE);
    nodes.run(3).await;
    let enough = |status: &Status| {
        let download = status.download;
        download.is_some_and(|download| download.bytes >= 5 * PIECE)
    };
    let status = wait_until(&nodes, 3, enough).await;
    assert!(status.download.unwrap().size >= 8 * PIECE, "{status:?}");
    nodes.stop(3).await;
    nodes.network.take_offsets();
    nodes.network.lose_pieces_from(u64::MAX);
    nodes.run(3).await;
    check_level(&nodes, &[1, 2, 3]).await;
    let offsets = nodes.network.take_offsets();
    assert!(offsets.iter().all(|at| *at >= 4 * PIECE), "{offsets:?}");
    assert!(!offsets.is_empty());
}

/// A full disk is no reason to stop: the log has everything.
#[tokio::test]
async fn snapshot_that_cannot_be_written_does_not_stop_the_node() {
    let nodes = Nodes::start(1).await;
    nodes.book(1).full.store(true, Ordering::Relaxed);
    for _ in 0..10 {
        nodes.write(1, 20).await;
    }
    wait_until(&nodes, 1, |status| !status.taking_snapshot).await;
    assert!(nodes.book(1).attempts.load(Ordering::Relaxed) >= 1);
    let status = nodes.handle(1).status().await.unwrap();
    assert_eq!((status.snapshot_index, status.log_begins_index), (None, 0));
    check_level(&nodes, &[1]).await;
    let left = fs::read_dir(nodes.folder(1).join("snapshots")).unwrap();
    assert_eq!(left.count(), 0, "nothing of it is left");
}

#[tokio::test]
async fn entries_are_applied_while_a_snapshot_is_written() {
    let nodes = Nodes::start(1).await;
    nodes.book(1).permits.set(0);
    nodes.write(1, 20).await;
    wait_until(&nodes, 1, |status| status.taking_snapshot).await;
    nodes.write(1, 50).await;
    let during = nodes.handle(1).status().await.unwrap();
    assert!(during.taking_snapshot && during.snapshot_index.is_none());
    // The one that waits is written; the one after it, which is due already, is not.
    nodes.book(1).permits.set(1);
    let taken = |status: &Status| status.snapshot_index.is_some();
    let after = wait_until(&nodes, 1, taken).await;
    assert!(after.snapshot_index.unwrap() < during.applied_index);
    nodes.book(1).permits.set(u64::MAX);
}

/// One file is kept, and the log follows: it is at most about as large as the snapshot.
#[tokio::test]
async fn files_and_log_do_not_grow_without_a_limit() {
    let nodes = Nodes::start(1).await;
    for _ in 0..30 {
        nodes.write(1, 20).await;
    }
    let level = |status: &Status| !status.taking_snapshot && status.log_begins_index > 250;
    wait_until(&nodes, 1, level).await;
    let deadline = soon();
    while snapshot_files(nodes.folder(1)).len() > 1 {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}

/// A machine without snapshots works as before.
#[tokio::test]
async fn machine_without_snapshots_keeps_its_whole_log() {
    let nodes = Nodes::start_with(1, |book: &mut Book| book.has_snapshots = false).await;
    for _ in 0..5 {
        nodes.write(1, 20).await;
    }
    let status = nodes.handle(1).status().await.unwrap();
    assert_eq!((status.snapshot_index, status.log_begins_index), (None, 0));
    check_level(&nodes, &[1]).await;
}
