//! `--reset`: deletes the node's data before it starts. The node comes back like one with an empty
//! disk, as a learner if there is a cluster.
//!
//! Deletes the files that a node makes and nothing else, and none while another process uses them.
//! The order matters: the log is renamed, durably, before anything else is deleted. A log without the
//! newest entries in `log.db-wal` would have lost votes and acknowledged entries under the same storage
//! id.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The lock files of a node, and the files that each guards: those whose names begin with this.
const GUARDED: [(&str, &str); 2] = [("log.lock", "log.db"), ("state.lock", "state.db")];

const LOG: &str = "log.db";
/// The name of the log from the beginning of a reset to its end.
const LOG_GONE: &str = "log.db.gone";

/// Why nothing, or not everything, was deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResetError {
    #[error("{directory} is in use by another process")]
    InUse { directory: PathBuf },
    #[error("{path} cannot be deleted: {source}")]
    Delete { path: PathBuf, source: io::Error },
    #[error(
        "{directory} has both {LOG} and {LOG_GONE}, which an interrupted --reset does not leave: \
         delete {LOG_GONE} if the other is this node's, or use --reset to delete both"
    )]
    Ambiguous { directory: PathBuf },
}

/// Called before each step that changes the disk; tests interrupt the reset there.
type Before<'a> = &'a mut dyn FnMut() -> Result<(), ResetError>;

/// Deletes the node's data in `directory`, if there is any.
pub(crate) fn reset(directory: &Path) -> Result<(), ResetError> {
    reset_stepwise(directory, &mut || Ok(()))
}

/// Finishes a reset that was interrupted, if there was one.
pub(crate) fn finish_interrupted(directory: &Path) -> Result<(), ResetError> {
    if !directory.join(LOG_GONE).exists() {
        return Ok(());
    }
    if directory.join(LOG).exists() {
        return Err(ResetError::Ambiguous {
            directory: directory.to_owned(),
        });
    }
    tracing::warn!(directory = %directory.display(), "an interrupted --reset is finished");
    reset(directory)
}

fn reset_stepwise(directory: &Path, before: Before<'_>) -> Result<(), ResetError> {
    if !directory.exists() {
        return Ok(());
    }
    let _locks = lock(directory)?;
    let (log, gone) = (directory.join(LOG), directory.join(LOG_GONE));
    if log.exists() {
        before()?;
        fs::rename(&log, &gone).map_err(failed(&log))?;
        before()?;
        sync(directory)?;
    }
    for entry in fs::read_dir(directory).map_err(failed(directory))? {
        let path = entry.map_err(failed(directory))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_guarded = GUARDED
            .iter()
            .any(|(_, database)| name.starts_with(database));
        if is_guarded && name != LOG_GONE {
            before()?;
            fs::remove_file(&path).map_err(failed(&path))?;
        }
    }
    before()?;
    sync(directory)?;
    if gone.exists() {
        before()?;
        fs::remove_file(&gone).map_err(failed(&gone))?;
        before()?;
        sync(directory)?;
    }
    Ok(())
}

/// Takes the locks of the node, so that no other process uses its files until they are dropped.
fn lock(directory: &Path) -> Result<Vec<File>, ResetError> {
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
    Ok(locks)
}

fn sync(directory: &Path) -> Result<(), ResetError> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed(directory))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ResetError + use<> {
    let path = path.to_owned();
    move |source| ResetError::Delete { path, source }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::{LOG, LOG_GONE, ResetError, finish_interrupted, reset, reset_stepwise};

    const DATA: [&str; 5] = [
        "log.db",
        "log.db-wal",
        "log.db-shm",
        "state.db",
        "state.db-wal",
    ];

    /// A5: wherever a reset is interrupted, either the log is complete and nothing is deleted, or the next
    /// start finds that the log must not be used.
    #[test]
    fn interrupted_reset_leaves_no_older_log() {
        let mut interrupted = 0;
        for end in 0.. {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path();
            for name in DATA {
                fs::write(path.join(name), "x").unwrap();
            }
            let mut steps = 0;
            let result = reset_stepwise(path, &mut || {
                steps += 1;
                let in_use = || ResetError::InUse {
                    directory: path.to_owned(),
                };
                (steps <= end).then_some(()).ok_or_else(in_use)
            });
            let is_there = |name: &&str| path.join(name).exists();
            if path.join(LOG).exists() {
                assert!(
                    DATA.iter().all(is_there),
                    "the log is complete, after {end} steps"
                );
            } else if DATA.iter().any(is_there) {
                assert!(path.join(LOG_GONE).exists(), "after {end} steps");
            }
            if path.join(LOG_GONE).exists() {
                finish_interrupted(path).unwrap();
                assert!(
                    fs::read_dir(path).unwrap().next().is_none(),
                    "after {end} steps"
                );
            }
            if result.is_ok() {
                assert!(fs::read_dir(path).unwrap().next().is_none());
                break;
            }
            interrupted += 1;
        }
        assert_eq!(
            interrupted, 9,
            "before each of rename, sync, four deletions, sync, the last, sync"
        );
    }

    #[test]
    fn log_beside_a_renamed_one_is_not_touched() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        finish_interrupted(path).unwrap();
        for name in [LOG, LOG_GONE] {
            fs::write(path.join(name), name).unwrap();
        }
        let rejected = finish_interrupted(path);
        assert!(
            matches!(rejected, Err(ResetError::Ambiguous { .. })),
            "{rejected:?}"
        );
        assert_eq!(fs::read_to_string(path.join(LOG)).unwrap(), LOG);
        reset(path).unwrap();
        assert!(fs::read_dir(path).unwrap().next().is_none());
    }

    #[test]
    fn only_files_of_the_node_are_deleted() {
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
    fn data_in_use_is_not_deleted() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("state.db"), "x").unwrap();
        let lock = File::create(directory.path().join("state.lock")).unwrap();
        lock.lock().unwrap();
        let rejected = reset(directory.path());
        assert!(
            matches!(rejected, Err(ResetError::InUse { .. })),
            "{rejected:?}"
        );
        assert!(directory.path().join("state.db").exists());
    }
}
