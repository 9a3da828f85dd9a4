//! `--reset`: the node's data is deleted before it starts. It comes back as an empty disk does, as
//! a learner if there is a cluster.
//!
//! Deletes the files that a node makes and nothing else, and none while another process uses them.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// What a node's processes lock, and the files that they guard: these names and longer ones.
const GUARDED: [(&str, &str); 2] = [("log.lock", "log.db"), ("state.lock", "state.db")];

/// Why nothing, or not everything, was deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResetError {
    #[error("{directory} is in use by another process")]
    InUse { directory: PathBuf },
    #[error("{path} cannot be deleted: {source}")]
    Delete { path: PathBuf, source: io::Error },
}

/// Deletes what a node has stored in `directory`; nothing is there to delete is fine too.
pub(crate) fn reset(directory: &Path) -> Result<(), ResetError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ResetError::Delete { path, source }
    };
    if !directory.exists() {
        return Ok(());
    }
    let mut locks = Vec::new();
    for (lock, _) in GUARDED {
        let path = directory.join(lock);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&path)(error)),
        };
        match file.try_lock() {
            Ok(()) => locks.push(file),
            Err(TryLockError::WouldBlock) => {
                return Err(ResetError::InUse {
                    directory: directory.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(&path)(error)),
        }
    }
    for entry in fs::read_dir(directory).map_err(failed(directory))? {
        let path = entry.map_err(failed(directory))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if GUARDED
            .iter()
            .any(|(_, database)| name.starts_with(database))
        {
            fs::remove_file(&path).map_err(failed(&path))?;
        }
    }
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed(directory))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::{ResetError, reset};

    #[test]
    fn only_a_nodes_files_are_deleted() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["log.db", "log.db-wal", "state.db", "log.lock", "notes.txt"] {
            fs::write(directory.path().join(name), "x").unwrap();
        }
        reset(directory.path()).unwrap();
        let mut left: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["log.lock", "notes.txt"]);
        reset(&directory.path().join("missing")).unwrap();
    }

    #[test]
    fn what_is_in_use_is_not_deleted() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("state.db"), "x").unwrap();
        let lock = File::create(directory.path().join("state.lock")).unwrap();
        lock.lock().unwrap();
        let refused = reset(directory.path());
        assert!(
            matches!(refused, Err(ResetError::InUse { .. })),
            "{refused:?}"
        );
        assert!(directory.path().join("state.db").exists());
    }
}
