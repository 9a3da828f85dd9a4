//! What the owner of a log does next, at random and within the rules.

use bytes::Bytes;
use chat_consensus::{
    ClusterId, Entry, HardState, LogBase, LogIndex, Membership, NodeAddresses, NodeId, Payload,
    Position, StorageId, Term, Voter, Writes,
};

use super::expected::Expected;
use super::step::Step;

/// The most bytes in one entry.
const ENTRY_MAX: usize = 2000;

const CLUSTER: ClusterId = ClusterId(77);

impl Step {
    pub(super) fn next(state: &Expected, random: &mut fastrand::Rng) -> Self {
        if state.base.is_none() {
            return Self::Append(found_cluster(state, random));
        }
        match random.u32(0..100) {
            0..5 => Self::Compact(LogIndex(
                random.u64(state.begins_after().0..=state.last().index.0),
            )),
            5..8 => Self::Roll,
            8..12 => Self::RefreshWitness,
            12..14 => Self::NameState(format!("{}-{:x}", state.last().index.0, random.u32(..))),
            14..18 => Self::Reopen,
            18..20 => Self::Install(later_base(state, random)),
            _ => Self::Append(batch(state, random)),
        }
    }

    /// Whether it writes both slots of `node`, which then remember the log of `state`.
    pub(super) fn writes_node(&self, state: &Expected) -> bool {
        match self {
            Self::Append(writes) => {
                let boot = writes
                    .boot_count
                    .is_some_and(|count| count != state.boot_count);
                let hard_state = writes.hard_state;
                boot || hard_state.is_some_and(|hard_state| hard_state != state.hard_state)
            }
            Self::NameState(name) => state.state_directory.as_ref() != Some(name),
            _ => false,
        }
    }
}

fn voter(random: &mut fastrand::Rng) -> Voter {
    let node = random.u64(1..4);
    Voter {
        node: NodeId(node),
        storage: StorageId(u128::from(node)),
    }
}

/// The first writes of a disk: its boot count, perhaps a vote, then a base.
fn found_cluster(state: &Expected, random: &mut fastrand::Rng) -> Writes {
    let mut writes = Writes::default();
    if state.boot_count == 0 || random.u32(0..4) == 0 {
        writes.boot_count = Some(state.boot_count + 1);
    }
    let mut hard_state = state.hard_state;
    if state.boot_count > 0 && random.bool() {
        hard_state.cluster = Some(CLUSTER);
        hard_state.term = Term(hard_state.term.0 + random.u64(1..3));
        hard_state.vote = Some(voter(random));
        writes.hard_state = Some(hard_state);
    }
    if hard_state.cluster.is_some() && random.bool() {
        let membership = Membership::of_voters(
            CLUSTER,
            (1..4)
                .map(|node| Voter {
                    node: NodeId(node),
                    storage: StorageId(u128::from(node)),
                })
                .collect(),
        );
        writes.base = Some(Box::new(LogBase::first(membership)));
    }
    writes
}

/// Where the log of another node begins: after the end of this log, or within it, which then diverges.
fn later_base(state: &Expected, random: &mut fastrand::Rng) -> LogBase {
    let mut base = state.base.clone().expect("only a founded log installs");
    let last = state.last();
    let later = LogIndex(random.u64(base.position.index.0 + 1..last.index.0 + 50));
    base.position = Position {
        index: later,
        term: Term(state.hard_state.term.0.max(last.term.0) + 1),
    };
    base.chain = chat_consensus::ChainValue(random.u128(..).to_be_bytes());
    base.membership = members(random);
    base
}

fn batch(state: &Expected, random: &mut fastrand::Rng) -> Writes {
    let mut writes = Writes::default();
    if random.u32(0..16) == 0 {
        writes.boot_count = Some(state.boot_count + random.u64(1..3));
    }
    let mut hard_state = state.hard_state;
    let mut last = state.last();
    let truncates = random.u32(0..8) == 0;
    if truncates || random.u32(0..4) == 0 || hard_state.term < last.term.max(Term(1)) {
        writes.hard_state = Some(new_hard_state(&mut hard_state, last, truncates, random));
    }
    // All entries of a term are from one leader: what is written again has a new term.
    let term_min = state.hard_state.term.0.max(last.term.0);
    let term_min = (term_min + 1).min(hard_state.term.0).max(1);
    if truncates {
        let index = random.u64(state.begins_after().0..=last.index.0);
        writes.truncate_after = Some(LogIndex(index));
        last = position_at(state, LogIndex(index));
    }
    let before = state.members_at(last.index);
    let count = if random.u32(0..8) == 0 {
        0
    } else {
        random.u64(1..6)
    };
    let size_max = [0, 40, 400, ENTRY_MAX][random.usize(0..4)];
    for _ in 0..count {
        let index = last.index.next();
        let term_min = term_min.max(last.term.0);
        let term = Term(random.u64(term_min..=hard_state.term.0.max(term_min)));
        last = Position { index, term };
        let entry = Entry {
            position: last,
            payload: payload(size_max, random),
        };
        writes.entries.push(entry);
    }
    // A change of the members is the last entry of its batch (R19).
    let next = members(random);
    if let Some(entry) = writes.entries.last_mut()
        && random.u32(0..5) == 0
        && before.is_some_and(|before| before != next)
    {
        entry.payload = Payload::Membership(next);
    }
    writes
}

/// Any members of the cluster.
fn members(random: &mut fastrand::Rng) -> Membership {
    let mut members = Membership::of_voters(CLUSTER, vec![voter(random)]);
    for node in (1..6).map(NodeId) {
        let storage = StorageId(random.u128(1..4));
        if members.voter(node).is_some() {
            continue;
        }
        match random.u32(0..3) {
            0 => members.voters.push(Voter { node, storage }),
            1 => members.learners.push(node),
            _ => {}
        }
    }
    members.voters.sort_unstable();
    let mut members = Membership::of(CLUSTER, members.voters, members.learners);
    if random.u32(0..4) == 0 {
        members.highest = NodeId(members.highest.0 + random.u64(0..9));
        for node in members.nodes().collect::<Vec<_>>() {
            let text = |random: &mut fastrand::Rng| "x".repeat(random.usize(1..40)).into();
            let (peer, client) = (text(random), text(random));
            members
                .addresses
                .insert(node, NodeAddresses { peer, client });
        }
    }
    members
}

fn new_hard_state(
    state: &mut HardState,
    last: Position,
    new_term: bool,
    random: &mut fastrand::Rng,
) -> HardState {
    state.term = Term(state.term.0.max(last.term.0).max(1) + random.u64(u64::from(new_term)..3));
    state.vote = random.bool().then(|| voter(random));
    if random.u32(0..8) == 0 {
        state.repair_through = LogIndex(random.u64(0..=last.index.0));
    }
    *state
}

fn position_at(state: &Expected, index: LogIndex) -> Position {
    let mut entries = state.entries.iter().map(|(entry, _)| entry.position);
    let found = entries.find(|position| position.index == index);
    let base = state.base.as_ref().map(|base| base.position);
    found.or(base).expect("the index is in the log or its base")
}

fn payload(size_max: usize, random: &mut fastrand::Rng) -> Payload {
    if random.u32(0..10) == 0 {
        return Payload::Empty;
    }
    let mut bytes = vec![0; random.usize(0..=size_max)];
    random.fill(&mut bytes);
    Payload::Command(Bytes::from(bytes))
}
