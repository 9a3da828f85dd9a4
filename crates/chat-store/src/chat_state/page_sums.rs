//! `state.sums`: a checksum of each page of `state.db`, because SQLite has none.
//!
//! Only checkpoints change `state.db`, and only those that this program asks for. After each complete one
//! the checksums of the pages that it may have copied are made anew, before the write-ahead log can begin
//! anew. So at a start each page of `state.db` has its checksum, or is replaced by one in the write-ahead
//! log. Whatever else it is, is damage: a changed bit, a file as it was earlier, another node's.
//! `docs/storage.md` has the reasons ("Checksums").

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use chat_consensus::LogIndex;
use sqlx::sqlite::SqliteConnection;

use super::error::StateError;
use super::state_directories::failed;
use super::write_ahead_log::{FrameChecksum, Frames, Salts, WriteAheadLog, is_page_size};
use crate::database::OpenError;
use crate::directory;

const MAGIC: &[u8; 8] = b"chatsums";
const VERSION: u32 = 1;
/// Magic, version, page size, applied index, and what is copied of the write-ahead log, with a mark
/// whether that is known.
const HEADER_BYTES: usize = 8 + 4 + 4 + 8 + 4 + 8 + 8 + 8;
const SUM_BYTES: usize = 4;

/// How much of the main file is read at once, in bytes.
const READ_BYTES: usize = 1 << 20;

/// The page that has SQLite's locks, and nothing else, is the one at this offset.
const LOCKS_AT: u64 = 1 << 30;

/// What `state.sums` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageSums {
    page_bytes: u32,
    /// The last applied entry in the main file.
    pub(super) applied: LogIndex,
    /// What of the write-ahead log the main file has. `None` while SQLite begins a new one, in which
    /// there is nothing yet.
    copied: Option<Copied>,
    /// The CRC-32 of each page of the main file.
    pages: Vec<u32>,
}

/// How much of which run of the write-ahead log was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Copied {
    salts: Salts,
    frames: u64,
    /// That of the last of these frames; zeros if there are none.
    checksum: FrameChecksum,
}

/// The main file and its checksums on the disk.
#[derive(Debug)]
pub(super) struct SumsFile {
    database: PathBuf,
    sums: PageSums,
    /// Has read from the database: while it is open, SQLite does not take another connection for the
    /// last one, whose closing would copy the write-ahead log.
    _reader: SqliteConnection,
    /// Kept open until the connections are closed, because closing any descriptor of a file gives up the
    /// locks of SQLite on it.
    main: File,
}

