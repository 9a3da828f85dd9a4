//! Reads the blocks of one segment file through a small buffer.

use crate::block::BlockHeader;
use crate::error::LogError;
use crate::files::File;

/// What is read at once, unless a block is larger.
const BUFFER_BYTES: u64 = 64 << 10;

/// A segment file that is read up to an end which its owner moves forward. What was read before that
/// end never changes.
#[derive(Debug)]
pub(crate) struct BlockFile<F> {
    file: F,
    name: String,
    salt: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Where the buffer's bytes are in the file.
    buffer_offset: u64,
}

impl<F: File> BlockFile<F> {
    pub(crate) fn new(file: F, name: String, salt: u64) -> Self {
        Self {
            file,
            name,
            salt,
            end: 0,
            buffer: Vec::new(),
            buffer_offset: 0,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn into_file(self) -> F {
        self.file
    }

    pub(crate) fn file(&self) -> &F {
        &self.file
    }

    /// Reads up to `end` from now on.
    pub(crate) fn set_end(&mut self, end: u64) {
        self.end = end;
    }

    /// The header of a block that begins at `offset`; `None` if there is none.
    pub(crate) fn header(&mut self, offset: u64) -> Result<Option<BlockHeader>, LogError> {
        let salt = self.salt;
        let bytes = self.bytes(offset, crate::block::SECTOR)?;
        Ok(BlockHeader::decode(bytes, salt))
    }

    /// The bytes at `offset`: as many as asked for, or up to the end.
    pub(crate) fn bytes(&mut self, offset: u64, bytes: u64) -> Result<&[u8], LogError> {
        let until = offset.saturating_add(bytes).min(self.end);
        let buffered = self.buffer_offset..self.buffer_offset + self.buffer.len() as u64;
        if offset < buffered.start || until > buffered.end {
            self.fill(offset, until)?;
        }
        let start = (offset - self.buffer_offset) as usize;
        let until = until.saturating_sub(self.buffer_offset) as usize;
        let until = until.min(self.buffer.len());
        Ok(self.buffer.get(start..until).unwrap_or_default())
    }

    /// Reads from `offset` to `until`, or to the end of a whole buffer.
    fn fill(&mut self, offset: u64, until: u64) -> Result<(), LogError> {
        let until = until.max(offset.saturating_add(BUFFER_BYTES).min(self.end));
        // At once, not byte by byte: tests run without optimizations.
        self.buffer = vec![0; until.saturating_sub(offset) as usize];
        self.buffer_offset = offset;
        let read = self.file.read_at(offset, &mut self.buffer);
        let read = read.map_err(LogError::io("read", &self.name))?;
        self.buffer.truncate(read);
        Ok(())
    }

    /// The error for a block at `offset` that is not what was written.
    pub(crate) fn damaged(&self, offset: u64, what: &'static str) -> LogError {
        LogError::Damaged {
            segment: self.name.clone(),
            offset,
            what,
        }
    }

    /// What the block at `offset` holds, its checksum checked, with its header; `None` if there is no
    /// valid one.
    pub(crate) fn block(&mut self, offset: u64) -> Result<Option<(BlockHeader, &[u8])>, LogError> {
        let salt = self.salt;
        let Some(header) = self.header(offset)? else {
            return Ok(None);
        };
        let bytes = self.bytes(offset, header.bytes())?;
        let valid = header.decode_body(bytes, salt).is_some();
        Ok(valid.then_some((header, bytes)))
    }

    pub(crate) fn salt(&self) -> u64 {
        self.salt
    }
}
