//! A data directory that other users can enter is closed before it is used: one that was copied or
//! restored has lost its mode, and what is in it proves who somebody is.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A directory that its owner alone enters; what is in it is out of reach of others, too.
const PRIVATE: u32 = 0o700;

/// Why a directory stays open.
#[derive(Debug, thiserror::Error)]
#[error("other users can enter {directory}, and it cannot be closed: {source}")]
pub(crate) struct OpenDirectory {
    directory: PathBuf,
    source: io::Error,
}

/// Closes `directory` to other users and says so; nothing is there, or it is closed, is fine too.
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
    tracing::warn!(%directory, "the data were open to other users, and are closed now");
    Ok(())
}