impl PageSums {
    /// Reads the checksums of the database at `path`. `None` if there are none, or if they are damaged
    /// themselves: the database is believed then.
    pub(super) fn load(database: &Path) -> Result<Option<Self>, StateError> {
        let path = path_of(database);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path)(error)),
        };
        let Some(content) = without_checksum(&bytes) else {
            let path = path.display();
            tracing::warn!(%path, "the checksums of the state are damaged; they are made anew");
            return Ok(None);
        };
        let version = content.get(8..12).map_or(0, be_u32);
        if !content.starts_with(MAGIC) || version != VERSION {
            // It is whole, so a later program wrote it, which may have written another database, too.
            return Err(StateError::Open(OpenError::UnknownFormat {
                path,
                found: version.into(),
                known: VERSION.into(),
            }));
        }
        Ok(Self::decode(content))
    }

    /// Whether a write-ahead log, if there is one, has nothing but its first transactions, which change
    /// nothing, or upgrade the tables.
    pub(super) fn is_wal_beginning(&self) -> bool {
        self.copied.is_none()
    }

    /// Notes durably that SQLite begins a write-ahead log whose salts are not known yet.
    pub(super) fn wal_begins(&mut self, database: &Path) -> io::Result<()> {
        if self.copied.take().is_some() {
            private_file::replace(&path_of(database), &self.encode())?;
        }
        Ok(())
    }

    /// Compares the main file at `database` with the checksums. `wal` is what SQLite would use of the
    /// write-ahead log beside it. Returns what is wrong.
    pub(super) fn verify(
        &self,
        database: &Path,
        wal: Option<&WriteAheadLog>,
    ) -> io::Result<Result<(), String>> {
        if let (Some(copied), Some(wal)) = (self.copied, wal)
            && !copied.is_followed_by(wal)
        {
            let wrong = "its write-ahead log is not the one that was written last";
            return Ok(Err(wrong.to_owned()));
        }
        let locks = self.locks_page();
        let main = File::open(database)?;
        let found = sums_of(&main, self.page_bytes)?;
        let replaced = |page| wal.is_some_and(|wal| wal.pages.contains(&page));
        for (page, sum) in (1..).zip(&found) {
            let expected = self.pages.get(page as usize - 1);
            if expected != Some(sum) && !replaced(page) && page != locks {
                let wrong = format!("page {page} is not the one that was written last");
                return Ok(Err(wrong));
            }
        }
        if main.metadata()?.len() < u64::from(self.page_bytes) {
            // SQLite would delete the write-ahead log, whatever is in it.
            return Ok(Err("page 1 is missing".to_owned()));
        }
        let mut expected = (1..).zip(&self.pages).skip(found.len());
        if let Some((missing, _)) = expected.find(|(page, _)| !replaced(*page)) {
            return Ok(Err(format!("page {missing} is missing")));
        }
        Ok(Ok(()))
    }

    /// The number of the page that has SQLite's locks.
    fn locks_page(&self) -> u32 {
        u32::try_from(LOCKS_AT / u64::from(self.page_bytes) + 1).unwrap_or(u32::MAX)
    }

    fn decode(content: &[u8]) -> Option<Self> {
        let (header, sums) = content.split_at_checked(HEADER_BYTES)?;
        let number = |at: usize| header.get(at..at + 4).map(be_u32);
        let page_bytes = number(12)?;
        let applied = u64::from(number(16)?) << 32 | u64::from(number(20)?);
        let copied = Copied {
            salts: Salts([number(28)?, number(32)?]),
            frames: u64::from(number(36)?) << 32 | u64::from(number(40)?),
            checksum: FrameChecksum([number(44)?, number(48)?]),
        };
        let copied = (number(24)? == 1).then_some(copied);
        let (sums, rest) = sums.as_chunks::<SUM_BYTES>();
        (rest.is_empty() && is_page_size(page_bytes)).then(|| Self {
            page_bytes,
            applied: LogIndex(applied),
            copied,
            pages: sums.iter().map(|sum| u32::from_be_bytes(*sum)).collect(),
        })
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + (self.pages.len() + 1) * SUM_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&self.page_bytes.to_be_bytes());
        bytes.extend_from_slice(&self.applied.0.to_be_bytes());
        let copied = self.copied.unwrap_or(Copied::nothing_of(Salts([0; 2])));
        bytes.extend_from_slice(&u32::from(self.copied.is_some()).to_be_bytes());
        for number in copied.salts.0 {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&copied.frames.to_be_bytes());
        for number in copied.checksum.0 {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        for sum in &self.pages {
            bytes.extend_from_slice(&sum.to_be_bytes());
        }
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        bytes
    }
}

impl Copied {
    fn nothing_of(salts: Salts) -> Self {
        Self {
            salts,
            frames: 0,
            checksum: FrameChecksum([0; 2]),
        }
    }

    fn all(frames: &Frames) -> Self {
        Self {
            salts: frames.salts,
            frames: frames.count,
            checksum: frames.checksum,
        }
    }

    /// Whether `wal` has all that was copied, and maybe more, or was begun anew once since.
    fn is_followed_by(self, wal: &WriteAheadLog) -> bool {
        if wal.salts != self.salts {
            return self.salts.precede(wal.salts);
        }
        let last = usize::try_from(self.frames).unwrap_or(usize::MAX);
        last == 0 || wal.checksums.get(last - 1) == Some(&self.checksum)
    }
}

impl SumsFile {
    /// The checksums of a database that was compared with them at this start. `reader` has read from it.
    pub(super) fn verified(
        database: &Path,
        sums: PageSums,
        reader: SqliteConnection,
    ) -> io::Result<Self> {
        Ok(Self {
            database: database.to_owned(),
            sums,
            _reader: reader,
            main: File::open(database)?,
        })
    }

    /// Makes and stores the checksums of a database that has none, and is at `applied`. All of the first
    /// `frames` frames of its write-ahead log are copied, and there are no others.
    pub(super) fn create(
        database: &Path,
        applied: LogIndex,
        frames: u64,
        reader: SqliteConnection,
    ) -> io::Result<Self> {
        let main = File::open(database)?;
        let mut size = [0; 2];
        main.read_exact_at(&mut size, 16)?;
        // SQLite's way to say 65,536.
        let page_bytes = match u32::from(u16::from_be_bytes(size)) {
            1 => 65_536,
            other => other,
        };
        if !is_page_size(page_bytes) {
            return Err(io::Error::other(format!("pages of {page_bytes} bytes")));
        }
        let sums = PageSums {
            page_bytes,
            applied,
            copied: Frames::read(&directory::wal_of(database), frames)?
                .as_ref()
                .map(Copied::all),
            pages: sums_of(&main, page_bytes)?,
        };
        let file = Self {
            database: database.to_owned(),
            sums,
            _reader: reader,
            main,
        };
        file.store()?;
        Ok(file)
    }

    /// Notes durably that SQLite begins a write-ahead log whose salts are not known yet.
    pub(super) fn begin_wal(&mut self) -> io::Result<()> {
        self.sums.wal_begins(&self.database)
    }

