//! A log in a temporary directory, and short forms of what is written into it.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use chat_consensus::{
    ClusterId, Entry, HardState, LogBase, LogIndex, Membership, NodeId, Payload, Position,
    StorageId, Term, Voter, Writes,
};

use crate::{LogError, Opened, Options, OsDirectory, ReadLimits, SegmentLog};

pub(super) type Log = SegmentLog<OsDirectory>;

/// A directory for one log.
pub(super) struct Disk {
    folder: tempfile::TempDir,
    pub(super) options: Options,
    random: u128,
}

impl Disk {
    pub(super) fn new(segment_bytes: u64) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            options: Options {
                segment_bytes,
                node: NodeId(1),
                storage: None,
            },
            random: 0,
        }
    }

    pub(super) fn try_open(&mut self) -> Result<(Log, Opened), LogError> {
        let random = &mut self.random;
        SegmentLog::open_folder(self.folder.path(), self.options, || {
            *random += 1;
            *random
        })
    }

    pub(super) fn open(&mut self) -> (Log, Opened) {
        self.try_open().unwrap()
    }

    /// Opens the log and gives it the first base.
    pub(super) fn open_with_base(&mut self) -> Log {
        let (mut log, _) = self.open();
        log.install(&base()).unwrap();
        log
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The names of the segments and what was a segment, in order.
    pub(super) fn segments(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.contains(".segment")).collect();
        names.sort();
        names
    }

    pub(super) fn last_segment(&self) -> String {
        self.segments().pop().unwrap()
    }

    /// Changes a file as `change` does.
    pub(super) fn edit(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(name)).unwrap();
        change(&mut bytes);
        fs::write(self.path(name), bytes).unwrap();
    }

    /// All files, to go back to with [`Self::restore`].
    pub(super) fn image(&self) -> Vec<(String, Vec<u8>)> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .map(|name| {
                let bytes = fs::read(self.path(&name)).unwrap();
                (name, bytes)
            })
            .collect()
    }

    pub(super) fn restore(&self, image: &[(String, Vec<u8>)]) {
        for (name, _) in self.image() {
            fs::remove_file(self.path(&name)).unwrap();
        }
        for (name, bytes) in image {
            fs::write(self.path(name), bytes).unwrap();
        }
    }
}

pub(super) fn base() -> LogBase {
    LogBase::first(Membership::of_voters(
        ClusterId(7),
        vec![Voter {
            node: NodeId(1),
            storage: StorageId(1),
        }],
    ))
}

/// Node 1 as the only voter, and the node `learner` as a learner if it is another one.
pub(super) fn members(learner: u64) -> Membership {
    let learners = [NodeId(learner)].into_iter();
    let learners = learners.filter(|node| node.0 > 1).collect();
    let Membership {
        cluster, voters, ..
    } = base().membership;
    Membership::of(cluster, voters, learners)
}

/// An entry that makes these the members.
pub(super) fn change(index: u64, term: u64, members: Membership) -> Entry {
    Entry {
        position: Position::new(index, term),
        payload: Payload::Membership(members),
    }
}

pub(super) fn entry(index: u64, term: u64) -> Entry {
    Entry {
        position: Position::new(index, term),
        payload: Payload::Command(Bytes::from(format!("entry {index} of term {term}"))),
    }
}

/// The entries `from` through `through`.
pub(super) fn entries(from: u64, through: u64, term: u64) -> Vec<Entry> {
    (from..=through).map(|index| entry(index, term)).collect()
}

/// Entries with the term of the last one in `node`, as a node writes it before them.
pub(super) fn append(entries: Vec<Entry>) -> Writes {
    let term = entries.last().map(|entry| entry.position.term.0);
    Writes {
        entries,
        ..term.map_or_else(Writes::default, vote)
    }
}

pub(super) fn truncate(after: u64, entries: Vec<Entry>) -> Writes {
    Writes {
        truncate_after: Some(LogIndex(after)),
        ..append(entries)
    }
}

pub(super) fn vote(term: u64) -> Writes {
    Writes {
        hard_state: Some(HardState {
            term: Term(term),
            vote: Some(Voter {
                node: NodeId(1),
                storage: StorageId(1),
            }),
            cluster: Some(ClusterId(7)),
            repair_through: LogIndex::ZERO,
        }),
        ..Writes::default()
    }
}

/// Every entry of the log after its base.
pub(super) fn read_all(log: &Log) -> Vec<Entry> {
    let base = log.base().unwrap().position.index;
    let mut reader = log.reader();
    reader
        .read(base, LogIndex(u64::MAX), ReadLimits::NONE)
        .unwrap()
}

/// A log of entries 1 to `last`, one a block, closed without a witness of its end.
pub(super) fn written(disk: &mut Disk, last: u64) {
    let mut log = disk.open_with_base();
    log.append_and_sync(&vote(1)).unwrap();
    for index in 1..=last {
        log.append_and_sync(&append(entries(index, index, 1)))
            .unwrap();
    }
}

/// Where the block of entry `index` begins, in a log from [`written`] with one segment.
pub(super) fn block_of(index: usize) -> usize {
    512 + 512 * index
}
