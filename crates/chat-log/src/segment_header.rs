//! What a segment file begins with: to which disk it belongs, where the log is at its beginning,
//! and what the segment before it holds, so that a start need not read that one.

use chat_consensus::{LogBase, LogIndex, StorageId, Term, TermRun};

use crate::block::{SECTOR, checksum};
use crate::error::LogError;
use crate::fields::{Fields, put_base};
use crate::files::File;

const MAGIC: [u8; 8] = *b"chat-log";

/// The format that is written.
pub(crate) const FORMAT: u32 = 3;

/// The formats before, which are read, too: the members of the first have no learners, and those of the second
/// no addresses; neither has their length.
const FORMAT_OF_VOTERS: u32 = 1;
const FORMAT_OF_PLAIN_MEMBERS: u32 = 2;

/// Magic, format, length: enough to know how much to read.
const PREFIX_BYTES: usize = 16;

/// The length of the members.
const MEMBERS_LENGTH_BYTES: u64 = 4;

/// The number of learners, which is 0 where the format does not have it.
const LEARNER_COUNT_BYTES: u64 = 4;

/// A segment gets a successor at 4,096 term changes, and one batch may add as many as it has entries.
const HEADER_BYTES_MAX: u32 = 16 << 20;

/// What names end with.
const SUFFIX: &str = ".segment";

/// The header of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The one that it was read in; [`FORMAT`] for a new one.
    pub(crate) format: u32,
    /// The disk's id when the segment was made.
    pub(crate) storage: StorageId,
    /// Random; in the checksums of this segment's blocks.
    pub(crate) salt: u64,
    /// The number of its first block, which its name repeats.
    pub(crate) first_block: u64,
    /// The end of the log before that block, with the members there. Only the last block of the segment
    /// changes them (R19).
    pub(crate) base: LogBase,
    /// What the segment before this one holds; `None` if the log begins here.
    pub(crate) before: Option<SegmentSummary>,
}

/// What a segment holds to which nothing is appended any more. Its end is its successor's base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentSummary {
    /// Its first block's number.
    pub(crate) first_block: u64,
    /// Its last block's; one less than its first if it has none.
    pub(crate) last_block: u64,
    /// Where its last block begins; 0 if it has none.
    pub(crate) last_offset: u64,
    /// Where its last block ends.
    pub(crate) end: u64,
    /// Its blocks truncate the log down to this index, or only append after it.
    pub(crate) entries_after: LogIndex,
    /// The terms of the entries that it adds after that index.
    pub(crate) runs: Vec<TermRun>,
}

/// Why a file does not begin with a header.
#[derive(Debug)]
pub(crate) struct InvalidHeader;

