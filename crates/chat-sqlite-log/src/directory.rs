//! The data directory: readable only by its owner, used by one process at a time, and with names
//! that survive a power failure. It does not depend on the contents of the files.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Locks out other processes, and a second opening in this one, until it is dropped.
///
/// The operating system releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct DirectoryLock {
    file: File,
}

impl DirectoryLock {
    /// Takes the lock at `path`; `None` if it is taken already.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = private_file::open_options()
            .create(true)
            .truncate(false)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for DirectoryLock {
    /// Closing the file is not enough: a child process has a copy of the file descriptor between
    /// its fork and its exec, and the copy keeps the lock.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "cannot unlock a directory");
        }
    }
}

/// Creates `directory` and its missing parents, and makes their names durable.
///
/// # Errors
///
/// The operating system's.
pub fn create_directory(directory: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = directory
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .collect();
    for path in missing.into_iter().rev() {
        // Another process may create it at the same time.
        private_file::create_new_folder(path)?;
        sync_directory(parent_of(path))?;
    }
    Ok(())
}

/// Creates an empty file that only its owner may read, unless the file exists.
///
/// SQLite gives its side files the permissions of the main file, but would create the main file
/// readable by all users.
///
/// # Errors
///
/// The operating system's.
pub fn create_private_file(path: &Path) -> io::Result<()> {
    private_file::open_options()
        .create(true)
        .truncate(false)
        .open(path)
        .map(drop)
}

/// Makes the names in `directory`, and its own name, durable.
///
/// # Errors
///
/// The operating system's.
pub fn sync_names(directory: &Path) -> io::Result<()> {
    sync_directory(directory)?;
    sync_directory(parent_of(directory))
}

/// How many bytes a database and its write-ahead log take on the disk.
///
/// # Errors
///
/// The operating system's.
pub fn size_with_wal(path: &Path) -> io::Result<u64> {
    let wal = match fs::metadata(wal_of(path)) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(fs::metadata(path)?.len() + wal)
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The write-ahead log of the database at `path`.
pub fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_is_released_although_a_copy_of_its_file_is_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = DirectoryLock::take(&path).unwrap().unwrap();
        let _copy = lock.file.try_clone().unwrap();
        assert!(DirectoryLock::take(&path).unwrap().is_none());
        drop(lock);
        assert!(DirectoryLock::take(&path).unwrap().is_some());
    }
}
