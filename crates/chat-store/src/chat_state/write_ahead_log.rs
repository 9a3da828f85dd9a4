//! SQLite's write-ahead log, read beside SQLite: which pages it has, and of which run of it.
//!
//! The format is that of <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>: a header, then
//! frames, each with a page. SQLite begins the file anew from its first frame once all frames are copied
//! into the main file; each of these runs has a pair of numbers of its own, the salts.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// Its last bit says in which byte order the checksums are.
const MAGIC: u32 = 0x377f_0682;
const VERSION: u32 = 3_007_000;
const BUFFER_BYTES: usize = 256 << 10;

/// The numbers that distinguish one run of the file from another. The first one grows by one, modulo 2^32,
/// when SQLite begins the file anew; the second one is random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Salts(pub(super) [u32; 2]);

/// The checksum of a frame, over all frames before it, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameChecksum(pub(super) [u32; 2]);

/// The part of the file that SQLite uses when it opens it: committed transactions, at least one.
#[derive(Debug)]
pub(super) struct WriteAheadLog {
    pub(super) salts: Salts,
    /// The numbers, from 1, of its pages.
    pub(super) pages: BTreeSet<u32>,
    /// One for each frame.
    pub(super) checksums: Vec<FrameChecksum>,
}

/// The first frames of a file that SQLite has open.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) salts: Salts,
    pub(super) count: u64,
    pub(super) pages: BTreeSet<u32>,
    /// That of the last one.
    pub(super) checksum: FrameChecksum,
}

impl Salts {
    /// Whether the file was begun anew exactly once between these and `later`.
    pub(super) fn precede(self, later: Self) -> bool {
        later.0[0] == self.0[0].wrapping_add(1)
    }
}

struct Header {
    salts: Salts,
    page_bytes: usize,
    checksum: Checksum,
}

impl WriteAheadLog {
    /// Reads the file at `path` as SQLite does when it opens it: up to the last transaction before the
    /// first frame that is not valid. `None` if there is no such transaction, or no file.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
        let mut header = [0; HEADER_BYTES];
        if !fill(&mut file, &mut header)? {
            return Ok(None);
        }
        let Some(mut header) = Header::decode(&header) else {
            return Ok(None);
        };
        let mut frame = vec![0; FRAME_HEADER_BYTES + header.page_bytes];
        let (mut pages, mut uncommitted) = (BTreeSet::new(), Vec::new());
        let (mut checksums, mut committed) = (Vec::new(), 0);
        while fill(&mut file, &mut frame)? {
            let Some(page) = header.page_of(&frame) else {
                break;
            };
            uncommitted.push(page);
            checksums.push(FrameChecksum(header.checksum.sums));
            // The size of the database after a commit; 0 in all other frames.
            if number(&frame, 4) != 0 {
                pages.extend(uncommitted.drain(..));
                committed = checksums.len();
            }
        }
        checksums.truncate(committed);
        Ok((committed > 0).then_some(Self {
            salts: header.salts,
            pages,
            checksums,
        }))
    }
}

impl Frames {
    /// The first `count` frames of the file at `path`, which SQLite has open and says are valid. `None` if
    /// there are none, or if the file has no valid header.
    pub(super) fn read(path: &Path, count: u64) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let mut header = [0; HEADER_BYTES];
        if count == 0 || file.read_at(&mut header, 0)? < HEADER_BYTES {
            return Ok(None);
        }
        let Some(header) = Header::decode(&header) else {
            return Ok(None);
        };
        let mut pages = BTreeSet::new();
        let step = (FRAME_HEADER_BYTES + header.page_bytes) as u64;
        let mut frame = [0; FRAME_HEADER_BYTES];
        for number_of_frame in 0..count {
            let at = HEADER_BYTES as u64 + number_of_frame * step;
            file.read_exact_at(&mut frame, at)?;
            pages.insert(number(&frame, 0));
        }
        Ok(Some(Self {
            salts: header.salts,
            count,
            pages,
            checksum: FrameChecksum([number(&frame, 16), number(&frame, 20)]),
        }))
    }
}

impl Header {
    fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let (magic, version, page_bytes) = (number(bytes, 0), number(bytes, 4), number(bytes, 8));
        let is_valid = magic & !1 == MAGIC && version == VERSION && is_page_size(page_bytes);
        if !is_valid {
            return None;
        }
        let mut checksum = Checksum {
            is_big_endian: magic & 1 == 1,
            sums: [0; 2],
        };
        checksum.add(&bytes[..24]);
        let expected = [number(bytes, 24), number(bytes, 28)];
        (checksum.sums == expected).then_some(Self {
            salts: Salts([number(bytes, 16), number(bytes, 20)]),
            page_bytes: usize::try_from(page_bytes).ok()?,
            checksum,
        })
    }

    /// The number of the page in the next frame, if that is valid.
    fn page_of(&mut self, frame: &[u8]) -> Option<u32> {
        let page = number(frame, 0);
        if page == 0 || Salts([number(frame, 8), number(frame, 12)]) != self.salts {
            return None;
        }
        self.checksum.add(&frame[..8]);
        self.checksum.add(&frame[FRAME_HEADER_BYTES..]);
        (self.checksum.sums == [number(frame, 16), number(frame, 20)]).then_some(page)
    }
}

/// SQLite's checksum of everything so far.
struct Checksum {
    is_big_endian: bool,
    sums: [u32; 2],
}

impl Checksum {
    /// Adds a multiple of eight bytes.
    fn add(&mut self, bytes: &[u8]) {
        let [mut first, mut second] = self.sums;
        let order = if self.is_big_endian {
            u32::from_be_bytes
        } else {
            u32::from_le_bytes
        };
        for pair in bytes.as_chunks::<8>().0 {
            let [a, b, c, d, e, f, g, h] = *pair;
            first = first.wrapping_add(order([a, b, c, d])).wrapping_add(second);
            second = second.wrapping_add(order([e, f, g, h])).wrapping_add(first);
        }
        self.sums = [first, second];
    }
}

/// Whether SQLite has pages of this size.
pub(super) fn is_page_size(bytes: u32) -> bool {
    bytes.is_power_of_two() && (512..=65_536).contains(&bytes)
}

/// The big-endian number at this place.
fn number(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(number)
}

/// Whether there were enough bytes.
fn fill(file: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
