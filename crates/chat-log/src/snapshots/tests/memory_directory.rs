//! A directory in memory that forgets what was not synced, fills up, and fails a sync.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use crate::files::{Directory, File};

/// Its clones are the same directory.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryDirectory(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    names: BTreeMap<String, Arc<Mutex<Content>>>,
    synced_names: BTreeMap<String, Arc<Mutex<Content>>>,
    full: bool,
    failing_syncs: bool,
}

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct MemoryFile {
    content: Arc<Mutex<Content>>,
    disk: Arc<Mutex<Disk>>,
}

impl MemoryDirectory {
    /// A power failure: what was not synced is gone, but for the lengths of files.
    pub(super) fn lose_power(&self) {
        let mut disk = self.0.lock().unwrap();
        disk.names = disk.synced_names.clone();
        for content in disk.names.values() {
            let mut content = content.lock().unwrap();
            let length = content.bytes.len();
            content.bytes = content.synced.clone();
            content.bytes.resize(length, 0);
        }
    }

    pub(super) fn set_full(&self, full: bool) {
        self.0.lock().unwrap().full = full;
    }

    pub(super) fn set_failing_syncs(&self, failing: bool) {
        self.0.lock().unwrap().failing_syncs = failing;
    }

    /// Flips a bit, as a disk does that rots.
    pub(super) fn flip(&self, name: &str, offset: usize) {
        let disk = self.0.lock().unwrap();
        disk.names[name].lock().unwrap().bytes[offset] ^= 1;
    }
}

impl Directory for MemoryDirectory {
    type File = MemoryFile;

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<MemoryFile> {
        let mut disk = self.0.lock().unwrap();
        if disk.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let content = Arc::<Mutex<Content>>::default();
        disk.names.insert(name.to_owned(), Arc::clone(&content));
        let disk = Arc::clone(&self.0);
        Ok(MemoryFile { content, disk })
    }

    fn open(&self, name: &str) -> io::Result<MemoryFile> {
        let content = self.0.lock().unwrap().names.get(name).cloned();
        let content = content.ok_or(io::ErrorKind::NotFound)?;
        let disk = Arc::clone(&self.0);
        Ok(MemoryFile { content, disk })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let content = disk.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.names.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let removed = self.0.lock().unwrap().names.remove(name);
        removed.map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        disk.synced_names = disk.names.clone();
        Ok(())
    }
}

impl File for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.content.lock().unwrap().bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let content = self.content.lock().unwrap();
        let from = usize::try_from(offset).unwrap().min(content.bytes.len());
        let there = &content.bytes[from..];
        let length = there.len().min(buffer.len());
        buffer[..length].copy_from_slice(&there[..length]);
        Ok(length)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.disk.lock().unwrap().full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut content = self.content.lock().unwrap();
        let from = usize::try_from(offset).unwrap();
        let length = content.bytes.len().max(from + bytes.len());
        content.bytes.resize(length, 0);
        content.bytes[from..from + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap();
        self.content.lock().unwrap().bytes.resize(length, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.disk.lock().unwrap().failing_syncs {
            return Err(io::Error::other("the medium failed"));
        }
        let mut content = self.content.lock().unwrap();
        content.synced = content.bytes.clone();
        Ok(())
    }

    fn drop_cache(&self) -> io::Result<()> {
        Ok(())
    }
}
