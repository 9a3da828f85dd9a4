//! Where a node's states are: each in a directory of its own, `state/<index>-<random>/`, one of which
//! is the current one.
//!
//! No database file is ever renamed over another: SQLite would replay the old write-ahead log into the
//! new file. A directory is complete and synced before it is named, so a crash leaves the old state or
//! the new one. A state that turned out to be wrong is evidence: it is kept for a while beside the
//! others, with the reason in it.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chat_consensus::LogIndex;

use super::current::{self, Current};
use super::error::StateError;
use crate::database::OpenError;
use crate::directory;

/// How long a state that was set aside is kept.
const EVIDENCE_KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Where the name of a state that was set aside begins.
const ASIDE: &str = "aside-";

/// The file that says why the state beside it must not be used.
const REASON: &str = "reason.txt";

/// The directory of the state of a program that had no such directories. The name is fixed: the file
/// is moved before the directory is named, and a start after a crash in between must find it.
pub(super) const CONVERTED: &str = "0-converted";

/// The states in one data directory.
#[derive(Clone, Debug)]
pub(super) struct StateDirectories {
    data: PathBuf,
    folder: PathBuf,
    #[cfg(test)]
    pub(super) steps: super::tests::Steps,
}

impl StateDirectories {
    pub(super) fn new(data: &Path) -> Self {
        Self {
            data: data.to_owned(),
            folder: data.join("state"),
            #[cfg(test)]
            steps: super::tests::Steps::default(),
        }
    }

    /// The folder of all states.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The database of the state with this name.
    pub(super) fn database(&self, name: &str) -> PathBuf {
        self.folder.join(name).join("state.db")
    }

    /// Locked while one of the states is open.
    pub(super) fn lock(&self) -> PathBuf {
        self.data.join("state.lock")
    }

    /// Where the state was before there were directories.
    pub(super) fn undirected(&self) -> PathBuf {
        self.data.join("state.db")
    }

    pub(super) fn current(&self) -> Result<Current, StateError> {
        current::load(&self.folder).map_err(failed(&self.folder))
    }

    /// Makes the state with this name the current one. Its files must be synced.
    pub(super) fn set_current(&self, name: &str) -> Result<(), StateError> {
        self.step();
        self.sync(name).map_err(failed(&self.folder))?;
        self.step();
        current::store(&self.folder, name).map_err(failed(&self.folder))?;
        self.step();
        Ok(())
    }

    /// Creates a directory for a state that begins with the entry at `base`, and returns its name.
    pub(super) fn create(&self, base: LogIndex) -> Result<String, StateError> {
        // Different at every call: the standard library's hash keys come from the operating system.
        let random = RandomState::new().hash_one(base.0);
        let name = format!("{base}-{random:016x}");
        self.create_named(&name)?;
        Ok(name)
    }

    /// Creates the directory with this name, unless it exists.
    pub(super) fn create_named(&self, name: &str) -> Result<(), StateError> {
        let path = self.folder.join(name);
        self.step();
        directory::create_directory(&path).map_err(failed(&path))?;
        self.step();
        Ok(())
    }

    /// Makes the names in the directory, and those above it, durable.
    fn sync(&self, name: &str) -> io::Result<()> {
        directory::sync_names(&self.folder.join(name))?;
        directory::sync_names(&self.folder)
    }

    /// Moves `state.db` of a program without directories, which has no side files, into one.
    pub(super) fn move_undirected(&self, name: &str) -> Result<(), StateError> {
        let from = self.undirected();
        self.create_named(name)?;
        fs::rename(&from, self.database(name)).map_err(failed(&from))?;
        self.step();
        Ok(())
    }

