//! One node and the messages of its peers, for tests of what it answers.

use core::convert::Infallible;
use std::vec::Vec;

use crate::config::{Config, Timing};
use crate::entry::{HardState, LogBase, Stored};
use crate::input::{Fault, Input};
use crate::membership::Membership;
use crate::message::{
    ElectionKind, ElectionReply, Envelope, FollowerState, GetCommits, Header, Reply, Request,
};
use crate::node::Node;
use crate::outgoing::Outgoing;
use crate::types::{
    BlockNumber, ClusterId, LogIndex, NodeId, Position, RequestId, RunId, StorageId, Term, Time,
    Voter,
};

pub(super) const OWN: NodeId = NodeId(1);
pub(super) const PEER: NodeId = NodeId(2);
pub(super) const THIRD: NodeId = NodeId(3);
pub(super) const CLUSTER: ClusterId = ClusterId(1);
pub(super) const TERM: Term = Term(5);

/// The voter that a node is with the disk that has its number.
pub(super) fn own_disk(node: NodeId) -> Voter {
    Voter {
        node,
        storage: StorageId(u128::from(node.0)),
    }
}

/// Node 1 of three voters, and what it has sent.
pub(super) struct Case {
    pub(super) node: Node,
    pub(super) now: Time,
    pub(super) requests: Vec<Envelope<Request>>,
    pub(super) replies: Vec<Envelope<Reply>>,
    pub(super) requests_made: u64,
}

impl Case {
    /// Its disk had so many blocks at the start.
    pub(super) fn start(blocks: u64) -> Self {
        Self::start_and_write(blocks, blocks)
    }

    /// The same, and has `written` blocks once it has sent something.
    pub(super) fn start_and_write(synced_block: u64, written: u64) -> Self {
        let stored = Stored {
            synced_block: BlockNumber(synced_block),
            ..Self::stored()
        };
        let mut case = Self::start_with(stored);
        case.settle(written);
        case
    }

    /// The disk of node 1: a log without entries, of three voters.
    pub(super) fn stored() -> Stored {
        let voters = [OWN, PEER, THIRD].map(own_disk);
        Stored {
            boot_count: 1,
            hard_state: HardState {
                term: TERM,
                cluster: Some(CLUSTER),
                ..HardState::default()
            },
            base: Some(LogBase::first(Membership::of_voters(
                CLUSTER,
                voters.to_vec(),
            ))),
            ..Stored::empty(StorageId(1))
        }
    }

    /// It starts with that disk; its first batch is not written yet.
    pub(super) fn start_with(stored: Stored) -> Self {
        let config = Config::new(OWN, &[OWN, PEER, THIRD], Timing::default()).unwrap();
        let applied = stored
            .base
            .as_ref()
            .map_or(LogIndex::ZERO, |base| base.position.index);
        Self {
            node: Node::new(config, stored, applied, 1, Time(0)),
            now: Time(0),
            requests: Vec::new(),
            replies: Vec::new(),
            requests_made: 0,
        }
    }

    /// Writes everything, after which the log's newest block has this number.
    pub(super) fn settle(&mut self, synced_block: u64) {
        while let Some(batch) = self.node.take_batch() {
            let written = batch.persist_with(|_| Ok::<(), Infallible>(()));
            let synced = written.unwrap_or_else(|never| match never {});
            let synced = synced.with_synced_block(BlockNumber(synced_block));
            self.node.handle(self.now, Input::Synced(synced)).unwrap();
        }
        for outgoing in self.node.take_outgoing() {
            match outgoing {
                Outgoing::Request(request) => self.requests.push(request),
                Outgoing::Reply(reply) => self.replies.push(reply),
                Outgoing::Entries(_) | Outgoing::Piece(_) => {}
            }
        }
    }

    pub(super) fn handle(&mut self, input: Input) -> Result<(), Fault> {
        self.node.handle(self.now, input)
    }

