//! `--reset`: deletes the node's data before it starts. The node comes back like one with an empty
//! disk, as a learner if there is a cluster.
//!
//! Deletes the files and folders that a node makes and nothing else, and none while another process
//! uses them. The order matters: the logs are renamed, durably, before anything else is deleted. A log
//! without its newest files would have lost votes and acknowledged entries under the same storage id.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The files that a process locks while it uses the node's data.
const LOCKS: [&str; 3] = ["log/lock", "log.lock", "state.lock"];

/// The logs, of the present form and of the one before, and their names from the beginning of a reset to
/// its end.
const LOGS: [(&str, &str); 2] = [("log", "log.gone"), ("log.db", "log.db.gone")];

/// What the names of all other files begin with.
const FILES: [&str; 2] = ["log.db", "state.db"];

/// All other folders.
const FOLDERS: [&str; 3] = ["log.new", "snapshots", "state"];

/// Why nothing, or not everything, was deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResetError {
    #[error("{directory} is in use by another process")]
    InUse { directory: PathBuf },
    #[error("{path} cannot be deleted: {source}")]
    Delete { path: PathBuf, source: io::Error },
    #[error(
        "{directory} has both {log} and {gone}, which an interrupted --reset does not leave: \
         delete {gone} if the other is this node's, or use --reset to delete both"
    )]
    Ambiguous {
        directory: PathBuf,
        log: &'static str,
        gone: &'static str,
    },
}

/// Called before each step that changes the disk; tests interrupt the reset there.
type Before<'a> = &'a mut dyn FnMut() -> Result<(), ResetError>;

/// Deletes the node's data in `directory`, if there is any.
pub(crate) fn reset(directory: &Path) -> Result<(), ResetError> {
    reset_stepwise(directory, &mut || Ok(()))
}

/// Finishes a reset that was interrupted, if there was one.
pub(crate) fn finish_interrupted(directory: &Path) -> Result<(), ResetError> {
    let interrupted = LOGS
        .iter()
        .filter(|(_, gone)| directory.join(gone).exists());
    let interrupted: Vec<_> = interrupted.collect();
    if interrupted.is_empty() {
        return Ok(());
    }
    for (log, gone) in interrupted {
        if directory.join(log).exists() {
            return Err(ResetError::Ambiguous {
                directory: directory.to_owned(),
                log,
                gone,
            });
        }
    }
    tracing::warn!(directory = %directory.display(), "an interrupted --reset is finished");
    reset(directory)
}

fn reset_stepwise(directory: &Path, before: Before<'_>) -> Result<(), ResetError> {
    if !directory.exists() {
        return Ok(());
    }
    let _locks = lock(directory)?;
    for (log, gone) in LOGS {
        let (log, gone) = (directory.join(log), directory.join(gone));
        if log.exists() {
            if gone.exists() {
                before()?;
                delete(&gone)?;
            }
            before()?;
            fs::rename(&log, &gone).map_err(failed(&log))?;
            before()?;
            sync(directory)?;
        }
    }
    for entry in fs::read_dir(directory).map_err(failed(directory))? {
        let path = entry.map_err(failed(directory))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_gone = LOGS.iter().any(|(_, gone)| name == *gone);
        let is_file = FILES.iter().any(|file| name.starts_with(file));
        if !is_gone && (is_file || FOLDERS.contains(&&*name)) {
            before()?;
            delete(&path)?;
        }
    }
    before()?;
    sync(directory)?;
    for (_, gone) in LOGS {
        let gone = directory.join(gone);
        if gone.exists() {
            before()?;
            delete(&gone)?;
            before()?;
            sync(directory)?;
        }
    }
    Ok(())
}

fn delete(path: &Path) -> Result<(), ResetError> {
    if path.is_dir() {
        fs::remove_dir_all(path).map_err(failed(path))
    } else {
        fs::remove_file(path).map_err(failed(path))
    }
}

/// Takes the locks of the node, so that no other process uses its files until they are dropped.
fn lock(directory: &Path) -> Result<Vec<File>, ResetError> {
    let mut locks = Vec::new();
    for lock in LOCKS {
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
    use std::path::Path;

    use super::{ResetError, finish_interrupted, reset, reset_stepwise};

    const DATA: [&str; 8] = [
        "log.db",
        "log.db-wal",
        "log/node",
        "log.new/node",
        "snapshots/1",
        "state.db",
        "state.db-wal",
        "state/0-1/state.db",
    ];

    fn write(directory: &Path, name: &str) {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }

    /// A5: wherever a reset is interrupted, either a log is complete and nothing is deleted, or the next
    /// start finds that the log must not be used.
    #[test]
    fn interrupted_reset_leaves_no_older_log() {
        let mut interrupted = 0;
        for end in 0.. {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path();
            for name in DATA {
                write(path, name);
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
            let gone = ["log.gone", "log.db.gone"];
            if is_there(&"log/node") {
                assert!(DATA.iter().all(is_there), "all is there, after {end} steps");
            } else if DATA.iter().any(is_there) {
                assert!(gone.iter().any(is_there), "after {end} steps");
            }
            if gone.iter().any(is_there) {
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
            interrupted, 15,
            "before each of two renames and syncs, six deletions, a sync, two deletions and syncs"
        );
    }

    #[test]
    fn log_beside_a_renamed_one_is_not_touched() {
        for (log, gone) in super::LOGS {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path();
            finish_interrupted(path).unwrap();
            let content = |folder: &str| format!("{folder}/node");
            for folder in [log, gone] {
                write(path, &content(folder));
            }
            let rejected = finish_interrupted(path);
            assert!(
                matches!(rejected, Err(ResetError::Ambiguous { .. })),
                "{rejected:?}"
            );
            let left = fs::read_to_string(path.join(content(log)));
            assert_eq!(left.unwrap(), content(log));
            reset(path).unwrap();
            assert!(fs::read_dir(path).unwrap().next().is_none());
        }
    }

    #[test]
    fn only_files_of_the_node_are_deleted() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "log.db",
            "log.db-wal",
            "log/node",
            "state.db",
            "log.lock",
            "notes.txt",
        ] {
            write(directory.path(), name);
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
        for lock in super::LOCKS {
            let directory = tempfile::tempdir().unwrap();
            let lock_file = directory.path().join(lock);
            write(directory.path(), lock);
            write(directory.path(), "state.db");
            let lock = File::open(&lock_file).unwrap();
            lock.lock().unwrap();
            let rejected = reset(directory.path());
            assert!(
                matches!(rejected, Err(ResetError::InUse { .. })),
                "{rejected:?}"
            );
            assert!(directory.path().join("state.db").exists());
        }
    }
}
