//! Directories with all their files: listed, and copied with their holes and permissions.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Runs of zeros this long are not written: segments are filled with zeros when they are made.
const HOLE_BYTES: usize = 4096;

/// Every file below a directory, as paths relative to it, in order.
///
/// # Errors
///
/// The system's.
pub fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(directory, Path::new(""), &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(root: &Path, below: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(root, &path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// When a file below a directory was written last.
///
/// # Errors
///
/// The system's, also when a file disappears meanwhile or there is none.
pub fn changed(directory: &Path) -> io::Result<SystemTime> {
    let mut newest = None;
    for file in files(directory)? {
        let modified = fs::metadata(directory.join(file))?.modified()?;
        newest = newest.max(Some(modified));
    }
    newest.ok_or_else(|| io::Error::other("there is no file"))
}

/// Makes `to` a copy of the directory `from`; what was there before is removed.
///
/// # Errors
///
/// The system's.
pub fn restore(from: &Path, to: &Path) -> io::Result<()> {
    match fs::remove_dir_all(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => copy_directory(from, to),
    }
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            copy_file(&entry.path(), &target)?;
        }
    }
    fs::set_permissions(to, fs::metadata(from)?.permissions())
}

/// Writes a file's bytes to another place, with the same permissions.
///
/// # Errors
///
/// The system's.
pub fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    write_file(to, &fs::read(from)?)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())
}

/// Replaces a file's content, or makes the file for its owner alone.
///
/// # Errors
///
/// The system's.
pub fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = File::create(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.set_len(bytes.len() as u64)?;
    let mut offset = 0;
    for part in bytes.chunks(HOLE_BYTES) {
        if part.iter().any(|byte| *byte != 0) {
            file.write_all_at(part, offset)?;
        }
        offset += part.len() as u64;
    }
    Ok(())
}

/// What a file is, without the numbers in its name: files of one kind are damaged equally often.
pub fn kind(path: &Path) -> String {
    let part = |part: &str| {
        let is_number = part.chars().any(|one| one.is_ascii_digit())
            && part
                .chars()
                .all(|one| one.is_ascii_hexdigit() || one == '-');
        if is_number { "*" } else { part }.to_owned()
    };
    let name = |name: &str| name.split('.').map(part).collect::<Vec<_>>().join(".");
    let names = path.iter().map(|one| name(&one.to_string_lossy()));
    names.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{files, kind, restore, write_file};

    #[test]
    fn kind_omits_numbers() {
        for (path, expected) in [
            ("log.db", "log.db"),
            ("log/00000000000000000017", "log/*"),
            ("log/00000017.segment", "log/*.segment"),
            ("state/12-9f3ab0/state.db-wal", "state/*/state.db-wal"),
            ("snapshots/1200-77.tmp", "snapshots/*.tmp"),
            ("node", "node"),
        ] {
            assert_eq!(kind(Path::new(path)), expected);
        }
    }

    #[test]
    fn copy_has_the_same_files_and_replaces_others() {
        let home = tempfile::tempdir().unwrap();
        let (from, to) = (home.path().join("from"), home.path().join("to"));
        fs::create_dir_all(from.join("inner/empty")).unwrap();
        let mut bytes = vec![0; 20_000];
        bytes[9_000] = 7;
        write_file(&from.join("inner/file"), &bytes).unwrap();
        fs::create_dir_all(&to).unwrap();
        write_file(&to.join("old"), b"x").unwrap();

        restore(&from, &to).unwrap();
        assert_eq!(files(&to).unwrap(), [Path::new("inner/file")]);
        assert_eq!(fs::read(to.join("inner/file")).unwrap(), bytes);
        assert!(to.join("inner/empty").is_dir());
    }
}
