//! Every state in which a process could have died, of one run of it.

use std::{fmt, io};

use super::change::Change;
use super::disk::Disk;

/// A disk before one change, and the change.
#[derive(Clone)]
pub struct CrashPoint {
    before: Box<Disk>,
    change: Change,
}

impl CrashPoint {
    pub(crate) fn new((before, change): (Disk, Change)) -> Self {
        Self {
            before: Box::new(before),
            change,
        }
    }

    /// The disk before the change.
    pub(crate) fn before(&self) -> Disk {
        (*self.before).clone()
    }

    /// Asks `disk` for the change.
    pub(crate) fn repeat(&self, disk: &mut Disk) -> io::Result<()> {
        match &self.change {
            Change::Create(name) => disk.create(name).map(drop),
            Change::Rename(from, to) => disk.rename(from, to),
            Change::Remove(name) => disk.remove(name),
            Change::Write(file, offset, bytes) => disk.write(*file, *offset, bytes),
            Change::SetLength(file, length) => disk.set_length(*file, *length),
            Change::Sync(file) => disk.sync(*file),
            Change::SyncNames => disk.sync_names(),
        }
    }
}

impl fmt::Debug for CrashPoint {
    /// Only the change: a disk is too long to read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.before.cache.names.iter();
        let mut name_of = names.map(|(name, file)| (*file, name.as_str()));
        let mut name = |wanted| {
            let found = name_of.find(|(file, _)| *file == wanted);
            found.map_or("a removed file", |(_, name)| name)
        };
        match &self.change {
            Change::Create(name) => write!(f, "create {name}"),
            Change::Rename(from, to) => write!(f, "rename {from} to {to}"),
            Change::Remove(name) => write!(f, "remove {name}"),
            Change::Write(file, offset, bytes) => {
                write!(
                    f,
                    "write {} bytes at {offset} of {}",
                    bytes.len(),
                    name(*file)
                )
            }
            Change::SetLength(file, length) => write!(f, "set {} to {length}", name(*file)),
            Change::Sync(file) => write!(f, "sync {}", name(*file)),
            Change::SyncNames => write!(f, "sync names"),
        }
    }
}
