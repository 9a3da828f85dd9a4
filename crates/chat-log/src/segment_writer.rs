//! The last segment file, to which blocks are appended.

use std::io;

use crate::error::LogError;
use crate::files::{Directory, File};
use crate::segment_contents::SegmentContents;
use crate::segment_header::{SegmentHeader, segment_name};

/// A file grows by this much, in zeros, so that most syncs need not write its length. A step takes a
/// few milliseconds.
const STEP_BYTES: u64 = 1 << 20;

/// What a new segment is called until it is whole.
pub(crate) const NEW_SUFFIX: &str = ".new";

/// The last segment.
#[derive(Debug)]
pub(crate) struct SegmentWriter<F> {
    file: F,
    name: String,
    pub(crate) salt: u64,
    /// See [`SegmentHeader::is_of_before`].
    pub(crate) is_of_before: bool,
    pub(crate) contents: SegmentContents,
    file_bytes: u64,
    step_bytes: u64,
}

impl<F: File> SegmentWriter<F> {
    /// Makes the segment of `header` in `directory`, with the bytes of its first block or none. Its
    /// name is synced when this returns. Until then no segment of that name is there, afterwards a
    /// whole one.
    pub(crate) fn create(
        directory: &impl Directory<File = F>,
        header: &SegmentHeader,
        first_block: &[u8],
        segment_bytes: u64,
    ) -> Result<Self, LogError> {
        let name = segment_name(header.first_block);
        let new_name = name.clone() + NEW_SUFFIX;
        match directory.remove(&new_name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(LogError::io("remove", &new_name)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let file = directory.create(&new_name);
        let file = file.map_err(LogError::io("create", &new_name))?;
        let mut bytes = header.encode();
        bytes.extend(first_block);
        let mut segment = Self::open(file, name, header, 0, segment_bytes);
        segment.write(0, bytes)?;
        segment.sync()?;
        directory
            .rename(&new_name, &segment.name)
            .map_err(LogError::io("rename", &new_name))?;
        directory.sync().map_err(LogError::io("sync", "."))?;
        Ok(segment)
    }

    /// The segment of `header` in a file of `file_bytes`; its contents are those of an empty one.
    pub(crate) fn open(
        file: F,
        name: String,
        header: &SegmentHeader,
        file_bytes: u64,
        segment_bytes: u64,
    ) -> Self {
        Self {
            file,
            name,
            salt: header.salt,
            is_of_before: header.is_of_before(),
            contents: SegmentContents::new(header),
            file_bytes,
            step_bytes: segment_bytes.clamp(4096, STEP_BYTES),
        }
    }

    /// Writes `bytes` at `offset`, and zeros behind them if the file has to grow.
    pub(crate) fn write(&mut self, offset: u64, mut bytes: Vec<u8>) -> Result<(), LogError> {
        let until = offset + bytes.len() as u64;
        if until > self.file_bytes {
            self.file_bytes = until.next_multiple_of(self.step_bytes);
            let mut whole = vec![0; (self.file_bytes - offset) as usize];
            whole[..bytes.len()].copy_from_slice(&bytes);
            bytes = whole;
        }
        let written = self.file.write_at(offset, &bytes);
        written.map_err(LogError::io("write", &self.name))
    }

    pub(crate) fn sync(&self) -> Result<(), LogError> {
        self.file.sync().map_err(LogError::io("sync", &self.name))
    }
}
