//! What a node reports about itself and its cluster, in types of this library.

use std::time::Duration;

use chat_proto::cluster::v1::{
    FollowerStatus as WireFollowerStatus, Member as WireMember, MemberKind as WireKind,
    SnapshotStatus as WireSnapshots, StatusResponse as WireStatus,
};

/// A node's own view of itself and its cluster. What another node reports may differ: each knows only
/// what it has received so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeStatus {
    /// The node.
    pub node_id: u64,
    /// Its role, in the server's words: `leader`, `follower`, and others; a newer server may have
    /// further ones.
    pub role: String,
    /// Its current term.
    pub term: u64,
    /// The leader of that term, if the node knows it.
    pub leader_id: Option<u64>,
    /// The index of the last entry in its log.
    pub last_index: u64,
    /// Its commit index.
    pub commit_index: u64,
    /// Its applied index.
    pub applied_index: u64,
    /// The other nodes, as the leader knows them; empty on nodes that do not lead.
    pub followers: Vec<FollowerStatus>,
    /// `ok`, or what is wrong with its storage.
    pub storage_state: String,
    /// The server's version.
    pub version: String,
    /// How long the process has been running.
    pub uptime: Duration,
    /// The cluster; `None` before the bootstrap.
    pub cluster_id: Option<String>,
    /// The size of its commit log and its state on disk.
    pub storage_bytes: u64,
    /// The nodes that count in quorums.
    pub voter_ids: Vec<u64>,
    /// How many voters must agree; `None` before the bootstrap.
    pub quorum: Option<u32>,
    /// The nodes that the bootstrap waits for, as the bootstrap node reports them.
    pub bootstrap_awaits: Vec<u64>,
    /// Where its log begins, and its snapshots; `None` from a server that has none.
    pub snapshots: Option<SnapshotStatus>,
    /// Where the members of its cluster are, as far as it knows; before it knows any, the nodes of its
    /// configuration. Empty from a server that does not report it.
    pub members: Vec<Member>,
    /// The same members, and what they are to the cluster.
    pub membership: Vec<MemberReport>,
    /// On a leader: how many voters may fail now, one by one, so that the rest still is a majority.
    pub failures_tolerated: Option<u32>,
    /// The highest id that a member ever had: a new node needs a higher one. 0 before the bootstrap.
    pub highest_member_id: u64,
}

/// A member of a cluster, as a node reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberReport {
    /// The node.
    pub node_id: u64,
    /// Whether it is a voter; otherwise it is a learner, and becomes one by itself. `None` if that is not
    /// reported.
    pub is_voter: Option<bool>,
    /// Where clients reach it; empty if that is not known.
    pub client_address: String,
    /// Where the other nodes reach it; empty if that is not known, and from a client listener.
    pub peer_address: String,
}

/// Where a node of the cluster is, as another node reports it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// The node.
    pub node_id: u64,
    /// Where clients reach it: a host and a port.
    pub address: String,
}

/// Where a node's log begins, and its snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotStatus {
    /// The index before the log's first entry: everything up to it is in a snapshot only.
    pub log_begins_index: u64,
    /// The last entry that the newest complete snapshot contains; `None` without one.
    pub newest_index: Option<u64>,
    /// Whether one is being taken.
    pub is_taking: bool,
    /// The one that is being downloaded.
    pub download: Option<SnapshotDownload>,
}

/// How far the download of a snapshot is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotDownload {
    /// The last entry that the snapshot contains.
    pub index: u64,
    /// How many bytes are there.
    pub bytes: u64,
    /// How many bytes it has.
    pub size: u64,
}

/// A follower, as its leader knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowerStatus {
    /// The node.
    pub node_id: u64,
    /// Whether it counts in quorums.
    pub is_voter: bool,
    /// The highest index up to which its log is known to be equal to the leader's.
    pub match_index: u64,
    /// How long ago its last valid fetch was; `None` if there was none.
    pub last_contact: Option<Duration>,
}

impl From<WireStatus> for NodeStatus {
    fn from(wire: WireStatus) -> Self {
        Self {
            node_id: wire.node_id,
            role: wire.role,
            term: wire.term,
            leader_id: (wire.leader_id != 0).then_some(wire.leader_id),
            last_index: wire.last_index,
            commit_index: wire.commit_index,
            applied_index: wire.applied_index,
            followers: wire.followers.into_iter().map(Into::into).collect(),
            storage_state: wire.storage_state,
            version: wire.version,
            uptime: Duration::from_millis(wire.uptime_ms),
            cluster_id: Some(wire.cluster_id).filter(|id| !id.is_empty()),
            storage_bytes: wire.storage_bytes,
            voter_ids: wire.voter_ids,
            quorum: (wire.quorum != 0).then_some(wire.quorum),
            bootstrap_awaits: wire.bootstrap_awaits,
            snapshots: wire.snapshots.map(Into::into),
            membership: wire.members.iter().map(MemberReport::from).collect(),
            members: wire
                .members
                .into_iter()
                .filter(|member| !member.client_address.is_empty())
                .map(Into::into)
                .collect(),
            failures_tolerated: wire.failures_tolerated,
            highest_member_id: wire.highest_member_id,
        }
    }
}

impl From<WireMember> for Member {
    fn from(wire: WireMember) -> Self {
        Self {
            node_id: wire.node_id,
            address: wire.client_address,
        }
    }
}

impl From<&WireMember> for MemberReport {
    fn from(wire: &WireMember) -> Self {
        Self {
            node_id: wire.node_id,
            is_voter: match wire.kind() {
                WireKind::Unspecified => None,
                kind => Some(kind == WireKind::Voter),
            },
            client_address: wire.client_address.clone(),
            peer_address: wire.peer_address.clone(),
        }
    }
}

impl From<WireSnapshots> for SnapshotStatus {
    fn from(wire: WireSnapshots) -> Self {
        Self {
            log_begins_index: wire.log_begins_index,
            newest_index: (wire.newest_index != 0).then_some(wire.newest_index),
            is_taking: wire.taking,
            download: wire.download.map(|download| SnapshotDownload {
                index: download.index,
                bytes: download.bytes,
                size: download.size,
            }),
        }
    }
}

impl From<WireFollowerStatus> for FollowerStatus {
    fn from(wire: WireFollowerStatus) -> Self {
        Self {
            node_id: wire.node_id,
            is_voter: wire.voter,
            match_index: wire.matched_index,
            last_contact: wire.last_contact_ms.map(Duration::from_millis),
        }
    }
}
