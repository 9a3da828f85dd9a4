//! Requests that no node sent, with fields at their extremes: what an attacker can send who reaches a
//! peer listener and knows the cluster id, but not the storage id of an admitted disk (R4).

use chat_consensus::{
    BOOT_COUNT_MAX, BlockNumber, Candidacy, ClusterId, Digest, Election, FollowerState, GetCommits,
    GetSnapshot, Header, Heartbeat, LOG_INDEX_MAX, LogIndex, Position, Request, RequestId, RunId,
    SnapshotId, StorageId, TERM_MAX, Term,
};

use crate::checker::Checked;
use crate::message::Message;
use crate::simulation::World;
use crate::simulation::faults::FaultKind;
use crate::simulation::queue::node_id;

impl World {
    /// A forged request arrives at `to`.
    pub(super) fn forge_something(&mut self, to: usize) -> Checked {
        if self.settings.nodes == 1 || !self.is_alive(to) {
            return Ok(());
        }
        self.faults.add(FaultKind::Forged);
        let from = (to + self.random.usize(1..self.settings.nodes)) % self.settings.nodes;
        let ours = self.processes[to].seen.term;
        let membership = self.members();
        let cluster = membership.map(|membership| membership.cluster);
        let header = Header {
            cluster: match self.random.u32(0..3) {
                0 => None,
                1 => Some(ClusterId(self.random.u128(1..))),
                _ => cluster,
            },
            term: self.extreme_term(ours),
            from: node_id(from),
            to: node_id(to),
            storage: StorageId(self.random.u128(1..)),
            // The ids of disks are known to members only.
            to_storage: self.random.bool().then(|| StorageId(self.random.u128(1..))),
            request: RequestId {
                start: RunId::new(
                    if self.random.bool() {
                        BOOT_COUNT_MAX
                    } else {
                        1
                    },
                    self.random.u32(..),
                ),
                number: if self.random.bool() { u64::MAX } else { 1 },
            },
        };
        let message = self.forged_request();
        self.trace
            .record(self.now, || format!("forged: {header:?} {message:?}"));
        self.handle(to, Message::event(header, message))
    }

    fn forged_request(&mut self) -> Request {
        let index = self.extreme_index();
        let term = self.extreme_term(Term(2));
        match self.random.u32(0..8) {
            0 => Request::Coordinator,
            1 => Request::Heartbeat(Heartbeat {
                commit_index: index,
                round: u64::MAX,
                uncounted: vec![node_id(0); 3],
                leader_address: None,
            }),
            2 => Request::Resign { successor: None },
            3 => Request::Resign {
                successor: Some(node_id(0)),
            },
            4 => Request::GetCommits(GetCommits {
                has_base: self.random.bool(),
                synced: Position { term, index },
                commit_index: index,
                bytes_max: if self.random.bool() { u32::MAX } else { 0 },
                repair_through: self.extreme_index(),
                state: FollowerState::Lost { at_least: index },
                behind_hole: false,
                synced_block: BlockNumber(index.0),
            }),
            7 => Request::GetSnapshot(GetSnapshot {
                id: SnapshotId {
                    position: Position { term, index },
                    digest: Digest([0; 32]),
                },
                offset: index.0,
                bytes_max: u32::MAX,
            }),
            5 => Request::Election(Election::PreVote(Candidacy {
                last: Position { term, index },
                synced_block: BlockNumber(index.0),
            })),
            _ => Request::Election(Election::Bootstrap),
        }
    }

    fn extreme_term(&mut self, ours: Term) -> Term {
        let terms = [
            Term(0),
            ours,
            ours,
            Term(ours.0 + 1),
            Term(ours.0 + (1 << 20) + 1),
            TERM_MAX,
        ];
        terms[self.random.usize(0..terms.len())]
    }

    fn extreme_index(&mut self) -> LogIndex {
        let indices = [LogIndex::ZERO, LogIndex(1), LogIndex(3), LOG_INDEX_MAX];
        indices[self.random.usize(0..indices.len())]
    }
}