impl SegmentHeader {
    /// As bytes, whole sectors.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.encode_fields();
        bytes.resize(bytes.len().next_multiple_of(SECTOR as usize), 0);
        bytes
    }

    fn encode_fields(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(FORMAT.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.storage.0.to_be_bytes());
        bytes.extend(self.salt.to_be_bytes());
        bytes.extend(self.first_block.to_be_bytes());
        put_base(&mut bytes, &self.base);
        bytes.push(u8::from(self.before.is_some()));
        if let Some(before) = &self.before {
            put_summary(&mut bytes, before);
        }
        let length = u32::try_from(bytes.len() + 4).expect("term changes are bounded");
        bytes[PREFIX_BYTES - 4..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
        bytes.extend(checksum(0, &bytes).to_be_bytes());
        bytes
    }

    /// Reads the header of the file `name`.
    pub(crate) fn read(
        file: &impl File,
        name: &str,
    ) -> Result<Result<Self, InvalidHeader>, LogError> {
        let mut prefix = [0; PREFIX_BYTES];
        let read = file.read_at(0, &mut prefix);
        if read.map_err(LogError::io("read", name))? < PREFIX_BYTES {
            return Ok(Err(InvalidHeader));
        }
        let mut fields = Fields(&prefix[MAGIC.len() + 4..]);
        let length = fields.u32().unwrap_or(0);
        if !prefix.starts_with(&MAGIC) || length > HEADER_BYTES_MAX {
            return Ok(Err(InvalidHeader));
        }
        let mut bytes = vec![0; length as usize];
        let read = file.read_at(0, &mut bytes);
        if read.map_err(LogError::io("read", name))? < bytes.len() {
            return Ok(Err(InvalidHeader));
        }
        let Some(body) = checked_body(&bytes) else {
            return Ok(Err(InvalidHeader));
        };
        let mut fields = Fields(body);
        let format = match fields.u32() {
            Some(format @ FORMAT_OF_VOTERS..=FORMAT) => format,
            found => {
                return Err(LogError::UnknownFormat {
                    name: name.to_owned(),
                    found: found.unwrap_or(0),
                    known: FORMAT,
                });
            }
        };
        Ok(Self::decode(fields, format).ok_or(InvalidHeader))
    }

    fn decode(mut fields: Fields<'_>, format: u32) -> Option<Self> {
        let _length = fields.u32()?;
        let storage = StorageId(fields.u128()?);
        let salt = fields.u64()?;
        let first_block = fields.block().filter(|&first| first > 0)?;
        let base = match format {
            FORMAT_OF_VOTERS => fields.base_of_voters()?,
            FORMAT_OF_PLAIN_MEMBERS => fields.base_of_plain_members()?,
            _ => fields.base()?,
        };
        let before = match fields.bool()? {
            true => Some(take_summary(&mut fields)?),
            false => None,
        };
        fields.0.is_empty().then_some(Self {
            format,
            storage,
            salt,
            first_block,
            base,
            before,
        })
    }

    /// Where its first block begins.
    pub(crate) fn bytes(&self) -> u64 {
        let encoded = self.encode_fields().len() as u64;
        let absent = match self.format {
            FORMAT_OF_VOTERS => LEARNER_COUNT_BYTES + MEMBERS_LENGTH_BYTES,
            FORMAT_OF_PLAIN_MEMBERS => MEMBERS_LENGTH_BYTES,
            _ => 0,
        };
        (encoded - absent).next_multiple_of(SECTOR)
    }

    /// Whether programs that know no changes of the members, or no addresses in them, read this segment: they
    /// would take a block with one for a torn write.
    pub(crate) fn is_of_before(&self) -> bool {
        self.format < FORMAT
    }
}

/// What lies between magic and checksum, if the checksum is right.
fn checked_body(bytes: &[u8]) -> Option<&[u8]> {
    let (covered, crc) = bytes.split_last_chunk()?;
    let right = checksum(0, covered) == u32::from_be_bytes(*crc);
    covered.get(MAGIC.len()..).filter(|_| right)
}

fn put_summary(bytes: &mut Vec<u8>, summary: &SegmentSummary) {
    bytes.extend(summary.first_block.to_be_bytes());
    bytes.extend(summary.last_block.to_be_bytes());
    bytes.extend(summary.last_offset.to_be_bytes());
    bytes.extend(summary.end.to_be_bytes());
    bytes.extend(summary.entries_after.0.to_be_bytes());
    let count = u32::try_from(summary.runs.len()).expect("term changes are bounded");
    bytes.extend(count.to_be_bytes());
    for run in &summary.runs {
        bytes.extend(run.first.0.to_be_bytes());
        bytes.extend(run.term.0.to_be_bytes());
    }
}

fn take_summary(fields: &mut Fields<'_>) -> Option<SegmentSummary> {
    let first_block = fields.block()?;
    let last_block = fields.block()?;
    let last_offset = fields.u64()?;
    let end = fields.u64()?;
    let entries_after = fields.index()?;
    let count = fields.u32()?;
    let mut runs = Vec::new();
    for _ in 0..count {
        let first = fields.index()?;
        let term: Term = fields.term()?;
        runs.push(TermRun { term, first });
    }
    Some(SegmentSummary {
        first_block,
        last_block,
        last_offset,
        end,
        entries_after,
        runs,
    })
}

/// The name of the segment whose first block has this number.
pub(crate) fn segment_name(first_block: u64) -> String {
    format!("{first_block:020}{SUFFIX}")
}

/// The number in the name of a segment; `None` for other files.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let number = digits.parse().ok()?;
    (segment_name(number) == name).then_some(number)
}
