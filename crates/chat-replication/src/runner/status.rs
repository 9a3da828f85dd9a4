//! A replica's view of itself and its cluster.

use std::path::Path;
use std::time::Duration;

use chat_consensus::{NodeId, StorageId};

use crate::event::ReplicaStatus;
use crate::runner::loop_event::RunningStatus;
use crate::runner::member_status::MemberStatus;

/// A voter whose last progress is longer ago does not count on for now: a few heartbeats of any cluster.
const PROGRESS_AGE_MAX: Duration = Duration::from_secs(2);

/// A replica's view of itself and its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// "uninitialized", "removed", "learner", "follower", "pre-candidate", "candidate" or "leader".
    pub role: &'static str,
    /// The highest term seen.
    pub term: u64,
    /// Who leads it, as far as is known.
    pub leader_id: Option<u64>,
    /// The last entry accepted.
    pub last_index: u64,
    /// Everything up to here is committed.
    pub commit_index: u64,
    /// Everything up to here is applied.
    pub applied_index: u64,
    /// On a leader, one for every other member; empty elsewhere.
    pub followers: Vec<FollowerStatus>,
    /// The size of the directory's files, in bytes; 0 if the builder was given none.
    pub storage_bytes: u64,
    /// The cluster's name, once it is formed.
    pub cluster_id: Option<u128>,
    /// The name of this disk.
    pub storage_id: u128,
    /// Who counts in quorums, as far as this node and its leader know: without those whose disk was
    /// replaced, or lost what it had acknowledged, until they are voters again (R20). Empty before the
    /// cluster is formed.
    pub voter_ids: Vec<u64>,
    /// Who belongs to the cluster, as far as this node knows, in ascending order; empty before the cluster is
    /// formed.
    pub members: Vec<MemberStatus>,
    /// The highest id that a member ever had: a new node needs a higher one. 0 before the cluster is formed.
    pub highest_member_id: u64,
    /// On a leader: how many of the voters that make progress now may fail, one by one, so that those that are
    /// left still are a majority.
    pub failures_tolerated: Option<usize>,
    /// How many of the voters must agree: a majority of all that the log names, those too that do not
    /// count at the moment. 0 before the cluster is formed.
    pub quorum: usize,
    /// While this node waits to form the cluster: the nodes that have not answered that they are empty
    /// and there. Only the node with the lowest id asks; empty everywhere else.
    pub bootstrap_awaits: Vec<u64>,
    /// Terms that this node began to lead since it started.
    pub elections_won: u64,
    /// Until this node holds the leader's log through here it does not count, because its disk lost
    /// what it had acknowledged (R18); 0 if nothing was lost.
    pub repair_through_index: u64,
    /// How it is known that this disk lost what it had acknowledged, so that it has a new storage id (R18),
    /// until the node is a voter again (R20).
    pub disk_forgot: Option<String>,
    /// The index before the log's first entry: everything up to it is in a snapshot only.
    pub log_begins_index: u64,
    /// What the newest complete snapshot contains; `None` without one.
    pub snapshot_index: Option<u64>,
    /// Whether a snapshot is being taken.
    pub taking_snapshot: bool,
    /// Whether the state is missing, or behind the log's beginning (R24): until a snapshot is installed
    /// nothing is applied.
    pub state_lost: bool,
    /// The snapshot that is being downloaded.
    pub download: Option<DownloadStatus>,
}

/// How far the download of a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadStatus {
    /// What the snapshot contains.
    pub index: u64,
    /// How many bytes are there.
    pub bytes: u64,
    /// How many there are.
    pub size: u64,
}

/// What a leader knows of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FollowerStatus {
    /// The node.
    pub node_id: u64,
    /// Whether it counts in quorums.
    pub voter: bool,
    /// The highest index it is known to hold.
    pub matched_index: u64,
    /// Since its last valid fetch.
    pub last_contact: Option<Duration>,
}

impl Status {
    /// What a replica reports, and what its handle knows beside it.
    pub(super) fn new(status: RunningStatus, storage: StorageId, directory: Option<&Path>) -> Self {
        let RunningStatus {
            replica: status,
            taking,
            amnesia,
        } = status;
        let failures_tolerated = failures_tolerated(&status);
        let followers = status.followers.unwrap_or_default().into_iter();
        let followers = followers.map(|follower| FollowerStatus {
            node_id: follower.node.0,
            voter: follower.voter,
            matched_index: follower.match_index.0,
            last_contact: follower.last_fetch.map(|at| status.at.since(at)),
        });
        let ids = |nodes: Vec<NodeId>| nodes.into_iter().map(|node| node.0).collect();
        let membership = status.membership;
        let committed = status.committed_membership;
        let members = membership.as_ref().map_or_else(Vec::new, |membership| {
            MemberStatus::all(membership, committed.as_ref())
        });
        Self {
            role: status.role.name(),
            term: status.term.0,
            leader_id: status.leader.map(|leader| leader.0),
            last_index: status.last.0,
            commit_index: status.committed.0,
            applied_index: status.applied.0,
            followers: followers.collect(),
            storage_bytes: directory.map_or(0, directory_bytes),
            cluster_id: membership.as_ref().map(|membership| membership.cluster.0),
            storage_id: storage.0,
            voter_ids: ids(status.counted_voters),
            members,
            highest_member_id: membership.as_ref().map_or(0, |members| members.highest.0),
            failures_tolerated,
            quorum: status.quorum,
            bootstrap_awaits: status.bootstrap_awaits.map(ids).unwrap_or_default(),
            elections_won: status.elections_won,
            repair_through_index: status.repair_through.0,
            disk_forgot: amnesia,
            log_begins_index: status.log_begins.0,
            snapshot_index: status.snapshot.map(|snapshot| snapshot.0),
            taking_snapshot: taking.0,
            state_lost: status.lost_state,
            download: status.download.map(|download| DownloadStatus {
                index: download.position.index.0,
                bytes: download.bytes,
                size: download.size,
            }),
        }
    }
}

/// What is left of a leader's majority: itself, and the voters that have made progress lately.
fn failures_tolerated(status: &ReplicaStatus) -> Option<usize> {
    let membership = status.membership.as_ref()?;
    let progresses = |follower: &&chat_consensus::FollowerStatus| {
        follower.voter
            && membership.voter(follower.node).is_some()
            && status.at.since(follower.progressed_at) < PROGRESS_AGE_MAX
    };
    let others = status.followers.as_ref()?.iter().filter(progresses);
    Some((others.count() + 1).saturating_sub(status.quorum))
}

/// With the folders in it and theirs, for the log, the snapshots and a state.
fn directory_bytes(directory: &Path) -> u64 {
    fn bytes(path: &Path, depth: usize) -> u64 {
        let entries = std::fs::read_dir(path).into_iter().flatten();
        let size = |entry: std::fs::DirEntry| match entry.metadata() {
            Ok(found) if found.is_file() => found.len(),
            Ok(found) if found.is_dir() && depth > 0 => bytes(&entry.path(), depth - 1),
            _ => 0,
        };
        entries.filter_map(Result::ok).map(size).sum()
    }
    bytes(directory, 2)
}
