//! Files and folders that only their owner can read and write: session tokens, drafts, the identity
//! of a data directory.
//!
//! [`replace`] writes a file as a whole: after a crash or a power failure its name refers to the old
//! content or to the new content, never to a part of it. [`create_folder`] makes the folder around it,
//! [`create_new_folder`] one that must not be there yet, and [`open_options`] opens a file that is not replaced but kept open, such as a lock.
//!
//! Deliberately absent: reading, and checking who owns a file that another program wrote.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// The mode of a file that only its owner reads and writes.
pub const FILE_MODE: u32 = 0o600;

/// The mode of a folder that only its owner enters.
pub const FOLDER_MODE: u32 = 0o700;

/// Numbers the drafts of this process, so that two threads never share one.
static NEXT_DRAFT: AtomicU64 = AtomicU64::new(0);

/// Replaces the file at `path`, or creates it, with this content and [`FILE_MODE`].
///
/// The content is written to a draft beside the file and synced, the draft is renamed, and the folder
/// is synced. The permissions of an earlier file do not survive. Several processes may replace the
/// same file at the same time: one of their contents remains, whole.
///
/// # Errors
///
/// When the disk does not accept it. The earlier file is unchanged then, unless only the last step,
/// the sync of the folder, failed.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = draft_of(path)?;
    let renamed = write_new(&draft, content).and_then(|()| fs::rename(&draft, path));
    if let Err(error) = renamed {
        // The first error is the one to report; a draft that cannot be removed is only in the way.
        drop(fs::remove_file(&draft));
        return Err(error);
    }
    File::open(folder_of(path))?.sync_all()
}

/// Creates a folder with [`FOLDER_MODE`], and the missing folders above it. A folder that is already
/// there, and open to other users, is closed to them.
///
/// # Errors
///
/// When it cannot be created, or its permissions cannot be changed.
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)?;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
}

/// Creates one folder with [`FOLDER_MODE`] and returns `true`. Returns `false` if a file or a folder
/// of this name is already there; its permissions do not change.
///
/// # Errors
///
/// When it cannot be created; a missing folder above it is one reason.
pub fn create_new_folder(path: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Options for reading and writing a file that gets [`FILE_MODE`] if it is created. The caller adds
/// `create` or `create_new`; the permissions of a file that is already there do not change.
pub fn open_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(FILE_MODE);
    options
}

fn write_new(draft: &Path, content: &[u8]) -> io::Result<()> {
    // A process that crashed may have had the same id; its draft may have other permissions.
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = open_options().create_new(true).open(draft)?;
    file.write_all(content)?;
    file.sync_all()
}

/// In the same folder, because a rename across file systems is impossible.
fn draft_of(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let number = NEXT_DRAFT.fetch_add(1, Ordering::Relaxed);
    let mut draft = OsString::from(name);
    draft.push(format!(".{}-{number}.new", process::id()));
    Ok(path.with_file_name(draft))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::thread;

    use super::{create_folder, create_new_folder, open_options, replace};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn file_count(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn replaced_file_has_new_content_and_private_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "a long old content").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(file_count(folder.path()), 1, "the draft is gone");
    }

    #[test]
    fn failed_replacement_leaves_no_draft() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("occupied");
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"x").is_err());
        assert_eq!(file_count(folder.path()), 1);
        assert!(replace(&folder.path().join("missing/token"), b"x").is_err());
        assert!(replace(Path::new("/"), b"x").is_err());
    }

    #[test]
    fn concurrent_replacements_leave_one_whole_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let contents: Vec<Vec<u8>> = (b'a'..b'e').map(|byte| vec![byte; 10_000]).collect();
        thread::scope(|scope| {
            for content in &contents {
                scope.spawn(|| replace(&path, content).unwrap());
            }
        });
        assert!(contents.contains(&fs::read(&path).unwrap()));
        assert_eq!(file_count(folder.path()), 1);
    }

    #[test]
    fn open_folder_is_closed_to_other_users() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("a/b");
        create_folder(&folder).unwrap();
        assert_eq!(
            (mode(&folder), mode(&above.path().join("a"))),
            (0o700, 0o700)
        );
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        create_folder(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
        // A stricter mode is the owner's decision.
        fs::set_permissions(&folder, Permissions::from_mode(0o500)).unwrap();
        create_folder(&folder).unwrap();
        assert_eq!(mode(&folder), 0o500);
    }

    #[test]
    fn new_folder_is_private_and_existing_one_is_unchanged() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("a");
        assert!(create_new_folder(&folder).unwrap());
        assert_eq!(mode(&folder), 0o700);
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        assert!(!create_new_folder(&folder).unwrap());
        assert_eq!(mode(&folder), 0o755);
        assert!(create_new_folder(&above.path().join("missing/b")).is_err());
    }

    #[test]
    fn opened_file_is_private_from_its_creation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let mut file = open_options()
            .create(true)
            .truncate(false)
            .open(&path)
            .unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(mode(&path), 0o600);
    }
}
