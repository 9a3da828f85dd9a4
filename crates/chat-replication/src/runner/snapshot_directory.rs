//! Where the snapshots of a replica are.

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chat_log::OsDirectory;

/// The folder in a replica's directory.
const NAME: &str = "snapshots";

/// A directory for what does not outlive the process, removed with everything in it when this is
/// dropped. It is made when it is first used.
#[derive(Debug)]
pub(super) struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    pub(super) fn new() -> Self {
        let random = RandomState::new().hash_one(());
        let name = format!("chat-replication-{}-{random:016x}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // It may never have been made; what cannot be removed is the system's to clean up.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// How long ago a file was made, or written where the file system does not know that; zero if the clock
/// was set back since.
pub(super) fn file_age(path: &Path) -> Duration {
    let made = fs::metadata(path).and_then(|file| file.created().or_else(|_| file.modified()));
    let age = made.ok().and_then(|made| made.elapsed().ok());
    age.unwrap_or(Duration::ZERO)
}

/// The folder for snapshots in `directory`; both are made if they are missing, and their names are
/// synced.
pub(super) fn open(directory: &Path) -> io::Result<OsDirectory> {
    let path = directory.join(NAME);
    private_file::create_folder(&path)?;
    fs::File::open(directory)?.sync_all()?;
    Ok(OsDirectory::new(path))
}