    /// Deletes the state with this name, which is not the current one.
    pub(super) fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.folder.join(name);
        self.step();
        remove_directory(&path).map_err(failed(&path))?;
        self.step();
        Ok(())
    }

    /// The reason for which the state with this name must not be used, if there is one.
    pub(super) fn reason_against(&self, name: &str) -> Result<Option<String>, StateError> {
        let path = self.folder.join(name).join(REASON);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path)(error)),
        }
    }

    /// Notes durably that the state with this name must not be used.
    pub(super) fn mark(&self, name: &str, reason: &str) -> Result<(), StateError> {
        mark_directory(&self.folder.join(name), reason)
    }

    /// Keeps the state with this name as evidence. Nothing is current until another is named.
    pub(super) fn set_aside(&self, name: &str, reason: &str) -> Result<(), StateError> {
        let path = self.folder.join(name);
        if !path.exists() {
            return Ok(());
        }
        self.step();
        // First, so that its time is that of the directory.
        self.mark(name, reason)?;
        self.step();
        let aside = self.folder.join(format!("{ASIDE}{name}"));
        fs::rename(&path, aside).map_err(failed(&path))?;
        self.step();
        directory::sync_names(&self.folder).map_err(failed(&self.folder))
    }

    /// As [`Self::set_aside`], for all files of a program that had no directories.
    pub(super) fn set_undirected_aside(&self, reason: &str) -> Result<(), StateError> {
        let name = self.create(LogIndex::ZERO)?;
        for path in self.undirected_files()? {
            let file_name = path.file_name().unwrap_or_default();
            match fs::rename(&path, self.folder.join(&name).join(file_name)) {
                // SQLite deletes the side files of a connection that it closes on a thread of its own.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed.map_err(failed(&path))?,
            }
        }
        self.sync(&name).map_err(failed(&self.folder))?;
        self.set_aside(&name, reason)
    }

    /// Deletes what a crash left: states that are not the current one, and drafts.
    pub(super) fn remove_unnamed(&self, name: &str) -> Result<(), StateError> {
        for path in self.entries()? {
            let entry = path.file_name().unwrap_or_default().to_string_lossy();
            if entry == name || entry == "current" || entry.starts_with(ASIDE) {
                continue;
            }
            tracing::info!(path = %path.display(), "deleting what is not the current state");
            let removed = match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => remove_directory(&path),
                _ => fs::remove_file(&path),
            };
            removed.map_err(failed(&path))?;
        }
        Ok(())
    }

    /// As [`Self::remove_unnamed`], for the files of a program without directories that was started in
    /// between. `state.db.older` is not one of them.
    pub(super) fn remove_undirected(&self) -> Result<(), StateError> {
        for path in self.undirected_files()? {
            if path
                .extension()
                .is_none_or(|extension| extension != "older")
            {
                fs::remove_file(&path).map_err(failed(&path))?;
            }
        }
        Ok(())
    }

    /// Keeps every state as evidence.
    pub(super) fn set_all_aside(&self, reason: &str) -> Result<(), StateError> {
        for path in self.entries()? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && !name.starts_with(ASIDE) {
                self.set_aside(&name, reason)?;
            }
        }
        Ok(())
    }

    /// Deletes the states that were set aside more than a week before `now`.
    pub(super) fn remove_old_evidence(&self, now: SystemTime) -> io::Result<()> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let set_aside_at = entry.metadata()?.modified()?;
            let age = now.duration_since(set_aside_at).unwrap_or_default();
            if entry.file_name().to_string_lossy().starts_with(ASIDE) && age > EVIDENCE_KEPT_FOR {
                let path = entry.path();
                tracing::info!(path = %path.display(), "deleting a state that was set aside");
                remove_directory(&path)?;
            }
        }
        Ok(())
    }

    fn undirected_files(&self) -> Result<Vec<PathBuf>, StateError> {
        let files = list(&self.data).map_err(failed(&self.data))?;
        let begins = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("state.db")
        };
        Ok(files.into_iter().filter(begins).collect())
    }

    fn entries(&self) -> Result<Vec<PathBuf>, StateError> {
        list(&self.folder).map_err(failed(&self.folder))
    }

    /// Called around each step that changes the disk; tests look at the disk there.
    pub(super) fn step(&self) {
        #[cfg(test)]
        self.steps.take(&self.data);
    }
}

/// Notes durably that the state in this directory must not be used.
pub(super) fn mark_directory(directory: &Path, reason: &str) -> Result<(), StateError> {
    let path = directory.join(REASON);
    private_file::replace(&path, reason.as_bytes()).map_err(failed(&path))
}

/// The error when `path` cannot be created, changed or read.
pub(super) fn failed(path: &Path) -> impl FnOnce(io::Error) -> StateError + use<> {
    let path = path.to_owned();
    move |source| StateError::Open(OpenError::Prepare { path, source })
}

/// Makes the content of the file at `path` durable.
pub(super) fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The files and directories in `directory`; none if it is missing.
fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn remove_directory(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
