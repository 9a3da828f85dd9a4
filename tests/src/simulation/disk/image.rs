//! What a disk must hold: a model of the log beside the real one.

use chat_consensus::{
    ChainValue, Entry, HardState, LogBase, LogIndex, MembershipChange, Position, StorageId, Stored,
    Term, Writes,
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
    /// It begins where damaged entries end.
    behind_hole: bool,
}

/// What one transaction changed, so that a disk can be rolled back.
#[derive(Clone, Debug)]
pub(super) struct Undo {
    boot_count: u64,
    hard_state: HardState,
    base: Option<LogBase>,
    /// How many of the earlier entries it kept.
    left: usize,
    /// The entries that it removed.
    removed: Vec<Entry>,
}

impl Image {
    /// Applies one batch; nothing of it if it is rejected.
    ///
    /// # Errors
    ///
    /// Why a log must reject it.
    pub(super) fn change(&mut self, writes: &Writes) -> Result<Undo, String> {
        self.check(writes)?;
        let mut undo = Undo {
            boot_count: self.boot_count,
            hard_state: self.hard_state,
            base: self.base.clone(),
            left: self.entries.len(),
            removed: Vec::new(),
        };
        self.boot_count = writes.boot_count.unwrap_or(self.boot_count);
        self.hard_state = writes.hard_state.unwrap_or(self.hard_state);
        if let Some(base) = &writes.base {
            self.base = Some((**base).clone());
            let cluster = &mut self.hard_state.cluster;
            cluster.get_or_insert(base.membership.cluster);
            self.looked_at = 0;
            self.behind_hole = false;
            undo.left = 0;
            undo.removed = std::mem::take(&mut self.entries);
        }
        if let Some(last) = writes.truncate_after {
            let left = self.count_through(last);
            undo.left = undo.left.min(left);
            let removed = self.entries.split_off(left);
            undo.removed.extend(removed);
            self.looked_at = self.looked_at.min(left);
        }
        self.entries.extend(writes.entries.iter().cloned());
        Ok(undo)
    }

    fn check(&self, writes: &Writes) -> Result<(), String> {
        if let Some(counter) = writes.boot_count
            && counter <= self.boot_count
        {
            return Err(format!("boot count {counter} is not new"));
        }
        let mut cluster = self.hard_state.cluster;
        if let Some(hard_state) = writes.hard_state {
            // A disk that no base admits has voted for no node, and may return to a lower term (R4).
            if hard_state.term < self.hard_state.term && self.hard_state.vote.is_some() {
                return Err(format!("term {} moves back", hard_state.term));
            }
            if cluster.is_some() && cluster != hard_state.cluster {
                return Err("the disk gets another cluster".to_owned());
            }
            cluster = hard_state.cluster;
        }
        if let Some(base) = &writes.base {
            let own = *cluster.get_or_insert(base.membership.cluster);
            let later = self.base.is_none() || base.position.index > self.begin().index;
            if own != base.membership.cluster || !later {
                return Err(format!("base {base:?} does not belong here"));
            }
        }
        let base = writes.base.as_deref().or(self.base.as_ref());
        // A new base replaces every entry (R24).
        let installed = writes.base.as_ref().map(|base| base.position.index);
        let mut last = installed.unwrap_or(self.last().index);
        if let Some(index) = writes.truncate_after {
            if index > last || base.is_some_and(|base| index < base.position.index) {
                return Err(format!("truncate after {index}, which is not there"));
            }
            last = index;
        }
        if base.is_none() && !writes.entries.is_empty() {
            return Err("an entry without a base".to_owned());
        }
        for entry in &writes.entries {
            if entry.position.index != last.next() {
                return Err(format!("entry {:?} leaves a gap", entry.position));
            }
            last = entry.position.index;
        }
        Ok(())
    }

    pub(super) fn roll_back(&mut self, undo: Undo) {
        self.boot_count = undo.boot_count;
        self.hard_state = undo.hard_state;
        self.base = undo.base;
        self.entries.truncate(undo.left);
        self.looked_at = self.looked_at.min(undo.left);
        self.entries.extend(undo.removed);
    }

    /// The disk has forgotten: what it voted is not its vote any more (R18).
    pub(super) fn forget_vote(&mut self) {
        self.hard_state.vote = None;
    }

