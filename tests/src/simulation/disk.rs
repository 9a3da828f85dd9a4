//! A disk that keeps what was synced and may keep what was only written.
//!
//! It models `log.db`: transactions are whole or absent, reach the disk in order, and a sync makes
//! everything before it durable too. What a process wrote and did not sync is still there for the
//! next process, until a power loss (R4).

use std::collections::VecDeque;

use chat_consensus::{
    Entry, HardState, LogBase, LogIndex, Position, StorageId, Stored, Term, TermRun, Writes,
};

/// What one state of the disk holds.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// How often this disk was started.
    pub boot_count: u64,
    /// Term, vote and cluster.
    pub hard_state: HardState,
    base: Option<LogBase>,
    entries: Vec<Entry>,
    /// How many of the first entries are as they were when they were last looked at.
    looked_at: usize,
}

/// How many of the newest transactions a disk can be rolled back by.
const ROLL_BACK_MAX: usize = 24;

/// What one transaction changed, so that a disk can be rolled back.
#[derive(Clone, Debug)]
struct Undo {
    boot_count: u64,
    hard_state: HardState,
    base: Option<LogBase>,
    /// How many of the earlier entries it kept.
    left: usize,
    /// The entries that it removed.
    removed: Vec<Entry>,
}

/// One node's disk.
#[derive(Clone, Debug)]
pub struct Disk {
    storage: StorageId,
    durable: Image,
    /// The newest transactions, newest last.
    undo: VecDeque<Undo>,
    /// The fault that its last process recorded: the disk is not used any more (R11).
    fault: Option<String>,
    /// Written by a process that died before its sync; whole transactions, in order.
    unsynced: Vec<Writes>,
}

/// What happens to a write that is under way when its process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteFate {
    /// Nothing of it was written.
    Lost,
    /// The next start sees it; a power loss undoes it.
    Unsynced,
    /// It is durable.
    Synced,
}

impl Image {
    /// Applies one transaction.
    ///
    /// # Errors
    ///
    /// The reason for which a store would reject it.
    pub fn apply(&mut self, writes: &Writes) -> Result<(), String> {
        self.change(writes).map(drop)
    }

    fn change(&mut self, writes: &Writes) -> Result<Undo, String> {
        let mut undo = Undo {
            boot_count: self.boot_count,
            hard_state: self.hard_state,
            base: self.base.clone(),
            left: self.entries.len(),
            removed: Vec::new(),
        };
        if let Some(counter) = writes.boot_count {
            if counter <= self.boot_count {
                return Err(format!("boot count {counter} is not new"));
            }
            self.boot_count = counter;
        }
        if let Some(hard_state) = writes.hard_state {
            // A disk that no base admits has voted for no node, and may return to a lower term (R4).
            if hard_state.term < self.hard_state.term && self.hard_state.vote.is_some() {
                return Err(format!("term {} moves back", hard_state.term));
            }
            let cluster = self.hard_state.cluster;
            if cluster.is_some() && cluster != hard_state.cluster {
                return Err("the disk gets another cluster".to_owned());
            }
            self.hard_state = hard_state;
        }
        if let Some(base) = &writes.base {
            if self.base.is_some() || self.hard_state.cluster != Some(base.membership.cluster) {
                return Err(format!("base {base:?} does not belong here"));
            }
            self.base = Some((**base).clone());
        }
        if let Some(last) = writes.truncate_after {
            if last > self.last().index {
                return Err(format!("truncate after {last}, which is not there"));
            }
            undo.left = to_usize(last);
            undo.removed = self.entries.split_off(undo.left);
            self.looked_at = self.looked_at.min(self.entries.len());
        }
        if self.base.is_none() && !writes.entries.is_empty() {
            return Err("an entry without a base".to_owned());
        }
        for entry in &writes.entries {
            if entry.position.index != self.last().index.next() {
                return Err(format!("entry {:?} leaves a gap", entry.position));
            }
            self.entries.push(entry.clone());
        }
        Ok(undo)
    }

