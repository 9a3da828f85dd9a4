//! The log of a replica in files of its own, with term and vote, and the snapshots that replace its
//! beginning.
//!
//! Synchronous, and over a trait of a few file operations ([`Directory`], [`File`]): one
//! implementation is the operating system's ([`OsDirectory`]), one is the simulator's, whose disk
//! loses, tears and flips what was written. `docs/log-format.md` has the bytes.
//!
//! [`SegmentLog`] is the writer, owned by one thread; each [`SegmentReader`] reads what is synced,
//! beside it.

mod block;
mod block_file;
mod block_marks;
mod directory_lock;
mod dry_run;
mod error;
mod evidence;
mod fields;
mod files;
mod hole;
mod members;
mod node_changes;
mod node_file;
mod opened;
mod opening;
mod os_directory;
mod recovery;
mod salts;
mod salvage;
mod scan;
mod segment_contents;
mod segment_files;
mod segment_header;
mod segment_log;
mod segment_reader;
mod segment_writer;
mod snapshots;
mod synced_log;

#[cfg(test)]
mod tests;

pub use directory_lock::DirectoryLock;
pub use dry_run::{DryRun, DryRunFile};
pub use error::LogError;
pub use evidence::remove_old_evidence;
pub use files::{Directory, File};
pub use hole::Hole;
pub use opened::{Finding, Opened, Options};
pub use os_directory::{OsDirectory, OsFile};
pub use segment_log::SegmentLog;
pub use segment_reader::{ReadLimits, SegmentReader};
pub use snapshots::{
    Download, PIECE_BYTES_MAX, Pace, SnapshotError, SnapshotReader, SnapshotStore, unpaced,
};
