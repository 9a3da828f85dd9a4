//! The folder of one window: readable by its user only, and locked against other windows.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use crate::local_store::error::StoreError;

const LOCK: &str = "lock";

/// Creates the folder for this user alone, and locks it against other windows.
pub(super) fn claim(folder: &Path) -> Result<File, StoreError> {
    let failed = |source| StoreError::Folder {
        path: folder.to_owned(),
        source,
    };
    private_file::create_folder(folder).map_err(failed)?;
    let lock = open_private(&folder.join(LOCK)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
            path: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Opens a file that this user alone may read, and creates it if it is missing.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = private_file::open_options();
    options.create(true).truncate(false).open(path)
}
