//! A disk in memory that keeps its promises until a test says how it breaks them.
//!
//! A disk is a medium and a page cache in front of it. What a process writes is in the cache; a sync
//! of a file brings its contents to the medium, in sectors of 512 bytes, and a sync of the directory
//! brings the names. The cache outlives the process and not the machine. It models no time and no
//! errors of reads.

mod change;
mod crash;
mod data;
mod disk;
mod plan;
mod recording;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chat_log::{Directory, File};

use change::FileId;
pub use crash::{Rot, Tearing};
pub use data::SECTOR;
use disk::Disk;
pub use plan::Trouble;
pub use recording::CrashPoint;

/// A handle of one disk; clones are handles of the same disk.
#[derive(Clone, Debug)]
pub struct FaultyDirectory {
    disk: Arc<Mutex<Disk>>,
    /// The run of the process that has this handle.
    run: u64,
}

/// An open file. It does not work any more after the process died.
#[derive(Debug)]
pub struct FaultyFile {
    disk: Arc<Mutex<Disk>>,
    file: FileId,
    run: u64,
}

/// A copy of a whole disk: medium, cache, and what a lying disk may forget.
#[derive(Clone, Debug)]
pub struct DiskImage(Disk);

impl CrashPoint {
    /// A disk of its own, whose process died within the change; `seed` decides what part of it is done.
    pub fn crash(&self, seed: u64) -> FaultyDirectory {
        let directory = DiskImage(self.before()).into_directory();
        directory.plan_next(Trouble::Crash, seed);
        let done = self.repeat(&mut directory.lock());
        debug_assert!(done.is_err(), "a crash was planned");
        directory
    }
}

impl FaultyDirectory {
    /// An empty disk.
    pub fn empty() -> Self {
        DiskImage(Disk::new()).attach()
    }

    /// A copy of the disk as it is now, for the price of its number of files.
    pub fn image(&self) -> DiskImage {
        DiskImage(self.lock().clone())
    }

    /// The process dies; the page cache stays. Returns the handle for the next process.
    #[must_use]
    pub fn kill(&self) -> Self {
        self.lock().begin_run();
        self.next_run()
    }

    /// The machine loses power: of what was not synced any part is kept, as `random` decides.
    /// Returns the handle for the next process.
    #[must_use]
    pub fn lose_power(&self, random: &mut fastrand::Rng, tearing: Tearing) -> Self {
        let mut disk = self.lock();
        disk.random = random.fork();
        disk.lose_power(tearing);
        drop(disk);
        self.next_run()
    }

    /// The machine loses power, and nothing that was not synced is kept, nor the newest `flushes` of
    /// those that the disk confirmed. Returns the handle for the next process and how many were lost.
    #[must_use]
    pub fn lose_flushes(&self, flushes: usize) -> (Self, usize) {
        let lost = self.lock().lose_flushes(flushes);
        (self.next_run(), lost)
    }

    /// How many flushes have changed the medium, of which the newest can be lost.
    pub fn flushes(&self) -> u64 {
        self.lock().flushes
    }

    /// Whether something was written and not synced.
    pub fn has_unsynced_writes(&self) -> bool {
        let disk = self.lock();
        !disk.dirty.is_empty() || !disk.name_changes.is_empty()
    }

    /// `trouble` meets the first operation that it fits, from `operation` on, counted from 0 at the
    /// last death; `seed` decides which part of that operation is done.
    pub fn plan(&self, operation: u64, trouble: Trouble, seed: u64) {
        let mut disk = self.lock();
        disk.plan.trouble = Some((operation, trouble));
        disk.random = fastrand::Rng::with_seed(seed);
    }

    /// The same, from the next operation on.
    pub fn plan_next(&self, trouble: Trouble, seed: u64) {
        let operation = self.operations();
        self.plan(operation, trouble, seed);
    }

    /// From now on every state before a change is recorded.
    pub fn record(&self) {
        self.lock().recorded = Some(Vec::new());
    }

