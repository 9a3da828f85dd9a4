//! What is on the medium, what only the page cache has, and how one becomes the other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;

use super::change::{Change, FileId};
use super::data::Data;
use super::plan::{Operation, Plan, Trouble};

/// Names and contents: those of the page cache, or those of the medium.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) names: Arc<BTreeMap<String, FileId>>,
    pub(crate) files: BTreeMap<FileId, Arc<Data>>,
}

/// What is in the page cache of a file and not known to be on the medium.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dirty {
    pub(crate) sectors: BTreeSet<usize>,
    pub(crate) length: bool,
}

/// A change of a name that no sync of the directory has followed.
#[derive(Clone, Debug)]
pub(crate) enum NameChange {
    Create(String, FileId),
    Rename(String, String),
    Remove(String),
}

/// What the medium had before a flush, so that a disk can lose flushes that it confirmed.
#[derive(Clone, Debug)]
pub(crate) enum Undo {
    Contents(FileId, Arc<Data>),
    Names(Arc<BTreeMap<String, FileId>>, Vec<(FileId, Arc<Data>)>),
}

/// How many of the newest flushes a disk can lose.
const FLUSHES_LOST_MAX: usize = 256;

/// One disk. A copy shares the contents.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) cache: View,
    pub(crate) medium: View,
    pub(crate) dirty: BTreeMap<FileId, Dirty>,
    /// Files of which the medium differs from clean sectors of the cache.
    pub(crate) diverged: BTreeSet<FileId>,
    pub(crate) name_changes: Vec<NameChange>,
    /// How many flushes changed the medium, in the whole life of the disk.
    pub(crate) flushes: u64,
    /// Newest last.
    pub(crate) history: VecDeque<Undo>,
    /// How many handles of this run a file has.
    open: BTreeMap<FileId, usize>,
    /// Incremented by each death: handles of an earlier run do not work.
    pub(crate) run: u64,
    pub(crate) dead: bool,
    pub(crate) plan: Plan,
    pub(crate) capacity: Option<u64>,
    pub(crate) random: fastrand::Rng,
    /// Every state before a change, while it is recorded.
    pub(crate) recorded: Option<Vec<(Self, Change)>>,
    next_file: FileId,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self {
            cache: View::default(),
            medium: View::default(),
            dirty: BTreeMap::new(),
            diverged: BTreeSet::new(),
            name_changes: Vec::new(),
            flushes: 0,
            history: VecDeque::new(),
            open: BTreeMap::new(),
            run: 0,
            dead: false,
            plan: Plan::default(),
            capacity: None,
            random: fastrand::Rng::with_seed(0),
            recorded: None,
            next_file: 1,
        }
    }

    /// Fails if the process that asks is dead.
    pub(crate) fn check_run(&self, run: u64) -> io::Result<()> {
        if self.dead || run != self.run {
            return Err(died());
        }
        Ok(())
    }

    pub(crate) fn find(&self, name: &str) -> io::Result<FileId> {
        let file = self.cache.names.get(name).copied();
        file.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, name.to_owned()))
    }

    pub(crate) fn open(&mut self, file: FileId) {
        *self.open.entry(file).or_default() += 1;
    }

    pub(crate) fn close(&mut self, file: FileId, run: u64) {
        if run != self.run {
            return;
        }
        let Some(handles) = self.open.get_mut(&file) else {
            return;
        };
        *handles -= 1;
        if *handles == 0 {
            self.open.remove(&file);
            self.forget_unreachable();
        }
    }

    pub(crate) fn create(&mut self, name: &str) -> io::Result<FileId> {
        if self.cache.names.contains_key(name) {
            let what = name.to_owned();
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
        }
        let file = self.next_file;
        self.record(|| Change::Create(name.to_owned()));
        self.change_names(NameChange::Create(name.to_owned(), file))?;
        Ok(file)
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.find(from)?;
        self.record(|| Change::Rename(from.to_owned(), to.to_owned()));
        self.change_names(NameChange::Rename(from.to_owned(), to.to_owned()))
    }

    pub(crate) fn remove(&mut self, name: &str) -> io::Result<()> {
        self.find(name)?;
        self.record(|| Change::Remove(name.to_owned()));
        self.change_names(NameChange::Remove(name.to_owned()))
    }

    fn change_names(&mut self, change: NameChange) -> io::Result<()> {
        let trouble = self.plan.next(Operation::Name);
        if trouble == Some(Trouble::NoSpace) {
            return Err(no_space());
        }
        let crashes = trouble == Some(Trouble::Crash);
        if crashes && self.random.bool() {
            return Err(self.die());
        }
        if let NameChange::Create(_, file) = &change {
            self.next_file += 1;
            self.cache.files.insert(*file, Arc::default());
            self.medium.files.insert(*file, Arc::default());
        }
        change.apply(Arc::make_mut(&mut self.cache.names));
        self.name_changes.push(change);
        if crashes {
            return Err(self.die());
        }
        Ok(())
    }

    pub(crate) fn contents(&self, file: FileId) -> &Data {
        self.cache.files.get(&file).expect("an open file is kept")
    }

    pub(crate) fn write(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.record(|| Change::Write(file, offset, bytes.to_vec()));
        let trouble = self.plan.next(Operation::Write);
        let end = offset + bytes.len() as u64;
        let full = trouble == Some(Trouble::NoSpace) || !self.has_room(file, end);
        let crashes = trouble == Some(Trouble::Crash);
        let bytes = if full || crashes {
            self.some_of(offset, bytes)
        } else {
            bytes
        };
        let data = self.cache.files.get_mut(&file);
        let data = Arc::make_mut(data.expect("an open file is kept"));
        let length = data.length();
        let changed = data.write(offset, bytes);
        let dirty = self.dirty.entry(file).or_default();
        dirty.length |= data.length() != length;
        dirty.sectors.extend(changed);
        if crashes {
            return Err(self.die());
        }
        if full { Err(no_space()) } else { Ok(()) }
    }

    /// The beginning of a write that ends in the middle, at a sector's end; or all, or nothing.
    fn some_of<'a>(&mut self, offset: u64, bytes: &'a [u8]) -> &'a [u8] {
        let sector = super::SECTOR as u64;
        let last = (offset + bytes.len() as u64).div_ceil(sector);
        let end = self.random.u64(offset / sector..=last) * sector;
        let count = usize::try_from(end.saturating_sub(offset)).expect("within the write");
        &bytes[..count.min(bytes.len())]
    }

    fn has_room(&self, file: FileId, length: u64) -> bool {
        let Some(capacity) = self.capacity else {
            return true;
        };
        let of_others = self.cache.files.iter().filter(|(other, _)| **other != file);
        let used: u64 = of_others.map(|(_, data)| data.length()).sum();
        let own = self.contents(file).length();
        length <= own || used + length <= capacity
    }

    pub(crate) fn set_length(&mut self, file: FileId, length: u64) -> io::Result<()> {
        self.record(|| Change::SetLength(file, length));
        let trouble = self.plan.next(Operation::Length);
        if trouble == Some(Trouble::NoSpace) || !self.has_room(file, length) {
            return Err(no_space());
        }
        let crashes = trouble == Some(Trouble::Crash);
        if crashes && self.random.bool() {
            return Err(self.die());
        }
        let data = self.cache.files.get_mut(&file);
        let data = Arc::make_mut(data.expect("an open file is kept"));
        let before = data.sector_count();
        data.set_length(length);
        let after = data.sector_count();
        let dirty = self.dirty.entry(file).or_default();
        dirty.length = true;
        dirty.sectors.retain(|sector| *sector < after);
        // What is removed and extended again is zero: the sector at the end changed, too.
        let first_changed = before.min(after).saturating_sub(1);
        dirty.sectors.extend(first_changed..after);
        if crashes {
            return Err(self.die());
        }
        Ok(())
    }

    pub(crate) fn sync(&mut self, file: FileId) -> io::Result<()> {
        self.record(|| Change::Sync(file));
        let trouble = self.plan.next(Operation::Sync);
        match trouble {
            Some(Trouble::Crash) => {
                self.flush_some(file);
                return Err(self.die());
            }
            Some(Trouble::SyncFails) => {
                self.flush_some(file);
                self.dirty.remove(&file);
                self.diverged.insert(file);
                return Err(io::Error::other("the sync failed"));
            }
            Some(Trouble::SyncLies) => {
                self.dirty.remove(&file);
                self.diverged.insert(file);
                return Ok(());
            }
            Some(Trouble::SyncsPostponed) => return Ok(()),
            Some(Trouble::Misdirected) => self.misdirect(file),
            Some(Trouble::NoSpace) | None => {}
        }
        self.flush(file);
        Ok(())
    }

    pub(crate) fn sync_names(&mut self) -> io::Result<()> {
        self.record(|| Change::SyncNames);
        match self.plan.next(Operation::SyncNames) {
            Some(Trouble::Crash) => {
                self.keep_name_changes_in_part();
                return Err(self.die());
            }
            Some(Trouble::SyncFails) => {
                // A journal that failed does not pretend: the names stay unsynced.
                self.keep_name_changes_in_part();
                return Err(io::Error::other("the sync failed"));
            }
            Some(Trouble::SyncLies) => {
                self.name_changes.clear();
                return Ok(());
            }
            Some(Trouble::SyncsPostponed) => return Ok(()),
            Some(Trouble::Misdirected | Trouble::NoSpace) | None => {}
        }
        if self.name_changes.is_empty() {
            return Ok(());
        }
        let mut names = (*self.medium.names).clone();
        for change in std::mem::take(&mut self.name_changes) {
            change.apply(&mut names);
        }
        let before = std::mem::replace(&mut self.medium.names, Arc::new(names));
        let named = self.named();
        let removed = before.values().filter(|file| !named.contains(file));
        let removed =
            removed.filter_map(|file| Some((*file, self.medium.files.get(file)?.clone())));
        let undo = Undo::Names(before.clone(), removed.collect());
        self.remember(undo);
        self.forget_unreachable();
        Ok(())
    }

    /// The file's dirty sectors and its length reach the medium.
    fn flush(&mut self, file: FileId) {
        let Some(dirty) = self.dirty.remove(&file) else {
            return;
        };
        let Some(before) = self.medium.files.get(&file).cloned() else {
            return;
        };
        let cached = &self.cache.files[&file];
        if self.diverged.contains(&file) {
            let data = self.medium.files.get_mut(&file).expect("it was just there");
            let data = Arc::make_mut(data);
            if dirty.length {
                data.set_length(cached.length());
            }
            for sector in dirty.sectors {
                data.copy_sector(sector, cached, sector);
            }
        } else {
            self.medium.files.insert(file, cached.clone());
        }
        self.remember(Undo::Contents(file, before));
    }

    pub(crate) fn remember(&mut self, undo: Undo) {
        if self.history.len() == FLUSHES_LOST_MAX {
            self.history.pop_front();
        }
        self.history.push_back(undo);
        self.flushes += 1;
    }

    /// One sector that is to be flushed is written to another place; its own keeps what it had.
    fn misdirect(&mut self, file: FileId) {
        let Some(dirty) = self.dirty.get_mut(&file) else {
            return;
        };
        let count = dirty.sectors.len();
        if count == 0 {
            return;
        }
        let chosen = self.random.usize(0..count);
        let sector = *dirty.sectors.iter().nth(chosen).expect("below the count");
        dirty.sectors.remove(&sector);
        self.diverged.insert(file);
        let named: Vec<FileId> = self.medium.names.values().copied().collect();
        if named.is_empty() {
            return;
        }
        let to = named[self.random.usize(0..named.len())];
        let cached = self.cache.files[&file].clone();
        let Some(data) = self.medium.files.get_mut(&to) else {
            return;
        };
        let sectors = data.sector_count();
        if sectors == 0 {
            return;
        }
        let place = self.random.usize(0..sectors);
        if (to, place) != (file, sector) {
            Arc::make_mut(data).copy_sector(place, &cached, sector);
            self.diverged.insert(to);
        }
    }

    pub(crate) fn drop_cache(&mut self, file: FileId) {
        if !self.diverged.contains(&file) {
            return;
        }
        let none = Dirty::default();
        let dirty = self.dirty.get(&file).unwrap_or(&none);
        let Some(medium) = self.medium.files.get(&file) else {
            return;
        };
        let mut data = (**medium).clone();
        let cached = &self.cache.files[&file];
        if dirty.length {
            data.set_length(cached.length());
        }
        for sector in &dirty.sectors {
            data.copy_sector(*sector, cached, *sector);
        }
        self.cache.files.insert(file, Arc::new(data));
        self.diverged.remove(&file);
    }

    fn record(&mut self, change: impl FnOnce() -> Change) {
        if let Some(mut points) = self.recorded.take() {
            points.push((self.clone(), change()));
            self.recorded = Some(points);
        }
    }

    /// The process dies in the middle of an operation.
    fn die(&mut self) -> io::Error {
        self.dead = true;
        died()
    }

    /// The next start gets new handles, and no operation goes wrong before a new plan says so.
    pub(crate) fn begin_run(&mut self) {
        self.run += 1;
        self.dead = false;
        self.plan = Plan::default();
        self.open.clear();
        self.forget_unreachable();
    }

    /// The files that have a name, or had one that a power loss may bring back.
    fn named(&self) -> BTreeSet<FileId> {
        let names = self.cache.names.values().chain(self.medium.names.values());
        let made = self.name_changes.iter().filter_map(|change| match change {
            NameChange::Create(_, file) => Some(file),
            NameChange::Rename(..) | NameChange::Remove(_) => None,
        });
        names.chain(made).copied().collect()
    }

    /// Files without a name are gone once they are closed.
    fn forget_unreachable(&mut self) {
        let named = self.named();
        let candidates = self.cache.files.keys().copied();
        let gone: Vec<FileId> = candidates
            .filter(|file| !self.open.contains_key(file) && !named.contains(file))
            .collect();
        for file in gone {
            self.cache.files.remove(&file);
            self.medium.files.remove(&file);
            self.dirty.remove(&file);
            self.diverged.remove(&file);
        }
    }
}

impl NameChange {
    /// Does nothing if an earlier change that it depends on is missing.
    pub(crate) fn apply(&self, names: &mut BTreeMap<String, FileId>) {
        match self {
            Self::Create(name, file) => {
                names.insert(name.clone(), *file);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

fn died() -> io::Error {
    io::Error::other("the process has died")
}

fn no_space() -> io::Error {
    io::ErrorKind::StorageFull.into()
}