    /// The log begins at `base` now, at one of its entries: those up to there are gone (R24).
    ///
    /// # Errors
    ///
    /// It is not the base that the log has there.
    pub(super) fn compact(&mut self, base: &LogBase) -> Result<(), String> {
        let old = self.base.as_ref().ok_or("there is no base")?;
        let gone = self.count_through(base.position.index);
        let mut changes = self.entries[..gone].iter().filter_map(MembershipChange::of);
        let change = changes.next_back().map(|change| change.membership);
        let expected = LogBase {
            position: base.position,
            chain: self.chain_at(base.position.index).unwrap_or(old.chain),
            membership: change.unwrap_or_else(|| old.membership.clone()),
        };
        if !self.holds(base.position) || *base != expected {
            return Err(format!("begins at {base:?}, which is not {expected:?}"));
        }
        self.entries.drain(..gone);
        self.looked_at = self.looked_at.saturating_sub(gone);
        self.base = Some(expected);
        Ok(())
    }

    /// Whether entries before its base are damaged, and not removed (R24).
    pub(super) fn set_behind_hole(&mut self, behind_hole: bool) {
        self.behind_hole = behind_hole;
    }

    /// See [`Self::set_behind_hole`].
    pub fn is_behind_hole(&self) -> bool {
        self.behind_hole
    }

    /// The chain value of the entry at `index`, or of the base.
    pub fn chain_at(&self, index: LogIndex) -> Option<ChainValue> {
        let base = self.base.as_ref()?;
        if index < base.position.index || index > self.last().index {
            return None;
        }
        let entries = self.entries[..self.count_through(index)].iter();
        Some(entries.fold(base.chain, ChainValue::next))
    }

    fn begin(&self) -> Position {
        let base = self.base.as_ref();
        base.map_or(Position::ZERO, |base| base.position)
    }

    /// The last entry's position, or the base's.
    pub fn last(&self) -> Position {
        let last = self.entries.last();
        last.map_or(self.begin(), |entry| entry.position)
    }

    /// The term of the entry at `index`, or of the base; `None` below the base and after the last.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        let base = self.begin();
        if index == base.index {
            return Some(base.term);
        }
        let place = index.0.checked_sub(base.index.0 + 1)?;
        let entry = self.entries.get(usize::try_from(place).ok()?)?;
        Some(entry.position.term)
    }

    /// Whether this very entry is there.
    pub fn holds(&self, position: Position) -> bool {
        self.term_at(position.index) == Some(position.term)
    }

    /// The whole log.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries in `(after, last]` that are there.
    pub(super) fn entries_between(&self, after: LogIndex, last: LogIndex) -> &[Entry] {
        let end = self.count_through(last);
        &self.entries[self.count_through(after).min(end)..end]
    }

    /// How many of its entries are at `index` or before.
    fn count_through(&self, index: LogIndex) -> usize {
        let base = self.base.as_ref().map_or(0, |base| base.position.index.0);
        let count = usize::try_from(index.0.saturating_sub(base)).unwrap_or(usize::MAX);
        count.min(self.entries.len())
    }

    /// The entries that came since the last call, and the term of the one before them.
    pub(super) fn take_fresh(&mut self) -> (Term, &[Entry]) {
        let from = std::mem::replace(&mut self.looked_at, self.entries.len());
        let before = from.checked_sub(1).map(|place| &self.entries[place]);
        let previous = before.map_or(self.begin().term, |entry| entry.position.term);
        (previous, &self.entries[from..])
    }

    /// Where the log begins, if that is known.
    pub fn base(&self) -> Option<&LogBase> {
        self.base.as_ref()
    }

    pub(super) fn stored(&self, storage: StorageId) -> Stored {
        // The model has no blocks.
        let stored = Stored {
            boot_count: self.boot_count,
            hard_state: self.hard_state,
            base: self.base.clone(),
            behind_hole: self.behind_hole,
            ..Stored::empty(storage)
        };
        stored.with_entries(self.entries.iter())
    }
}

/// The parts of a batch in the order in which they become durable, each whole or not at all. The first
/// base of a disk comes before everything else, and brings its cluster.
pub(super) fn parts(writes: &Writes, has_base: bool) -> Vec<Writes> {
    let node = Writes {
        boot_count: writes.boot_count,
        hard_state: writes.hard_state,
        ..Writes::default()
    };
    let base = Writes {
        base: writes.base.clone(),
        ..Writes::default()
    };
    let block = Writes {
        truncate_after: writes.truncate_after,
        entries: writes.entries.clone(),
        ..Writes::default()
    };
    let parts = if has_base {
        [node, base, block]
    } else {
        [base, node, block]
    };
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}
