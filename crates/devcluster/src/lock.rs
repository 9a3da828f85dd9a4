//! The lock of a cluster's folder: one command at a time starts, stops, resizes or removes a cluster.

use std::fs::File;

use anyhow::{Context, Result, bail};

use crate::layout::Files;
use crate::private_files;

/// Takes the lock; the system releases it when this process ends.
pub(crate) fn acquire(files: &Files) -> Result<File> {
    private_files::prepare_folder(files)?;
    let lock = private_file::open_options()
        .create(true)
        .truncate(true)
        .open(files.lock())
        .context("creating the lock file")?;
    if lock.try_lock().is_err() {
        bail!(
            "another `cargo xtask cluster` command is starting, resizing or removing this cluster"
        );
    }
    Ok(lock)
}
