//! Converts `log.db` into segment files, once, at the first start of a version that uses them.
//!
//! The order makes it safe to be interrupted: everything is in `log.new` and synced before `log.db` is
//! renamed, and that is synced before `log.new` becomes `log`. So there is never a moment with two logs
//! that a start could use, and never one without.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use chat_consensus::{BlockNumber, LogIndex, NodeId, Stored, Writes};
use chat_log::{Options, SegmentLog};
use futures::executor::block_on;

use crate::commit_log::{CommitLog, LogError, ReadLimits};

/// The log of before.
const OLD: &str = "log.db";
/// The log of before, once the new one is complete. It is not read again.
pub const CONVERTED: &str = "log.db.converted";
/// The new log while it is written.
const UNFINISHED: &str = "log.new";
/// The new log.
const NEW: &str = "log";

/// Entries in one block of the new log, and in one step of the progress.
const STEP_ENTRIES: usize = 4096;
/// Their payload, in bytes.
const STEP_BYTES: usize = 4 << 20;

/// Why a log was not converted. The old one is unchanged then, and the next start tries again.
#[derive(Debug, thiserror::Error)]
pub enum ConversionError {
    /// Two logs that could both be the node's.
    #[error(
        "{directory} has both {OLD} and {NEW}, which an interrupted conversion does not leave: move \
         away the one that is not this node's"
    )]
    Ambiguous {
        /// The data directory.
        directory: PathBuf,
    },
    /// The old log does not open.
    #[error("the log of before cannot be read")]
    Old(#[source] LogError),
    /// The new log cannot be written, or read again.
    #[error("the new log cannot be written")]
    New(#[source] chat_log::LogError),
    /// What was read back is not what was written.
    #[error("the new log differs from the one of before at {0}")]
    Differs(&'static str),
    /// A file could not be renamed, synced or deleted.
    #[error("cannot change {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

/// Converts the log in `directory`, the data directory of `node`, if it is of the old form; returns
/// whether it did. `random` is the system's randomness; `progress` gets the last index that is
/// written, and the log's last index.
///
/// Blocks: a million entries take some seconds.
///
/// # Errors
///
/// See [`ConversionError`].
pub fn convert(
    directory: &Path,
    node: NodeId,
    random: impl FnMut() -> u128 + Clone,
    mut progress: impl FnMut(LogIndex, LogIndex),
) -> Result<bool, ConversionError> {
    let [old, converted, unfinished, new] =
        [OLD, CONVERTED, UNFINISHED, NEW].map(|name| directory.join(name));
    if !old.exists() {
        if unfinished.exists() && converted.exists() && !new.exists() {
            rename(&unfinished, &new)?;
            return Ok(true);
        }
        return Ok(false);
    }
    if new.exists() {
        return Err(ConversionError::Ambiguous {
            directory: directory.to_owned(),
        });
    }
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(failed(&unfinished))?;
    }
    let stored = copy(directory, &unfinished, node, random.clone(), &mut progress)?;
    verify(directory, &unfinished, node, random, &stored)?;
    rename(&old, &converted)?;
    rename(&unfinished, &new)?;
    Ok(true)
}

fn copy(
    directory: &Path,
    unfinished: &Path,
    node: NodeId,
    random: impl FnMut() -> u128,
    progress: &mut impl FnMut(LogIndex, LogIndex),
) -> Result<Stored, ConversionError> {
    let (mut old, stored) = CommitLog::open(directory).map_err(ConversionError::Old)?;
    block_on(old.claim(node)).map_err(ConversionError::Old)?;
    let options = Options {
        storage: Some(stored.storage),
        ..Options::new(node)
    };
    let (mut new, _) =
        SegmentLog::open_folder(unfinished, options, random).map_err(ConversionError::New)?;
    let beginning = Writes {
        boot_count: (stored.boot_count > 0).then_some(stored.boot_count),
        hard_state: Some(stored.hard_state),
        base: stored.base.clone().map(Box::new),
        ..Writes::default()
    };
    new.append_and_sync(&beginning)
        .map_err(ConversionError::New)?;
    let last = stored.last.index;
    let mut after = LogIndex::ZERO;
    while after < last {
        let read = block_on(old.read(after, last, STEP)).map_err(ConversionError::Old)?;
        after = read.last().map_or(last, |entry| entry.position.index);
        let entries = Writes {
            entries: read,
            ..Writes::default()
        };
        new.append_and_sync(&entries)
            .map_err(ConversionError::New)?;
        progress(after, last);
    }
    new.close().map_err(ConversionError::New)?;
    old.close().map_err(ConversionError::Old)?;
    Ok(stored)
}

/// Only the new log has blocks.
fn without_blocks(stored: Stored) -> Stored {
    Stored {
        synced_block: BlockNumber::UNKNOWN,
        ..stored
    }
}

/// Reads both logs again and compares them.
fn verify(
    directory: &Path,
    unfinished: &Path,
    node: NodeId,
    random: impl FnMut() -> u128,
    stored: &Stored,
) -> Result<(), ConversionError> {
    let (mut old, _) = CommitLog::open(directory).map_err(ConversionError::Old)?;
    let (new, opened) = SegmentLog::open_folder(unfinished, Options::new(node), random)
        .map_err(ConversionError::New)?;
    if without_blocks(opened.stored) != *stored {
        return Err(ConversionError::Differs("what the protocol starts from"));
    }
    let mut reader = new.reader();
    let limits = chat_log::ReadLimits {
        entries_max: STEP_ENTRIES,
        bytes_max: STEP_BYTES,
    };
    let last = stored.last.index;
    let mut after = LogIndex::ZERO;
    while after < last {
        let written = reader
            .read(after, last, limits)
            .map_err(ConversionError::New)?;
        let Some(end) = written.last().map(|entry| entry.position.index) else {
            return Err(ConversionError::Differs("its end"));
        };
        let mut expected = Vec::new();
        while after < end {
            let read = block_on(old.read(after, end, STEP)).map_err(ConversionError::Old)?;
            after = read.last().map_or(end, |entry| entry.position.index);
            expected.extend(read);
        }
        if written != expected {
            return Err(ConversionError::Differs("an entry"));
        }
    }
    new.close().map_err(ConversionError::New)?;
    old.close().map_err(ConversionError::Old)
}

const STEP: ReadLimits = ReadLimits {
    entries_max: STEP_ENTRIES,
    bytes_max: STEP_BYTES,
};

/// Renames durably.
fn rename(from: &Path, to: &Path) -> Result<(), ConversionError> {
    fs::rename(from, to).map_err(failed(from))?;
    let folder = to.parent().unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed(folder))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ConversionError + use<> {
    let path = path.to_owned();
    move |source| ConversionError::File { path, source }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chat_consensus::{
        ClusterId, Entry, HardState, LogBase, Membership, Payload, Position, StorageId, Term, Voter,
    };

    use super::*;

    const NODE: NodeId = NodeId(2);
    const LAST: u64 = 10_000;

    /// A log of before, of [`LAST`] entries in two terms, with a vote; and what it starts from.
    fn old_log(directory: &Path) -> Stored {
        let voter = Voter {
            node: NODE,
            storage: StorageId(5),
        };
        let membership = Membership::of_voters(ClusterId(9), vec![voter]);
        let entry = |index: u64| Entry {
            position: Position::new(index, 1 + index / 6_000),
            payload: match index % 7 {
                0 => Payload::Empty,
                _ => Payload::Command(Bytes::from(index.to_be_bytes().to_vec())),
            },
        };
        let writes = Writes {
            boot_count: Some(7),
            hard_state: Some(HardState {
                term: Term(3),
                vote: Some(voter),
                cluster: Some(ClusterId(9)),
                ..HardState::default()
            }),
            base: Some(Box::new(LogBase::first(membership))),
            entries: (1..=LAST).map(entry).collect(),
            ..Writes::default()
        };
        let (mut log, _) = CommitLog::open(directory).unwrap();
        block_on(log.claim(NODE)).unwrap();
        block_on(log.write_and_sync(&writes)).unwrap();
        log.close().unwrap();
        let (log, stored) = CommitLog::open(directory).unwrap();
        log.close().unwrap();
        stored
    }

    fn random() -> u128 {
        77
    }

    fn converted(directory: &Path) -> bool {
        convert(directory, NODE, random, |_, _| {}).unwrap()
    }

    /// The new log starts from `stored`, and has every entry.
    fn assert_complete(directory: &Path, stored: &Stored) {
        assert!(!directory.join(OLD).exists() && !directory.join(UNFINISHED).exists());
        let options = Options::new(NODE);
        let (log, opened) = SegmentLog::open_folder(&directory.join(NEW), options, random).unwrap();
        assert_eq!(without_blocks(opened.stored), *stored);
        assert_eq!(opened.findings, []);
        let last = stored.last.index;
        let mut reader = log.reader();
        let read = reader.read(LogIndex::ZERO, last, chat_log::ReadLimits::NONE);
        let read = read.unwrap();
        assert_eq!(read.len() as u64, LAST);
        assert!(
            matches!(&read[0].payload, Payload::Command(bytes) if **bytes == 1_u64.to_be_bytes())
        );
    }

    #[test]
    fn old_log_is_converted_whole_and_once() {
        let directory = tempfile::tempdir().unwrap();
        let stored = old_log(directory.path());
        let mut steps = Vec::new();
        let done = convert(directory.path(), NODE, random, |done, last| {
            steps.push((done.0, last.0));
        });
        assert!(done.unwrap());
        assert!(steps.len() > 1, "{steps:?}");
        assert_eq!(steps.last(), Some(&(LAST, LAST)));
        assert_complete(directory.path(), &stored);
        assert!(!converted(directory.path()), "it is done");
        assert_complete(directory.path(), &stored);
    }

    /// A start with `log.new` and `log.db` begins again; one with `log.new` and
    /// `log.db.converted` goes on.
    #[test]
    fn interrupted_conversion_goes_on_where_it_is_safe() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let stored = old_log(path);
        fs::create_dir(path.join(UNFINISHED)).unwrap();
        fs::write(path.join(UNFINISHED).join("node"), "half of it").unwrap();
        assert!(converted(path));
        assert_complete(path, &stored);
        fs::rename(path.join(NEW), path.join(UNFINISHED)).unwrap();
        assert!(converted(path));
        assert_complete(path, &stored);
        fs::rename(path.join(CONVERTED), path.join(OLD)).unwrap();
        let refused = convert(path, NODE, random, |_, _| {});
        assert!(
            matches!(refused, Err(ConversionError::Ambiguous { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn log_of_another_node_is_not_converted() {
        let directory = tempfile::tempdir().unwrap();
        old_log(directory.path());
        let refused = convert(directory.path(), NodeId(3), random, |_, _| {});
        assert!(
            matches!(refused, Err(ConversionError::Old(_))),
            "{refused:?}"
        );
        assert!(directory.path().join(OLD).exists());
    }

    #[test]
    fn directory_without_a_log_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!converted(directory.path()));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
