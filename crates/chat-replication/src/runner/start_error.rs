//! Why a replica could not start.

use crate::runner::state_machine::{Applied, BoxError};

/// Why a replica could not start. Nothing was changed, but a directory may have been made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting of the builder is wrong.
    #[error("{setting} is wrong")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What is wrong with it.
        #[source]
        problem: BoxError,
    },
    /// The commit log cannot be opened: in use, unreadable, damaged, or another node's.
    #[error("the commit log cannot be opened")]
    Log(#[source] BoxError),
    /// The log is empty, so its disk is new, and the state was made from another log. Delete the
    /// state: everything is applied again.
    #[error(
        "the log is empty, but the state machine has applied entry {} of term {}: the log is a new \
         disk's; delete the state, it is filled again from the log",
        applied.index, applied.term
    )]
    StateOfAnotherLog {
        /// What the state machine reports.
        applied: Applied,
    },
    /// The state machine has applied what the log does not hold (any more): this disk lost entries
    /// that it had acknowledged (R18), or the state is another node's. The state is the evidence.
    #[error(
        "this disk has lost log entries that it had acknowledged: the state machine has applied \
         entry {} of term {}, and the log, which ends at entry {last}, does not hold it. Keep both \
         files; the node must not vote with this log again",
        applied.index, applied.term
    )]
    LogLostEntries {
        /// What the state machine reports.
        applied: Applied,
        /// The index of the log's last entry.
        last: u64,
    },
    /// The state machine has applied entries of another log, although this one has an entry at that
    /// place. Delete the state: it is filled again from the log, or from a snapshot.
    #[error(
        "the state machine has applied entry {} of term {} of another log; delete the state, it is \
         filled again",
        applied.index, applied.term
    )]
    StateDiverges {
        /// What the state machine reports.
        applied: Applied,
    },
    /// The snapshots cannot be opened.
    #[error("the snapshots cannot be opened")]
    Snapshots(#[source] BoxError),
    /// The state machine did not install this node's own snapshot, although its state ends before the
    /// log begins.
    #[error("the state cannot be restored from a snapshot")]
    Restore(#[source] BoxError),
    /// A limit is too small.
    #[error("limits.{field} is {value} and must be at least {least}")]
    LimitTooSmall {
        /// Which of [`Limits`](crate::Limits).
        field: &'static str,
        /// What was given.
        value: usize,
        /// The smallest that will do.
        least: usize,
    },
    /// A limit is too large: what it allows could not travel between nodes, or not be counted.
    #[error("limits.{field} is {value} and must be at most {most}")]
    LimitTooLarge {
        /// Which of [`Limits`](crate::Limits).
        field: &'static str,
        /// What was given.
        value: usize,
        /// The largest that will do.
        most: usize,
    },
    /// The runtime cannot run a replica: it needs timers and sockets (`enable_all`).
    #[error("the runtime has no timers")]
    Runtime(#[source] BoxError),
    /// The transport can send nothing to a node's address.
    #[error("nodes has no valid address for node {id}")]
    Address {
        /// The node.
        id: u64,
        /// What is wrong with its address.
        #[source]
        problem: BoxError,
    },
}
