//! What a log must hold: a model of it, and what a crash within one step may leave.

use std::collections::BTreeMap;

use chat_consensus::{
    BlockNumber, ChainValue, Entry, HardState, LogBase, LogIndex, Membership, MembershipChange,
    Position, StorageId, Stored, Writes,
};
use chat_log::{LogError, Opened};

use super::step::Step;

/// Everything that a log has acknowledged, or what it holds if a step in progress took effect.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) storage: StorageId,
    pub(super) boot_count: u64,
    pub(super) hard_state: HardState,
    pub(super) base: Option<LogBase>,
    /// After the base, each with the chain value up to it.
    pub(super) entries: Vec<(Entry, ChainValue)>,
    pub(super) state_directory: Option<String>,
    /// The number of the newest block that the log has returned: no start finds less (R18).
    pub(super) synced_block: BlockNumber,
}

/// What opening a log returned, and everything that its reader returns.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) opened: Opened,
    pub(super) pieces: Result<Vec<Piece>, LogError>,
}

/// Entries that were read at once.
#[derive(Debug)]
pub(super) struct Piece {
    /// The index before the first.
    pub(super) after: LogIndex,
    /// The index up to which was read.
    pub(super) through: LogIndex,
    /// The chain value at `after`.
    pub(super) chain: ChainValue,
    pub(super) entries: Vec<Entry>,
}

/// What may be left of one step.
#[derive(Debug)]
pub(super) struct Candidates {
    /// In the order in which they come about.
    states: Vec<Expected>,
    /// The log may begin later than a state says, but not after this index.
    compacting: Option<LogIndex>,
}

/// Every entry and base that was ever written, by its chain value, which covers all before it, with the
/// members as of there.
pub(super) type Written = BTreeMap<(LogIndex, ChainValue), Membership>;

impl Expected {
    pub(super) fn empty(storage: StorageId) -> Self {
        Self {
            storage,
            boot_count: 0,
            hard_state: HardState::default(),
            base: None,
            entries: Vec::new(),
            state_directory: None,
            synced_block: BlockNumber::UNKNOWN,
        }
    }

    pub(super) fn last(&self) -> Position {
        match (self.entries.last(), &self.base) {
            (Some((entry, _)), _) => entry.position,
            (None, Some(base)) => base.position,
            (None, None) => Position::ZERO,
        }
    }

    pub(super) fn chain(&self) -> ChainValue {
        match (self.entries.last(), &self.base) {
            (Some((_, chain)), _) => *chain,
            (None, Some(base)) => base.chain,
            (None, None) => ChainValue([0; 16]),
        }
    }

    /// The index before its first entry.
    pub(super) fn begins_after(&self) -> LogIndex {
        self.base
            .as_ref()
            .map_or(LogIndex::ZERO, |base| base.position.index)
    }

    fn changes(&self) -> Vec<MembershipChange> {
        let entries = self.entries.iter().map(|(entry, _)| entry);
        entries.filter_map(MembershipChange::of).collect()
    }

    /// The members as of an index of the log, which has a base.
    pub(super) fn members_at(&self, index: LogIndex) -> Option<Membership> {
        let mut changes = self.changes();
        changes.retain(|change| change.index <= index);
        let newest = changes.pop().map(|change| change.membership);
        newest.or_else(|| Some(self.base.as_ref()?.membership.clone()))
    }

    /// What of it was ever written: all of it.
    pub(super) fn written(&self) -> Written {
        let mut written = Written::new();
        let Some(base) = &self.base else {
            return written;
        };
        let mut members = base.membership.clone();
        written.insert((base.position.index, base.chain), members.clone());
        for (entry, chain) in &self.entries {
            if let Some(change) = MembershipChange::of(entry) {
                members = change.membership;
            }
            written.insert((entry.position.index, *chain), members.clone());
        }
        written
    }

    pub(super) fn stored(&self) -> Stored {
        let stored = Stored {
            boot_count: self.boot_count,
            hard_state: self.hard_state,
            base: self.base.clone(),
            synced_block: self.synced_block,
            ..Stored::empty(self.storage)
        };
        stored.with_entries(self.entries.iter().map(|(entry, _)| entry))
    }

    /// The first part of a batch: what is in the file `node`.
    fn apply_node(&mut self, writes: &Writes) {
        self.boot_count = writes.boot_count.unwrap_or(self.boot_count);
        self.hard_state = writes.hard_state.unwrap_or(self.hard_state);
    }