    /// Ends the recording; what was recorded, oldest first.
    pub fn take_recorded(&self) -> Vec<CrashPoint> {
        let recorded = self.lock().recorded.take().unwrap_or_default();
        recorded.into_iter().map(CrashPoint::new).collect()
    }

    /// What was planned and has happened since the last death.
    pub fn occurred(&self) -> Option<Trouble> {
        self.lock().plan.occurred
    }

    /// How many operations that change something there were since the last death.
    pub fn operations(&self) -> u64 {
        self.lock().plan.operations
    }

    /// From now on the lengths of all files together have this limit, in bytes.
    pub fn limit_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// The names on the medium with the lengths of their files.
    pub fn files_on_medium(&self) -> Vec<(String, u64)> {
        let disk = self.lock();
        let names = disk.medium.names.iter();
        names
            .map(|(name, file)| (name.clone(), disk.medium.files[file].length()))
            .collect()
    }

    /// The sectors of a file on the medium that are not zeros.
    pub fn used_sectors(&self, name: &str) -> Vec<usize> {
        let disk = self.lock();
        let Some(data) = disk.on_medium(name) else {
            return Vec::new();
        };
        let sectors = 0..data.sector_count();
        let used = sectors.filter(|sector| data.sector(*sector).iter().any(|byte| *byte != 0));
        used.collect()
    }

    /// A file rots while no process runs: the cache is gone. Returns the handle for the next process
    /// and whether a byte changed.
    #[must_use]
    pub fn rot(&self, name: &str, rot: Rot) -> (Self, bool) {
        let changed = self.lock().rot(name, rot);
        (self.next_run(), changed)
    }

    /// A file becomes what it was in `earlier`. Returns the handle for the next process and whether a
    /// byte changed.
    #[must_use]
    pub fn restore(&self, name: &str, earlier: &DiskImage) -> (Self, bool) {
        let changed = self.lock().restore(name, &earlier.0);
        (self.next_run(), changed)
    }

    fn next_run(&self) -> Self {
        let run = self.lock().run;
        Self {
            disk: self.disk.clone(),
            run,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        lock(&self.disk)
    }

    fn running(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.lock();
        disk.check_run(self.run)?;
        Ok(disk)
    }

    fn file(&self, file: FileId) -> FaultyFile {
        FaultyFile {
            disk: self.disk.clone(),
            file,
            run: self.run,
        }
    }
}

impl DiskImage {
    /// A disk of its own that begins as this copy.
    pub fn attach(&self) -> FaultyDirectory {
        self.clone().into_directory()
    }

    /// The same, of the last use of this copy.
    pub fn into_directory(self) -> FaultyDirectory {
        let run = self.0.run;
        FaultyDirectory {
            disk: Arc::new(Mutex::new(self.0)),
            run,
        }
    }
}

fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    // A test that panicked has failed already.
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Directory for FaultyDirectory {
    type File = FaultyFile;

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.running()?.cache.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<FaultyFile> {
        let mut disk = self.running()?;
        let file = disk.create(name)?;
        disk.open(file);
        Ok(self.file(file))
    }

    fn open(&self, name: &str) -> io::Result<FaultyFile> {
        let mut disk = self.running()?;
        let file = disk.find(name)?;
        disk.open(file);
        Ok(self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.running()?.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.running()?.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        self.running()?.sync_names()
    }
}

impl FaultyFile {
    fn running(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = lock(&self.disk);
        disk.check_run(self.run)?;
        Ok(disk)
    }
}

impl File for FaultyFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.running()?.contents(self.file).length())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.running()?.contents(self.file).read(offset, buffer))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.running()?.write(self.file, offset, bytes)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.running()?.set_length(self.file, length)
    }

    fn sync(&self) -> io::Result<()> {
        self.running()?.sync(self.file)
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.running()?.drop_cache(self.file);
        Ok(())
    }
}

impl Drop for FaultyFile {
    fn drop(&mut self) {
        lock(&self.disk).close(self.file, self.run);
    }
}

#[cfg(test)]
mod tests;