    /// Notes durably which write-ahead log that is.
    pub(super) fn wal_has_begun(&mut self) -> io::Result<()> {
        let begun = self.frames(1)?;
        let begun = begun.ok_or_else(|| io::Error::other("SQLite has written no frame"))?;
        self.sums.copied = Some(Copied::nothing_of(begun.salts));
        self.store()
    }

    /// Which run of the write-ahead log there is; `None` if it is empty.
    pub(super) fn salts(&self) -> io::Result<Option<Salts>> {
        Ok(self.frames(1)?.map(|frames| frames.salts))
    }

    /// Notes durably that a checkpoint has copied all of the first `frames` frames of the write-ahead
    /// log, and that the main file is at `applied`. Nothing may checkpoint, or begin the write-ahead log
    /// anew, until this returns.
    pub(super) fn note(&mut self, frames: u64, applied: LogIndex) -> io::Result<()> {
        let Some(frames) = self.frames(frames)? else {
            return Ok(());
        };
        let copied = Some(Copied::all(&frames));
        if self.sums.copied == copied {
            return Ok(());
        }
        self.add(&frames.pages)?;
        self.sums.copied = copied;
        self.sums.applied = applied;
        self.store()
    }

    /// Compares some pages after `after` with their checksums, while nothing checkpoints. Returns the last
    /// one, or `None` at the end of the file; and what is wrong.
    pub(super) fn verify_part(
        &self,
        after: u32,
        count: u32,
    ) -> io::Result<Result<Option<u32>, String>> {
        let known = u32::try_from(self.sums.pages.len()).unwrap_or(u32::MAX);
        let last = known.min(after.saturating_add(count));
        let mut page = vec![0; self.sums.page_bytes as usize];
        let mut wal = None;
        for number in after + 1..=last {
            let found = self.sum_of(number, &mut page)?;
            if found == self.sums.pages[number as usize - 1] || number == self.sums.locks_page() {
                continue;
            }
            // A checkpoint that could not copy everything may have copied it, and has noted nothing.
            if wal.is_none() {
                wal = WriteAheadLog::read(&directory::wal_of(&self.database))?;
            }
            if wal.as_ref().is_none_or(|wal| !wal.pages.contains(&number)) {
                let wrong = format!("page {number} is not the one that was written last");
                return Ok(Err(wrong));
            }
        }
        Ok(Ok((last < known).then_some(last)))
    }

    fn add(&mut self, pages: &BTreeSet<u32>) -> io::Result<()> {
        let page_bytes = u64::from(self.sums.page_bytes);
        let there = self.main.metadata()?.len() / page_bytes;
        let there = u32::try_from(there).map_err(io::Error::other)?;
        let known = u32::try_from(self.sums.pages.len()).map_err(io::Error::other)?;
        self.sums.pages.resize(there as usize, 0);
        let new = known.min(there) + 1..=there;
        let mut page = vec![0; self.sums.page_bytes as usize];
        for number in pages.iter().copied().chain(new) {
            if number == 0 || number > there {
                continue;
            }
            self.sums.pages[number as usize - 1] = self.sum_of(number, &mut page)?;
        }
        Ok(())
    }

    /// Reads a page of the main file into `page`, which has its size, and returns its checksum.
    fn sum_of(&self, number: u32, page: &mut [u8]) -> io::Result<u32> {
        let at = u64::from(number - 1) * page.len() as u64;
        self.main.read_exact_at(page, at)?;
        Ok(crc32fast::hash(page))
    }

    fn frames(&self, count: u64) -> io::Result<Option<Frames>> {
        Frames::read(&directory::wal_of(&self.database), count)
    }

    fn store(&self) -> io::Result<()> {
        private_file::replace(&path_of(&self.database), &self.sums.encode())
    }
}

/// The content of a file that ends with its own checksum, if that is right.
fn without_checksum(bytes: &[u8]) -> Option<&[u8]> {
    let (content, crc) = bytes.split_last_chunk::<SUM_BYTES>()?;
    (crc32fast::hash(content) == u32::from_be_bytes(*crc)).then_some(content)
}

/// Where the checksums of the database at `path` are.
fn path_of(database: &Path) -> PathBuf {
    database.with_extension("sums")
}

fn be_u32(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The checksum of each page of a file; the last one may be incomplete.
fn sums_of(file: &File, page_bytes: u32) -> io::Result<Vec<u32>> {
    let mut file = BufReader::with_capacity(READ_BYTES, file);
    let (mut page, mut sums) = (Vec::new(), Vec::new());
    loop {
        page.clear();
        let mut rest = file.by_ref().take(page_bytes.into());
        if rest.read_to_end(&mut page)? == 0 {
            return Ok(sums);
        }
        sums.push(crc32fast::hash(&page));
    }
}
