//! What a disk loses although it was synced, and what becomes of a disk that forgot (R18, R24).

use chat_consensus::{BlockNumber, Position, StorageId};

use super::open_log::OpenLog;
use super::{Disk, describe, to_usize};
use crate::faulty_disk::{Rot, SECTOR};

impl Disk {
    /// The disk lied about its syncs, or was replaced by an older copy: the newest `count` transactions
    /// are lost, although they were synced. Returns how many were lost.
    ///
    /// # Errors
    ///
    /// The log does not hold what it held then.
    pub fn roll_back(&mut self, count: usize) -> Result<usize, String> {
        self.unsynced.clear();
        self.newest_block = BlockNumber::UNKNOWN;
        let mut lost = 0;
        let mut flushes = self.directory.flushes();
        // Parts of one batch that a crash left have one number.
        while let Some((before, undo)) = self
            .undo
            .pop_back_if(|(before, _)| lost < count || *before == flushes)
        {
            self.durable.roll_back(undo);
            flushes = before;
            lost += 1;
        }
        let wanted = self.directory.flushes() - flushes;
        let (directory, undone) = self.directory.lose_flushes(to_usize(wanted));
        self.directory = directory;
        if undone as u64 != wanted {
            return Err(format!("only {undone} of {wanted} flushes can be lost"));
        }
        self.look_at_medium(flushes)?;
        Ok(lost)
    }

    /// One bit of a segment rots while no process runs, if the next start then finds a hole that ends at an
    /// allowed position (R24): other damage makes a disk forget. Returns whether it did.
    ///
    /// # Errors
    ///
    /// The log behind the hole is not what was written.
    pub(crate) fn rot_in_the_middle(
        &mut self,
        is_allowed: impl Fn(Position) -> bool,
    ) -> Result<bool, String> {
        if !self.unsynced.is_empty() {
            return Ok(false);
        }
        let names = self.directory.files_on_medium().into_iter();
        let segments: Vec<String> = names
            .map(|(name, _)| name)
            .filter(|name| name != "node")
            .collect();
        // The newest has what may not be committed.
        let newest = segments.iter().max();
        let any = self.random.choice(&segments);
        let Some(name) = newest.filter(|_| self.random.bool()).or(any) else {
            return Ok(false);
        };
        let used = self.directory.used_sectors(name);
        let Some(sector) = self.random.choice(&used) else {
            return Ok(false);
        };
        let within = self.random.usize(0..SECTOR * 8);
        let bit = (sector * SECTOR * 8 + within) as u64;
        let rotten = || {
            let copy = self.directory.image().into_directory();
            copy.rot(name, Rot::Flip { bit }).0
        };
        let mut random = self.random.clone();
        let opened = OpenLog::open(&rotten(), self.options, || random.u128(1..));
        let Ok((_, opened)) = opened else {
            return Ok(false);
        };
        let (Some(base), None, Some(_)) = (opened.stored.base, opened.amnesia, opened.hole) else {
            return Ok(false);
        };
        // If the last block is hit, no start can know that it was ever synced; and what hides behind an
        // earlier hole is found by a read only.
        let begins = self.durable.base().map(|base| base.position.index);
        if !is_allowed(base.position)
            || begins.is_none_or(|begins| base.position.index <= begins)
            || opened.stored.last != self.durable.last()
        {
            return Ok(false);
        }
        self.durable.compact(&base)?;
        self.durable.set_behind_hole(true);
        self.directory = rotten();
        self.undo.clear();
        Ok(true)
    }

    /// The node has found that the disk has forgotten: it gets a new storage id, and no process runs.
    ///
    /// # Errors
    ///
    /// The log fails.
    pub(crate) fn begin_amnesia(&mut self, storage: StorageId, why: &str) -> Result<(), String> {
        let open = self.open.as_mut().ok_or("no process runs")?;
        let begun = open.begin_amnesia(storage, why);
        begun.map_err(|error| describe(&error))?;
        self.storage = storage;
        self.durable.forget_vote();
        self.undo.clear();
        self.kill();
        Ok(())
    }
}
