//! Closes a data directory that other users can enter before it is used: a directory that was copied or
//! restored has lost its mode, and the data in it authenticates users.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Only the owner can enter the directory, so its content is out of reach of others, too.
const PRIVATE: u32 = 0o700;

/// Why a directory could not be closed to others.
#[derive(Debug, thiserror::Error)]
#[error("other users can enter {directory}, and it cannot be closed: {source}")]
pub(crate) struct OpenDirectory {
    directory: PathBuf,
    source: io::Error,
}

/// Closes `directory` to other users and logs that; does nothing if it is missing or closed already.
pub(crate) fn close_to_others(directory: &Path) -> Result<(), OpenDirectory> {
    let closed = match fs::metadata(directory) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 == 0 => return Ok(()),
        Ok(_open) => fs::set_permissions(directory, Permissions::from_mode(PRIVATE)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
    };
    closed.map_err(|source| OpenDirectory {
        directory: directory.to_owned(),
        source,
    })?;
    let directory = directory.display();
    tracing::warn!(%directory, "the data was open to other users, and is closed now");
    Ok(())
}
