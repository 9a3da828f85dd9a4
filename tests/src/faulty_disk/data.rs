//! The contents of one file, in sectors that copies share.

use std::ops::Range;
use std::sync::Arc;

/// What a medium writes as one, in bytes.
pub const SECTOR: usize = 512;

type Sector = [u8; SECTOR];

const ZEROS: Sector = [0; SECTOR];

/// A file's bytes. A copy costs a reference for each sector; what is behind the end is zero.
#[derive(Clone, Debug, Default)]
pub(crate) struct Data {
    /// `None` is a sector of zeros.
    sectors: Vec<Option<Arc<Sector>>>,
    length: u64,
}

impl Data {
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// How many sectors it has, the last of which may be used in part.
    pub(crate) fn sector_count(&self) -> usize {
        self.sectors.len()
    }

    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let left = self.length.saturating_sub(offset);
        let count = buffer.len().min(to_usize(left));
        let mut done = 0;
        while done < count {
            let at = to_usize(offset) + done;
            let within = at % SECTOR;
            let size = (SECTOR - within).min(count - done);
            let bytes = self.sector(at / SECTOR);
            buffer[done..done + size].copy_from_slice(&bytes[within..within + size]);
            done += size;
        }
        count
    }

    /// Returns which sectors changed.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> Range<usize> {
        if bytes.is_empty() {
            return 0..0;
        }
        let start = to_usize(offset);
        let end = start + bytes.len();
        if end as u64 > self.length {
            self.set_length(end as u64);
        }
        let mut done = 0;
        while done < bytes.len() {
            let at = start + done;
            let within = at % SECTOR;
            let size = (SECTOR - within).min(bytes.len() - done);
            let part = &bytes[done..done + size];
            let place = &mut self.sectors[at / SECTOR];
            // A file that is filled with zeros costs nothing.
            if place.is_some() || part.iter().any(|byte| *byte != 0) {
                let sector = Arc::make_mut(place.get_or_insert_with(|| Arc::new(ZEROS)));
                sector[within..within + size].copy_from_slice(part);
            }
            done += size;
        }
        start / SECTOR..end.div_ceil(SECTOR)
    }

    pub(crate) fn set_length(&mut self, length: u64) {
        self.length = length;
        self.sectors.resize(to_usize(length).div_ceil(SECTOR), None);
        let used = to_usize(length) % SECTOR;
        if used > 0
            && let Some(Some(last)) = self.sectors.last_mut()
            && last[used..].iter().any(|byte| *byte != 0)
        {
            Arc::make_mut(last)[used..].fill(0);
        }
    }

    /// The bytes of one sector; zeros behind the end.
    pub(crate) fn sector(&self, place: usize) -> &Sector {
        match self.sectors.get(place) {
            Some(Some(sector)) => sector,
            _ => &ZEROS,
        }
    }

    /// Takes one sector from another file's contents; the length stays.
    pub(crate) fn copy_sector(&mut self, place: usize, from: &Self, from_place: usize) {
        if place < self.sectors.len() {
            self.sectors[place] = from.sectors.get(from_place).cloned().flatten();
            // Restores the zeros behind the end.
            self.set_length(self.length);
        }
    }

    /// Takes the first `count` bytes of one sector from another file's contents.
    pub(crate) fn tear_sector(&mut self, place: usize, from: &Self, count: usize) {
        if place < self.sectors.len() {
            let mut sector = *self.sector(place);
            sector[..count].copy_from_slice(&from.sector(place)[..count]);
            self.sectors[place] = Some(Arc::new(sector));
            self.set_length(self.length);
        }
    }

    pub(crate) fn swap_sectors(&mut self, left: usize, right: usize) {
        self.sectors.swap(left, right);
        self.set_length(self.length);
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).expect("files of tests are small")
}
