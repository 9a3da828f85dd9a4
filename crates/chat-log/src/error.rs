//! What can go wrong with the log.

use std::io;

use chat_consensus::{ClusterId, LogIndex, NodeId, Position};

/// Why the log could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk failed, or a file could not be opened.
    #[error("cannot {action} {name} of the log")]
    Io {
        /// What was tried: a verb.
        action: &'static str,
        /// The file in the log's directory; `.` is the directory.
        name: String,
        /// The disk's error.
        source: io::Error,
    },
    /// Another process, or another part of this one, has the log open.
    #[error("the log in {directory} is in use by another process")]
    InUse {
        /// The log's directory.
        directory: String,
    },
    /// An earlier write failed; what is on the disk is unknown until the log is opened again.
    #[error("the log refuses writes after a failed write")]
    Poisoned,
    /// The node that used it found that a protocol invariant is violated, and recorded that here.
    #[error(
        "this log is kept as evidence and is not used any more: its node stopped because {fault}; \
         see \"A log that ended with a fault\" in docs/storage.md"
    )]
    Fault {
        /// What the node found.
        fault: String,
    },
    /// The directory belongs to another node: two directories or two ids were exchanged.
    #[error("this log belongs to node {found}, but this is node {node}")]
    OtherNode {
        /// The node that it belongs to.
        found: NodeId,
        /// The node that opened it.
        node: NodeId,
    },
    /// The segments and the file `node` are of two clusters: files of two logs were mixed.
    #[error("the segments are of cluster {segments:?}, but the file node is of cluster {node:?}")]
    OtherCluster {
        /// The cluster of the segments.
        segments: ClusterId,
        /// The cluster in `node`.
        node: ClusterId,
    },
    /// The entries that were asked for, or that a truncation would remove in part, are damaged or
    /// missing, and valid ones follow them ([`Hole`](crate::Hole)). Nothing was changed.
    #[error("the entries after {after} through {through} of the log are damaged")]
    InHole {
        /// The last index before them.
        after: LogIndex,
        /// The last one.
        through: LogIndex,
    },
    /// What was read is not what was written.
    #[error("{segment} is damaged at byte {offset}: {what}")]
    Damaged {
        /// The segment file.
        segment: String,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// A file was written by a newer version of this program.
    #[error("{name} has format {found}, but this program supports only format {known}")]
    UnknownFormat {
        /// The file.
        name: String,
        /// Its format.
        found: u32,
        /// The only one that this program reads and writes.
        known: u32,
    },
    /// The entries that were asked for are no longer in the log: a snapshot has replaced them.
    #[error("entries after {after} are asked for, but the log begins after {base:?}")]
    BelowBase {
        /// After which index entries were asked for.
        after: LogIndex,
        /// Where the log begins.
        base: Position,
    },
    /// There is no segment of this name, or it is not a sealed one.
    #[error("the log has no such segment {name}")]
    NoSuchSegment {
        /// The name that was asked for.
        name: String,
    },
}

impl LogError {
    /// Whether the disk contains something else than what was written.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::InHole { .. } | Self::Damaged { .. })
    }

    /// Makes the error of an operation on a file from the disk's.
    pub(crate) fn io(action: &'static str, name: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            name: name.to_owned(),
            source,
        }
    }
}
