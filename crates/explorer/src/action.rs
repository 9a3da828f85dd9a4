//! What can happen next.

use std::fmt;

use chat_consensus::{Membership, NodeId};
use clap::Args;

/// One step. Everything else is decided by the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The message arrives that was sent first.
    Deliver,
    /// The message that would arrive next is late: it arrives at any time from then on, or never.
    Delay,
    /// One of the late messages arrives.
    DeliverLate(usize),
    /// No message reaches or leaves a node any more.
    Isolate(usize),
    /// A node is connected again; what was sent meanwhile arrives.
    Connect(usize),
    /// A leader's log does not reach its disk before other things happen.
    Slow(usize),
    /// A node starts an election, as if its leader had named it the successor: when it does so by itself is
    /// decided by time and by a pre-vote, on which nothing may depend but liveness.
    Campaign(usize),
    /// A leader's log reaches its disk.
    Sync(usize),
    /// A node is killed and starts again.
    Restart(usize),
    /// A node starts with an empty disk.
    Wipe(usize),
    /// A node starts with the disk that it had before.
    Return(usize),
    /// A client's command reaches a leader.
    Propose(usize),
    /// New members are requested of a leader.
    Change(usize, Box<Membership>),
    /// A node is to leave the members of a leader.
    Remove(usize, NodeId),
    /// A leader announces itself to a node that does not follow it, once more (R9).
    Announce(usize, usize),
    /// A leader answers the fetches that do not know the newest commit index.
    Notice(usize),
    /// A follower's pause after a failed fetch, or the wait for its response, is over.
    Retry(usize),
}

/// How often each kind of action may be taken; by default never, and by that of the options what the program
/// explores without any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Args)]
pub struct Budget {
    /// Elections, beside the first one.
    #[arg(long, default_value_t = 1)]
    pub campaigns: u8,
    /// Messages that are late.
    #[arg(long, default_value_t = 0)]
    pub delays: u8,
    /// Nodes that are isolated.
    #[arg(long, default_value_t = 1)]
    pub isolations: u8,
    /// Syncs that are late.
    #[arg(long, default_value_t = 0)]
    pub slow_syncs: u8,
    /// Restarts.
    #[arg(long, default_value_t = 0)]
    pub restarts: u8,
    /// Disks that are replaced by empty ones.
    #[arg(long, default_value_t = 1)]
    pub wipes: u8,
    /// Disks that return.
    #[arg(long, default_value_t = 1)]
    pub returns: u8,
    /// Commands of clients.
    #[arg(long, default_value_t = 0)]
    pub proposals: u8,
    /// Changes of the members that are requested. Those that follow by R20 are not counted.
    #[arg(long, default_value_t = 2)]
    pub changes: u8,
    /// Nodes that are removed.
    #[arg(long, default_value_t = 0)]
    pub removals: u8,
    /// Repeated announcements.
    #[arg(long, default_value_t = 2)]
    pub announcements: u8,
    /// Notices of the commit index.
    #[arg(long, default_value_t = 0)]
    pub notices: u8,
    /// Repeated fetches.
    #[arg(long, default_value_t = 0)]
    pub retries: u8,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |node: &usize| node + 1;
        match self {
            Self::Deliver => write!(f, "the next message arrives"),
            Self::Delay => write!(f, "the next message is late"),
            Self::DeliverLate(place) => write!(f, "late message {place} arrives"),
            Self::Isolate(node) => write!(f, "node {} is isolated", number(node)),
            Self::Connect(node) => write!(f, "node {} is connected again", number(node)),
            Self::Slow(node) => write!(f, "node {} syncs later", number(node)),
            Self::Campaign(node) => write!(f, "node {} campaigns", number(node)),
            Self::Sync(node) => write!(f, "node {} syncs its log", number(node)),
            Self::Restart(node) => write!(f, "node {} restarts", number(node)),
            Self::Wipe(node) => write!(f, "node {} starts with an empty disk", number(node)),
            Self::Return(node) => write!(f, "node {} starts with its old disk", number(node)),
            Self::Propose(node) => write!(f, "a command reaches node {}", number(node)),
            Self::Change(node, next) => {
                write!(
                    f,
                    "node {} is to change the members to {next:?}",
                    number(node)
                )
            }
            Self::Remove(leader, node) => {
                write!(f, "node {} is to remove node {node}", number(leader))
            }
            Self::Announce(leader, node) => write!(
                f,
                "node {} announces itself to node {}",
                number(leader),
                number(node)
            ),
            Self::Notice(node) => write!(f, "node {} sends its commit index", number(node)),
            Self::Retry(node) => write!(f, "node {} fetches again", number(node)),
        }
    }
}
