//! Removes what may be there or not: a file, or a folder with everything in it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Removes a file, a symbolic link or a whole folder, if there is one of this name.
///
/// # Errors
///
/// The system's.
pub(crate) fn remove_if_there(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.with_context(|| format!("removing {}", path.display()))
}
