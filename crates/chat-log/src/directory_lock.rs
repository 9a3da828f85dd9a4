//! The lock that keeps a second process, or a second opening in this one, away from a directory.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// Locks a directory's log until it is dropped.
///
/// The operating system releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct DirectoryLock {
    file: File,
}

impl DirectoryLock {
    /// Takes the lock at `path`, a file that is made if it is missing; `None` if it is taken already.
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
