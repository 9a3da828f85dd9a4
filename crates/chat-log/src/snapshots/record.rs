//! Small files that are replaced as a whole: a kind, a format, a body, and the CRC-32 of all of it.

use std::io;

use crate::files::{Directory, File as _};
use crate::snapshots::error::SnapshotError;
use crate::snapshots::names::NEW_END;

/// Longer ones are not read: the sidecar of 256 members with long addresses has 140 KiB.
const BYTES_MAX: usize = 256 << 10;
const CHECKSUM_BYTES: usize = 4;

/// What a file is, its first bytes.
pub(super) type Kind = [u8; 8];

/// Replaces the file `name` as a whole, durably.
pub(super) fn write<D: Directory>(
    directory: &D,
    name: &str,
    (kind, version, body): (&Kind, u32, &[u8]),
) -> Result<(), SnapshotError> {
    let new = format!("{name}{NEW_END}");
    remove_if_there(directory, &new)?;
    let bytes = encode(kind, version, body);
    let written = directory.create(&new).and_then(|file| {
        file.write_at(0, &bytes)?;
        file.sync()
    });
    written.map_err(SnapshotError::io("write", &new))?;
    directory
        .rename(&new, name)
        .and_then(|()| directory.sync())
        .map_err(SnapshotError::io("rename", &new))
}

/// Version and body of the file `name`, of a version up to `newest`; `None` when it is of another kind,
/// damaged, unreadable or not there.
pub(super) fn read<D: Directory>(
    directory: &D,
    name: &str,
    (kind, newest): (&Kind, u32),
) -> Result<Option<(u32, Vec<u8>)>, SnapshotError> {
    let mut bytes = vec![0; BYTES_MAX];
    let read = |file: D::File| file.read_at(0, &mut bytes);
    let Ok(length) = directory.open(name).and_then(read) else {
        return Ok(None);
    };
    let Some((version, body)) = decode(kind, &bytes[..length]) else {
        return Ok(None);
    };
    if !(1..=newest).contains(&version) {
        let name = name.to_owned();
        return Err(SnapshotError::NewerFormat { name, version });
    }
    Ok(Some((version, body.to_vec())))
}

/// Removes a file; that there is none is as good.
pub(super) fn remove_if_there<D: Directory>(
    directory: &D,
    name: &str,
) -> Result<(), SnapshotError> {
    match directory.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(SnapshotError::io("remove", name)(error))
        }
        _ => Ok(()),
    }
}

pub(super) fn encode(kind: &Kind, version: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_vec();
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

/// Version and body, if the bytes are of this kind and whole.
fn decode<'a>(kind: &Kind, bytes: &'a [u8]) -> Option<(u32, &'a [u8])> {
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    if crc32fast::hash(content) != u32::from_be_bytes(*checksum) {
        return None;
    }
    let (version, body) = content.strip_prefix(kind)?.split_first_chunk()?;
    Some((u32::from_be_bytes(*version), body))
}