    fn roll_back(&mut self, undo: Undo) {
        self.boot_count = undo.boot_count;
        self.hard_state = undo.hard_state;
        self.base = undo.base;
        self.entries.truncate(undo.left);
        self.looked_at = self.looked_at.min(undo.left);
        self.entries.extend(undo.removed);
    }

    /// The last entry's position.
    pub fn last(&self) -> Position {
        self.entries
            .last()
            .map_or(Position::ZERO, |entry| entry.position)
    }

    /// The term of the entry at `index`; 0 before the first, `None` after the last.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        match to_usize(index).checked_sub(1) {
            None => Some(Term(0)),
            Some(place) => self.entries.get(place).map(|entry| entry.position.term),
        }
    }

    /// Whether this very entry is there.
    pub fn holds(&self, position: Position) -> bool {
        self.term_at(position.index) == Some(position.term)
    }

    /// The whole log.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries that came since the last call, and the term of the one before them.
    fn take_fresh(&mut self) -> (Term, &[Entry]) {
        let from = std::mem::replace(&mut self.looked_at, self.entries.len());
        let before = from.checked_sub(1).map(|place| &self.entries[place]);
        let previous = before.map_or(Term(0), |entry| entry.position.term);
        (previous, &self.entries[from..])
    }

    /// Where the log begins, if that is known.
    pub fn base(&self) -> Option<&LogBase> {
        self.base.as_ref()
    }

    fn stored(&self, storage: StorageId) -> Stored {
        let mut terms: Vec<TermRun> = Vec::new();
        for entry in &self.entries {
            if terms
                .last()
                .is_none_or(|span| span.term < entry.position.term)
            {
                terms.push(TermRun {
                    term: entry.position.term,
                    first: entry.position.index,
                });
            }
        }
        Stored {
            storage,
            boot_count: self.boot_count,
            hard_state: self.hard_state,
            base: self.base.clone(),
            last: self.last(),
            terms,
        }
    }
}

impl Disk {
    /// A disk on which nothing was ever written.
    pub fn empty(storage: StorageId) -> Self {
        Self {
            storage,
            durable: Image::default(),
            undo: VecDeque::new(),
            fault: None,
            unsynced: Vec::new(),
        }
    }

    /// The storage id of its contents.
    pub fn storage(&self) -> StorageId {
        self.storage
    }

    /// What a power loss leaves.
    pub fn durable(&self) -> &Image {
        &self.durable
    }

    /// Writes and syncs: everything that was written before is durable, too.
    ///
    /// # Errors
    ///
    /// The reason for which a store would reject the writes.
    pub fn write_and_sync(&mut self, writes: &Writes) -> Result<(), String> {
        for earlier in std::mem::take(&mut self.unsynced) {
            self.make_durable(&earlier)?;
        }
        self.make_durable(writes)
    }

    fn make_durable(&mut self, writes: &Writes) -> Result<(), String> {
        let undo = self.durable.change(writes)?;
        if self.undo.len() == ROLL_BACK_MAX {
            self.undo.pop_front();
        }
        self.undo.push_back(undo);
        Ok(())
    }

    /// The disk lied about its syncs, or was replaced by an older copy: the newest `count` transactions
    /// are lost, although they were synced. Returns how many were lost.
    pub fn roll_back(&mut self, count: usize) -> usize {
        self.unsynced.clear();
        let mut lost = 0;
        while lost < count
            && let Some(undo) = self.undo.pop_back()
        {
            self.durable.roll_back(undo);
            lost += 1;
        }
        lost
    }

    /// The entries that became durable since the last call, and the term of the one before them.
    pub fn take_fresh(&mut self) -> (Term, &[Entry]) {
        self.durable.take_fresh()
    }

    /// Writes, and the process dies before its sync ends.
    pub fn write_without_sync(&mut self, writes: Writes) {
        self.unsynced.push(writes);
    }

    /// Its node detected a violated invariant of the protocol, and stops.
    pub fn record_fault(&mut self, fault: String) {
        self.fault = Some(fault);
    }