    fn install(&mut self, base: &LogBase) {
        self.base = Some(base.clone());
        let cluster = &mut self.hard_state.cluster;
        cluster.get_or_insert(base.membership.cluster);
        self.entries.clear();
    }

    /// The last part of a batch: one block.
    fn apply_block(&mut self, writes: &Writes) {
        if let Some(last) = writes.truncate_after {
            self.entries
                .retain(|(entry, _)| entry.position.index <= last);
        }
        for entry in &writes.entries {
            let chain = self.chain().next(entry);
            self.entries.push((entry.clone(), chain));
        }
    }

    /// The same log, which begins at one of its entries instead.
    pub(super) fn begin_after(&mut self, index: LogIndex) {
        let members = self.members_at(index);
        let (Some(base), Some(place)) = (
            &mut self.base,
            self.entries
                .iter()
                .position(|(entry, _)| entry.position.index == index),
        ) else {
            return;
        };
        let (entry, chain) = self.entries[place].clone();
        base.position = entry.position;
        base.chain = chain;
        base.membership = members.expect("a log with a base has members");
        self.entries.drain(..=place);
    }

    /// Whether this is exactly what was found; unreadable entries are not checked.
    pub(super) fn is(&self, found: &Found) -> bool {
        let stored = &found.opened.stored;
        let expected = Stored {
            synced_block: stored.synced_block.max(self.synced_block),
            ..self.stored()
        };
        *stored == expected
            && found.opened.chain == self.chain()
            && found.opened.state_directory == self.state_directory
            && self.has_entries(found)
    }

    /// The same for a log that may begin earlier, because the end of a compaction was lost, or later,
    /// because one came after this state, through the index `compacted`.
    pub(super) fn is_end_of(&self, found: &Found, compacted: LogIndex) -> bool {
        let begins = found
            .opened
            .stored
            .base
            .as_ref()
            .map(|base| base.position.index);
        match begins.filter(|begins| *begins > self.begins_after() && *begins <= compacted) {
            None => self.ends(found),
            Some(begins) => {
                let mut state = self.clone();
                state.begin_after(begins);
                state.ends(found)
            }
        }
    }

    fn ends(&self, found: &Found) -> bool {
        let begins = found.opened.stored.base.as_ref().map(|base| base.position);
        let own = self.base.as_ref().map(|base| base.position);
        let stored = &found.opened.stored;
        self.storage == stored.storage
            && self.boot_count == stored.boot_count
            && self.hard_state == stored.hard_state
            && self.last() == stored.last
            && self.synced_block <= stored.synced_block
            && self.chain() == found.opened.chain
            && (begins <= own || found.opened.hole.is_some())
            && found.opened.state_directory == self.state_directory
            && self.has_members(found)
            && self.has_entries(found)
    }

    /// Whether it has the members that were found, from where both begin.
    fn has_members(&self, found: &Found) -> bool {
        let stored = &found.opened.stored;
        let Some(base) = &stored.base else {
            return true;
        };
        let begins = base.position.index.max(self.begins_after());
        let after = |mut changes: Vec<MembershipChange>| {
            changes.retain(|change| change.index > begins);
            changes
        };
        let newest = stored.changes.last().map(|change| &change.membership);
        let newest = newest.unwrap_or(&base.membership);
        after(stored.changes.clone()) == after(self.changes())
            && self.members_at(self.last().index).as_ref() == Some(newest)
    }

    fn has_entries(&self, found: &Found) -> bool {
        let Ok(pieces) = &found.pieces else {
            return true;
        };
        let begins = self.begins_after().0;
        pieces.iter().all(|piece| {
            piece.entries.len() as u64 == piece.through.0 - piece.after.0
                && piece.entries.iter().all(|entry| {
                    let place = entry.position.index.0.checked_sub(begins + 1);
                    let own = place.map(|place| self.entries.get(place as usize));
                    // What is before its own beginning was compacted.
                    own.is_none_or(|own| own.is_some_and(|(own, _)| own == entry))
                })
        })
    }

    /// The same log with the boot count, term, vote and state directory of another time.
    pub(super) fn with_node_of(&self, other: &Self) -> Self {
        let mut state = Self {
            boot_count: other.boot_count,
            hard_state: other.hard_state,
            state_directory: other.state_directory.clone(),
            ..self.clone()
        };
        if let Some(base) = &state.base {
            // The segments know it, too.
            state
                .hard_state
                .cluster
                .get_or_insert(base.membership.cluster);
        }
        state
    }

