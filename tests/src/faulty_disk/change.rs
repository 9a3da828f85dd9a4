//! What a process may ask a disk to change.

/// A file on a disk, whatever its name.
pub(crate) type FileId = u64;

/// A change that a process asks for.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Create(String),
    Rename(String, String),
    Remove(String),
    Write(FileId, u64, Vec<u8>),
    SetLength(FileId, u64),
    Sync(FileId),
    SyncNames,
}