    /// The recorded fault, if the disk must not be used any more.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Whether something was written and not synced.
    pub fn has_unsynced_writes(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Power loss: of what was not synced, the first `kept` transactions are on the disk by chance.
    ///
    /// # Errors
    ///
    /// The reason for which a store would reject what was written.
    pub fn lose_power(&mut self, kept: usize) -> Result<(), String> {
        for earlier in std::mem::take(&mut self.unsynced).iter().take(kept) {
            self.make_durable(earlier)?;
        }
        Ok(())
    }

    /// How many transactions are not synced.
    pub fn unsynced_count(&self) -> usize {
        self.unsynced.len()
    }

    /// What a start finds on the disk: also what was never synced (R4).
    ///
    /// # Errors
    ///
    /// The reason for which a store would reject what was written.
    pub fn stored(&self) -> Result<Stored, String> {
        let mut visible = self.durable.clone();
        for writes in &self.unsynced {
            visible.apply(writes)?;
        }
        Ok(visible.stored(self.storage))
    }

    /// The entries in `(after, last]` that are there, until `bytes_max` is passed; one at least.
    pub fn read(&self, after: LogIndex, last: LogIndex, bytes_max: usize) -> Vec<Entry> {
        let end = to_usize(last).min(self.durable.entries.len());
        let start = to_usize(after).min(end);
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            let first = bytes == 0;
            bytes += entry.size().max(1);
            first || bytes <= bytes_max
        };
        let entries = self.durable.entries[start..end].iter();
        entries.take_while(fits).cloned().collect()
    }
}

fn to_usize(index: LogIndex) -> usize {
    usize::try_from(index.0).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use chat_consensus::{ClusterId, Membership, NodeId, Payload, Voter};

    use super::*;

    /// A disk on which a cluster was bootstrapped.
    fn disk() -> Disk {
        let storage = StorageId(1);
        let membership = Membership {
            cluster: ClusterId(1),
            voters: vec![Voter {
                node: NodeId(1),
                storage,
            }],
        };
        let mut disk = Disk::empty(storage);
        let bootstrap = Writes {
            hard_state: Some(HardState {
                cluster: Some(membership.cluster),
                ..HardState::default()
            }),
            base: Some(Box::new(LogBase::first(membership))),
            ..Writes::default()
        };
        disk.write_and_sync(&bootstrap).unwrap();
        disk
    }

    fn entry(index: u64) -> Writes {
        Writes {
            entries: vec![Entry {
                position: Position::new(index, 1),
                payload: Payload::Empty,
            }],
            ..Writes::default()
        }
    }

    fn last(disk: &Disk) -> u64 {
        disk.stored().unwrap().last.index.0
    }

    #[test]
    fn unsynced_write_is_seen_by_next_process_and_lost_at_power_loss() {
        let mut disk = disk();
        disk.write_and_sync(&entry(1)).unwrap();
        disk.write_without_sync(entry(2));
        assert_eq!(last(&disk), 2);
        assert_eq!(disk.durable().last().index, LogIndex(1));
        disk.lose_power(0).unwrap();
        assert_eq!(last(&disk), 1);
    }

    #[test]
    fn sync_makes_earlier_writes_durable() {
        let mut disk = disk();
        disk.write_without_sync(entry(1));
        disk.write_and_sync(&entry(2)).unwrap();
        disk.lose_power(0).unwrap();
        assert_eq!(last(&disk), 2);
    }

    #[test]
    fn roll_back_restores_the_state_before_the_transactions() {
        let mut disk = disk();
        disk.write_and_sync(&entry(1)).unwrap();
        disk.write_and_sync(&entry(2)).unwrap();
        let before = disk.durable().entries().to_vec();
        let other_end = Writes {
            boot_count: Some(4),
            truncate_after: Some(LogIndex(1)),
            entries: vec![Entry {
                position: Position::new(2, 3),
                payload: Payload::Empty,
            }],
            ..Writes::default()
        };
        disk.write_and_sync(&other_end).unwrap();
        disk.write_and_sync(&Writes::default()).unwrap();
        assert_eq!(disk.roll_back(2), 2);
        assert_eq!(disk.durable().entries(), before);
        assert_eq!(disk.durable().boot_count, 0);
    }

    #[test]
    fn entry_after_a_gap_is_rejected() {
        let mut disk = disk();
        assert!(disk.write_and_sync(&entry(2)).is_err());
    }
}
