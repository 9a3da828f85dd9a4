//! The name of the directory with the current state, in the file `state/current`.
//!
//! Nothing else reads or writes the name, so that it can be kept elsewhere.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The longest name of a state's directory.
const NAME_BYTES_MAX: usize = 64;

/// What the file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Current {
    /// There is none: no state was ever complete.
    Missing,
    /// This directory has the state.
    Named(String),
    /// Bytes that this program never writes.
    Unreadable,
}

/// The current name, in the folder `state`.
pub(super) fn load(folder: &Path) -> io::Result<Current> {
    let name = match fs::read(file(folder)) {
        Ok(bytes) => String::from_utf8(bytes).ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Current::Missing),
        Err(error) => return Err(error),
    };
    let known = |name: &String| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed)
    };
    Ok(name
        .filter(known)
        .map_or(Current::Unreadable, Current::Named))
}

/// Makes `name` the current one, durably. Everything in that directory must be synced.
pub(super) fn store(folder: &Path, name: &str) -> io::Result<()> {
    private_file::replace(&file(folder), name.as_bytes())
}

fn file(folder: &Path) -> PathBuf {
    folder.join("current")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_this_program_writes_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load(folder.path()).unwrap(), Current::Missing);
        store(folder.path(), "7-00ff").unwrap();
        assert_eq!(
            load(folder.path()).unwrap(),
            Current::Named("7-00ff".to_owned())
        );
        for bytes in [
            &b""[..],
            b"..",
            b"a/b",
            b"\xff",
            b"7-00ff\n",
            &[b'a'; NAME_BYTES_MAX + 1],
        ] {
            fs::write(file(folder.path()), bytes).unwrap();
            assert_eq!(load(folder.path()).unwrap(), Current::Unreadable);
        }
    }
}