    /// What a step leads to: first what it begins with, last what it ends with.
    pub(super) fn candidates(&self, step: &Step) -> Candidates {
        let mut states = vec![self.clone()];
        let mut compacting = None;
        let mut next = self.clone();
        match step {
            Step::Append(writes) => {
                if let Some(base) = &writes.base {
                    // Before `node`, or a cluster is known that no disk has a base of (R12).
                    next.install(base);
                    states.push(next.clone());
                }
                next.apply_node(writes);
                states.push(next.clone());
                next.apply_block(writes);
            }
            Step::Install(base) => next.install(base),
            Step::Compact(through) => compacting = Some(*through),
            Step::NameState(name) => next.state_directory = Some(name.clone()),
            Step::Roll | Step::RefreshWitness | Step::Reopen => {}
        }
        states.push(next);
        Candidates { states, compacting }
    }
}

impl Candidates {
    /// What is there although nothing is in progress.
    pub(super) fn only(state: &Expected) -> Self {
        Self {
            states: vec![state.clone()],
            compacting: None,
        }
    }

    pub(super) fn into_states(self) -> Vec<Expected> {
        self.states
    }

    /// What the step leads to if it succeeds; where a compaction ends, only the log says.
    pub(super) fn last(&self) -> &Expected {
        self.states.last().expect("a step leads to something")
    }

    /// The candidate that was found.
    pub(super) fn find(&self, found: &Found) -> Result<Expected, String> {
        let opened = &found.opened;
        if opened.amnesia.is_some() {
            return Err(format!(
                "amnesia without a lost promise: {}",
                found.describe()
            ));
        }
        if let Some(hole) = opened.hole {
            return Err(format!("a hole without damage: {hole:?}"));
        }
        if let Err(error) = &found.pieces {
            return Err(format!("unreadable without damage: {error}"));
        }
        let begins = opened.stored.base.as_ref().map(|base| base.position.index);
        for state in self.states.iter().rev() {
            let mut state = state.clone();
            if let (Some(begins), Some(through)) = (begins, self.compacting)
                && begins <= through
            {
                state.begin_after(begins);
            }
            if state.is(found) {
                state.synced_block = opened.stored.synced_block;
                return Ok(state);
            }
        }
        let expected: Vec<String> = self.states.iter().map(Expected::describe).collect();
        Err(format!(
            "found {}; may be one of\n    {}",
            found.describe(),
            expected.join("\n    "),
        ))
    }
}

impl Expected {
    pub(super) fn describe(&self) -> String {
        describe(&self.stored(), self.chain())
    }
}

/// What a log holds, in a line.
pub(super) fn describe(stored: &Stored, chain: ChainValue) -> String {
    let HardState {
        term,
        vote,
        repair_through,
        ..
    } = stored.hard_state;
    format!(
        "disk {:x}, boot {}, term {term}, vote {:?}, repair {repair_through}, base {:?}, last {:?}, chain {chain:?}, members {:?}, then {:?}",
        stored.storage.0 >> 96,
        stored.boot_count,
        vote.map(|vote| vote.node),
        stored.base.as_ref().map(|base| base.position),
        stored.last,
        stored
            .base
            .as_ref()
            .map(|base| describe_members(&base.membership)),
        stored
            .changes
            .iter()
            .map(|change| (change.index, describe_members(&change.membership)))
            .collect::<Vec<_>>(),
    )
}

fn describe_members(members: &Membership) -> String {
    let voters = members.voters.iter();
    let voters: Vec<_> = voters
        .map(|voter| format!("{}.{}", voter.node, voter.storage.0))
        .collect();
    format!("{} and {:?}", voters.join(" "), members.learners)
}

impl Found {
    pub(super) fn describe(&self) -> String {
        let opened = &self.opened;
        format!(
            "{}; findings {:?}, amnesia {:?}, hole {:?}, read {:?}",
            describe(&opened.stored, opened.chain),
            opened.findings,
            opened.amnesia,
            opened.hole,
            self.pieces.as_ref().map(|pieces| {
                let pieces = pieces.iter();
                pieces
                    .map(|piece| (piece.after, piece.through))
                    .collect::<Vec<_>>()
            }),
        )
    }
}
