//! Files of a log that were set aside because they were damaged: kept for a while, and not for ever,
//! because they have what users have deleted since.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::opening::DAMAGED_SUFFIX;

/// How long what was set aside is kept.
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Deletes the files in the log's folder that were set aside more than a week before `now`. Nothing
/// reads them. May be called while the log is open.
///
/// # Errors
///
/// The operating system's; a folder that is missing is none.
pub fn remove_old_evidence(log: &Path, now: SystemTime) -> io::Result<()> {
    let files = match fs::read_dir(log) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for file in files {
        let file = file?;
        if !file.file_name().to_string_lossy().ends_with(DAMAGED_SUFFIX) {
            continue;
        }
        // When it got its name, and not when something was last written.
        let renamed = u64::try_from(file.metadata()?.ctime()).unwrap_or(0);
        let renamed = SystemTime::UNIX_EPOCH + Duration::from_secs(renamed);
        if now.duration_since(renamed).unwrap_or_default() > KEPT_FOR {
            let path = file.path();
            tracing::info!(path = %path.display(), "deleting a file of the log that was set aside");
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_files_are_deleted_after_a_week() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["1.segment", "2.segment", "node"];
        for name in names {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let damaged = folder.path().join("1.segment.damaged");
        fs::rename(folder.path().join("1.segment"), &damaged).unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let now = SystemTime::now();
        remove_old_evidence(folder.path(), now + 6 * day).unwrap();
        assert!(damaged.exists());
        remove_old_evidence(folder.path(), now + 8 * day).unwrap();
        assert!(!damaged.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        remove_old_evidence(&folder.path().join("missing"), now).unwrap();
    }
}
