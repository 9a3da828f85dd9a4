//! R18: all files of a node are replaced by an older copy, in real files.

use std::fs;
use std::path::Path;

use chat_replication::{LogStore, NodeId, SegmentLog, StopReason};
use tempfile::TempDir;

use crate::holes::Nodes;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let (path, name) = file.map(|file| (file.path(), file.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// How the disk of node 3 is known to have forgotten; opens its log, which no replica uses.
async fn mark(nodes: &Nodes) -> Option<String> {
    let mut log = SegmentLog::new(nodes.folders[2].path().join("log"));
    log.load(NodeId(3)).await.unwrap();
    let mark = log.amnesia();
    log.close().await.unwrap();
    mark
}

/// The others remember what an earlier run had: the node stops once, and is a learner until they have not
/// heard of its old storage id for a while (R20). The copy has all the boot counts of before, so its first
/// run has one that the others know.
#[tokio::test]
async fn node_with_an_older_copy_of_its_files_says_so_until_it_votes_again() {
    let mut nodes = Nodes::start(1 << 20).await;
    nodes.write(0, 20).await;
    nodes.check_level().await;
    nodes.stop(2).await;
    let older = TempDir::new().unwrap();
    copy(nodes.folders[2].path(), older.path());
    nodes.run(2).await;
    nodes.write(0, 20).await;
    nodes.check_level().await;
    nodes.stop(2).await;

    nodes.folders[2] = older;
    nodes.run(2).await;
    let why = nodes.node(2).0.stopped().await;
    let StopReason::Fault(fault) = why else {
        panic!("{why}");
    };
    assert!(fault.to_string().contains("remembers block"), "{fault}");
    nodes.stop(2).await;
    let why = mark(&nodes).await.unwrap();
    assert!(why.contains("remembers block"), "{why}");
    nodes.run(2).await;
    nodes.check_level().await;
    let status = nodes.node(2).0.status().await.unwrap();
    assert_eq!(status.role, "learner", "{status:?}");
    assert_eq!(status.disk_forgot, Some(why), "{status:?}");
    assert!(!status.voter_ids.contains(&3), "{status:?}");

    for node in 0..3 {
        let status = nodes
            .wait_until(node, |status| {
                status.voter_ids == [1, 2, 3] && status.disk_forgot.is_none()
            })
            .await;
        assert_eq!(status.quorum, 2);
        assert_ne!(status.role, "learner", "{status:?}");
    }
    // It counts: with one of the others it is a majority.
    nodes.stop(1).await;
    nodes.write(0, 5).await;
    nodes.stop(2).await;
    assert_eq!(mark(&nodes).await, None);
}

/// A node that keeps its files is a voter after any number of starts.
#[tokio::test]
async fn node_that_is_restarted_stays_a_voter() {
    let mut nodes = Nodes::start(4 << 10).await;
    for _ in 0..3 {
        nodes.write(0, 60).await;
        nodes.check_level().await;
        for node in 0..3 {
            nodes.stop(node).await;
            nodes.run(node).await;
            nodes.check_level().await;
        }
    }
    for node in 0..3 {
        let status = nodes.node(node).0.status().await.unwrap();
        assert_ne!(status.role, "learner", "{status:?}");
    }
}
