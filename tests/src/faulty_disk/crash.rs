//! What deaths, lies and rot leave on a medium.

use std::sync::Arc;

use super::change::FileId;
use super::data::{Data, SECTOR};
use super::disk::{Disk, Undo};

/// What a power failure may do beyond losing whole sectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tearing {
    /// A sector is written whole or not at all, as drives promise.
    #[default]
    Never,
    /// A sector that is being written may be new up to any byte and old from there on.
    AtAnyByte,
}

/// What rots in a file on the medium; offsets beyond the end change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rot {
    /// One bit, counted from the file's beginning.
    Flip {
        /// Eight times the offset, and the bit's number.
        bit: u64,
    },
    /// A sector of zeros.
    Zero {
        /// Its number.
        sector: usize,
    },
    /// The file ends earlier.
    Truncate {
        /// Its length in bytes.
        length: u64,
    },
    /// Two sectors change places.
    Swap {
        /// One.
        left: usize,
        /// The other.
        right: usize,
    },
    /// The file is gone.
    Remove,
}

impl Disk {
    /// Of what a file's sync was to make durable, some is on the medium.
    pub(crate) fn flush_some(&mut self, file: FileId) {
        self.keep_in_part(file, Tearing::Never);
    }

    /// The machine loses power: any part of what was not synced is on the medium by chance.
    pub(crate) fn lose_power(&mut self, tearing: Tearing) {
        let dirty: Vec<FileId> = self.dirty.keys().copied().collect();
        for file in dirty {
            self.keep_in_part(file, tearing);
        }
        self.keep_name_changes_in_part();
        self.begin_from_medium();
    }

    /// The same, and the newest `flushes` that were confirmed are lost, too; nothing that was not
    /// synced is kept. Returns how many were lost.
    pub(crate) fn lose_flushes(&mut self, flushes: usize) -> usize {
        let mut lost = 0;
        while lost < flushes
            && let Some(undo) = self.history.pop_back()
        {
            match undo {
                Undo::Contents(file, data) => {
                    self.medium.files.insert(file, data);
                }
                Undo::Names(names, removed) => {
                    self.medium.names = names;
                    self.medium.files.extend(removed);
                }
            }
            lost += 1;
        }
        self.begin_from_medium();
        lost
    }

    fn begin_from_medium(&mut self) {
        self.name_changes.clear();
        self.dirty.clear();
        self.diverged.clear();
        self.cache = self.medium.clone();
        self.begin_run();
    }

    /// Any subset of the unsynced sectors is on the medium, with any length in between.
    fn keep_in_part(&mut self, file: FileId, tearing: Tearing) {
        let (Some(dirty), Some(cached)) = (self.dirty.get(&file), self.cache.files.get(&file))
        else {
            return;
        };
        let Some(medium) = self.medium.files.get_mut(&file) else {
            return;
        };
        let before = medium.clone();
        let data = Arc::make_mut(medium);
        let random = &mut self.random;
        if dirty.length {
            let (old, new) = (data.length(), cached.length());
            let length = match random.u32(0..4) {
                0 => old,
                1 if old < new => {
                    random.u64(old / SECTOR as u64..=new / SECTOR as u64) * SECTOR as u64
                }
                _ => new,
            };
            data.set_length(if old < new { length.max(old) } else { length });
        }
        // None, few, half, most or all of the sectors.
        let of_eight = [0, 1, 4, 7, 8][random.usize(0..5)];
        for sector in &dirty.sectors {
            if random.u32(0..8) < of_eight {
                if tearing == Tearing::AtAnyByte && random.u32(0..4) == 0 {
                    data.tear_sector(*sector, cached, random.usize(1..SECTOR));
                } else {
                    data.copy_sector(*sector, cached, *sector);
                }
            }
        }
        self.remember(Undo::Contents(file, before));
    }

    /// Any prefix, or any subset, of the unsynced changes of names is on the medium.
    pub(crate) fn keep_name_changes_in_part(&mut self) {
        if self.name_changes.is_empty() {
            return;
        }
        let count = self.name_changes.len();
        let prefix = self.random.bool().then(|| self.random.usize(0..=count));
        let before = self.medium.names.clone();
        let names = Arc::make_mut(&mut self.medium.names);
        for (number, change) in self.name_changes.iter().enumerate() {
            let kept = match prefix {
                Some(prefix) => number < prefix,
                None => self.random.bool(),
            };
            if kept {
                change.apply(names);
            }
        }
        let files = before.values();
        let files = files.filter_map(|file| Some((*file, self.medium.files.get(file)?.clone())));
        let undo = Undo::Names(before.clone(), files.collect());
        self.remember(undo);
    }

    /// The contents of a file on the medium, by its name.
    pub(crate) fn on_medium(&self, name: &str) -> Option<&Arc<Data>> {
        self.medium.files.get(self.medium.names.get(name)?)
    }

    /// A file rots while no process runs. Returns whether that changed a byte.
    pub(crate) fn rot(&mut self, name: &str, rot: Rot) -> bool {
        let Some(before) = self.on_medium(name).cloned() else {
            return false;
        };
        if rot == Rot::Remove {
            Arc::make_mut(&mut self.medium.names).remove(name);
            self.begin_from_medium();
            return true;
        }
        let mut data = (*before).clone();
        let sectors = data.sector_count();
        match rot {
            Rot::Flip { bit } if bit / 8 < data.length() => {
                let mut byte = [0];
                data.read(bit / 8, &mut byte);
                data.write(bit / 8, &[byte[0] ^ (1 << (bit % 8))]);
            }
            Rot::Zero { sector } if sector < sectors => {
                data.copy_sector(sector, &Data::default(), 0);
            }
            Rot::Truncate { length } if length < data.length() => data.set_length(length),
            Rot::Swap { left, right } if left < sectors && right < sectors => {
                data.swap_sectors(left, right);
            }
            _ => {}
        }
        let changed = differ(&data, &before);
        self.replace(name, Arc::new(data));
        changed
    }

    /// A file becomes what it was on an earlier copy of the disk. Returns whether that changed a byte.
    pub(crate) fn restore(&mut self, name: &str, earlier: &Self) -> bool {
        let (Some(now), Some(data)) = (self.on_medium(name), earlier.on_medium(name)) else {
            return false;
        };
        let changed = differ(now, data);
        self.replace(name, data.clone());
        changed
    }

    fn replace(&mut self, name: &str, data: Arc<Data>) {
        let file = self.medium.names[name];
        self.medium.files.insert(file, data);
        self.begin_from_medium();
    }
}

fn differ(left: &Data, right: &Data) -> bool {
    let sectors = left.sector_count().max(right.sector_count());
    left.length() != right.length()
        || (0..sectors).any(|sector| left.sector(sector) != right.sector(sector))
}