    /// A request from the disk `storage` of `from` in its run with that boot count.
    pub(super) fn receive(
        &mut self,
        from: NodeId,
        storage: u128,
        boot_count: u64,
        message: Request,
    ) {
        let header = self.next_header((from, storage), boot_count);
        self.receive_with(header, message);
    }

    /// The header of the next request of that disk to this one, in this node's term.
    pub(super) fn next_header(&mut self, from: (NodeId, u128), boot_count: u64) -> Header {
        self.requests_made += 1;
        Header {
            cluster: Some(CLUSTER),
            term: self.node.term(),
            from: from.0,
            to: OWN,
            storage: StorageId(from.1),
            to_storage: Some(StorageId(1)),
            request: RequestId {
                start: RunId::new(boot_count, 7),
                number: self.requests_made,
            },
        }
    }

    pub(super) fn receive_with(&mut self, header: Header, message: Request) {
        let request = Input::Request(Envelope { header, message });
        self.handle(request).unwrap();
        self.settle(0);
    }

    /// A fetch of `from`, which holds the log up to `index`.
    pub(super) fn fetch(&mut self, from: NodeId, boot_count: u64, block: u64, index: u64) {
        self.replies.clear();
        let storage = u128::from(from.0);
        self.fetch_of((from, storage), boot_count, block, index);
    }

    /// The same from a disk of that node.
    pub(super) fn fetch_of(
        &mut self,
        (from, storage): (NodeId, u128),
        boot_count: u64,
        block: u64,
        index: u64,
    ) {
        let synced = Position {
            term: self.node.log().term_at(LogIndex(index)).unwrap_or_default(),
            index: LogIndex(index),
        };
        let fetch = GetCommits {
            has_base: true,
            synced,
            commit_index: LogIndex::ZERO,
            bytes_max: 100,
            repair_through: LogIndex::ZERO,
            state: FollowerState::Whole,
            behind_hole: false,
            synced_block: BlockNumber(block),
        };
        self.receive(from, storage, boot_count, Request::GetCommits(fetch));
    }

    /// Time passes until the node has sent a request of this kind to its peer.
    pub(super) fn request_to_peer(&mut self, is_wanted: impl Fn(&Request) -> bool) -> Header {
        loop {
            let mut sent = self.requests.drain(..);
            let wanted =
                sent.find(|request| request.header.to == PEER && is_wanted(&request.message));
            if let Some(request) = wanted {
                return request.header;
            }
            drop(sent);
            self.now = self.node.next_deadline();
            self.handle(Input::DeadlinePassed).unwrap();
            self.settle(0);
        }
    }

    /// The answer of `PEER` with the disk `storage`.
    pub(super) fn answer(
        &mut self,
        request: Header,
        storage: u128,
        message: Reply,
    ) -> Result<(), Fault> {
        let header = Header {
            from: request.to,
            to: request.from,
            storage: StorageId(storage),
            ..request
        };
        self.handle(Input::Reply(Envelope { header, message }))
    }

    /// Wins an election with the votes of `PEER`.
    pub(super) fn elect(&mut self) {
        for kind in [ElectionKind::PreVote, ElectionKind::Vote] {
            let request = self.request_to_peer(
                |request| matches!(request, Request::Election(asked) if asked.kind() == kind),
            );
            let granted = vote(kind, true, 0);
            self.answer(request, 2, granted).unwrap();
            self.settle(0);
        }
        assert!(self.node.leads(self.node.term()));
    }

    /// Follows `PEER`, and returns the fetch under way.
    pub(super) fn follow(&mut self) -> Header {
        self.receive(PEER, 2, 1, Request::Coordinator);
        self.request_to_peer(|request| matches!(request, Request::GetCommits(_)))
    }
}

pub(super) fn vote(kind: ElectionKind, granted: bool, remembered: u64) -> Reply {
    Reply::Election(ElectionReply {
        kind,
        granted,
        leader: None,
        remembered_block: BlockNumber(remembered),
        removed: false,
    })
}
