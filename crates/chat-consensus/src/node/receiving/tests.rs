//! What a node answers to a disk that forgot, and what it believes of its own, message by message (R18).

use core::convert::Infallible;
use core::time::Duration;
use std::vec::Vec;

use crate::config::{Config, Timing};
use crate::entry::{HardState, LogBase, Membership, Stored};
use crate::input::{Fault, Input};
use crate::message::{
    Candidacy, Election, ElectionKind, ElectionReply, Envelope, FollowerState, GetCommits,
    GetCommitsReply, Header, Reply, Request,
};
use crate::node::Node;
use crate::outgoing::Outgoing;
use crate::types::{
    BlockNumber, ClusterId, LogIndex, NodeId, Position, RequestId, RunId, StorageId, Term, Time,
    Voter,
};

const OWN: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);
const THIRD: NodeId = NodeId(3);
const CLUSTER: ClusterId = ClusterId(1);
const TERM: Term = Term(5);

/// Node 1 of three voters, and what it has sent.
struct Case {
    node: Node,
    now: Time,
    requests: Vec<Envelope<Request>>,
    replies: Vec<Envelope<Reply>>,
    requests_made: u64,
}

impl Case {
    /// Its disk had so many blocks at the start.
    fn start(blocks: u64) -> Self {
        Self::start_and_write(blocks, blocks)
    }

    /// The same, and has `written` blocks once it has sent something.
    fn start_and_write(synced_block: u64, written: u64) -> Self {
        let nodes = [OWN, PEER, THIRD];
        let config = Config::new(OWN, &nodes, Timing::default()).unwrap();
        let voters = nodes.map(|node| Voter {
            node,
            storage: StorageId(u128::from(node.0)),
        });
        let stored = Stored {
            boot_count: 1,
            hard_state: HardState {
                term: TERM,
                cluster: Some(CLUSTER),
                ..HardState::default()
            },
            base: Some(LogBase::first(Membership {
                cluster: CLUSTER,
                voters: voters.to_vec(),
            })),
            synced_block: BlockNumber(synced_block),
            ..Stored::empty(StorageId(1))
        };
        let mut case = Self {
            node: Node::new(config, stored, LogIndex::ZERO, 1, Time(0)),
            now: Time(0),
            requests: Vec::new(),
            replies: Vec::new(),
            requests_made: 0,
        };
        case.settle(written);
        case
    }

    /// Writes everything, after which the log's newest block has this number.
    fn settle(&mut self, synced_block: u64) {
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

    fn handle(&mut self, input: Input) -> Result<(), Fault> {
        self.node.handle(self.now, input)
    }

    /// A request from the disk `storage` of `from` in its run with that boot count.
    fn receive(&mut self, from: NodeId, storage: u128, boot_count: u64, message: Request) {
        self.requests_made += 1;
        let header = Header {
            cluster: Some(CLUSTER),
            term: self.node.term(),
            from,
            to: OWN,
            storage: StorageId(storage),
            request: RequestId {
                start: RunId::new(boot_count, 7),
                number: self.requests_made,
            },
        };
        let request = Input::Request(Envelope { header, message });
        self.handle(request).unwrap();
        self.settle(0);
    }

    /// What a pre-vote request is answered: whether it is granted, and what is remembered.
    fn pre_vote(&mut self, storage: u128, boot_count: u64, block: u64) -> (bool, u64) {
        self.replies.clear();
        let candidacy = Candidacy {
            last: Position::new(9, 5),
            asked: StorageId(1),
            synced_block: BlockNumber(block),
        };
        let message = Request::Election(Election::PreVote(candidacy));
        self.receive(PEER, storage, boot_count, message);
        match self.replies.as_slice() {
            [
                Envelope {
                    message: Reply::Election(reply),
                    ..
                },
            ] => (reply.granted, reply.remembered_block.0),
            other => panic!("{other:?}"),
        }
    }

    /// A fetch of `from`, which holds the log up to `index`.
    fn fetch(&mut self, from: NodeId, boot_count: u64, block: u64, index: u64) {
        self.replies.clear();
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
        let storage = u128::from(from.0);
        self.receive(from, storage, boot_count, Request::GetCommits(fetch));
    }

    /// The number with which the last fetch was answered amnesiac.
    fn amnesiac(&self) -> Option<u64> {
        self.replies.iter().find_map(|reply| match &reply.message {
            Reply::GetCommits(GetCommitsReply::Amnesiac { remembered_block }) => {
                Some(remembered_block.0)
            }
            _ => None,
        })
    }

    /// Time passes until the node has sent a request of this kind to its peer.
    fn request_to_peer(&mut self, is_wanted: impl Fn(&Request) -> bool) -> Header {
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
    fn answer(&mut self, request: Header, storage: u128, message: Reply) -> Result<(), Fault> {
        let header = Header {
            from: request.to,
            to: request.from,
            storage: StorageId(storage),
            ..request
        };
        self.handle(Input::Reply(Envelope { header, message }))
    }

    /// Wins an election with the votes of `PEER`.
    fn elect(&mut self) {
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
    fn follow(&mut self) -> Header {
        self.receive(PEER, 2, 1, Request::Coordinator);
        self.request_to_peer(|request| matches!(request, Request::GetCommits(_)))
    }
}

fn vote(kind: ElectionKind, granted: bool, remembered: u64) -> Reply {
    Reply::Election(ElectionReply {
        kind,
        granted,
        leader: None,
        remembered_block: BlockNumber(remembered),
    })
}

fn amnesiac(remembered: u64) -> Reply {
    Reply::GetCommits(GetCommitsReply::Amnesiac {
        remembered_block: BlockNumber(remembered),
    })
}

fn check_forgot(answered: Result<(), Fault>) {
    assert!(
        matches!(answered, Err(Fault::DiskForgot { peer: PEER, .. })),
        "{answered:?}"
    );
}

#[test]
fn candidate_with_fewer_blocks_than_in_an_earlier_run_gets_no_pre_vote() {
    let mut case = Case::start(4);
    assert_eq!(case.pre_vote(2, 1, 9), (true, 0));
    assert_eq!(case.pre_vote(2, 2, 8), (false, 9));
    assert_eq!(case.pre_vote(2, 2, 8), (false, 9));
    assert_eq!(case.pre_vote(2, 2, 9), (true, 0));
}

#[test]
fn number_that_is_unknown_or_of_no_voter_shows_nothing() {
    let mut case = Case::start(4);
    assert_eq!(case.pre_vote(2, 1, 9), (true, 0));
    assert_eq!(case.pre_vote(2, 2, 0), (true, 0));
    let mut case = Case::start(4);
    assert_eq!(case.pre_vote(77, 1, 9).1, 0);
    assert_eq!(case.pre_vote(77, 2, 8).1, 0);
}

/// An old request, or that of a disk whose boot count was rolled back.
#[test]
fn candidate_of_a_superseded_run_gets_no_pre_vote() {
    let mut case = Case::start(4);
    assert_eq!(case.pre_vote(2, 3, 9), (true, 0));
    assert_eq!(case.pre_vote(2, 2, 5), (false, 0));
    assert_eq!(case.pre_vote(2, 2, 12), (false, 0));
    // What that one had is above what the newest run has.
    assert_eq!(case.pre_vote(2, 3, 10), (false, 12));
}

#[test]
fn node_that_does_not_lead_answers_amnesiac_too() {
    let mut case = Case::start(4);
    assert_eq!(case.pre_vote(2, 1, 9), (true, 0));
    case.fetch(PEER, 2, 8, 0);
    assert_eq!(case.amnesiac(), Some(9));
    case.fetch(PEER, 2, 9, 0);
    assert_eq!(case.amnesiac(), None);
}

/// What is remembered outlives terms, and a disk that forgot is not counted although it acknowledged.
#[test]
fn disk_that_forgot_is_not_counted_by_a_leader() {
    let mut case = Case::start(4);
    case.fetch(PEER, 1, 9, 0);
    case.elect();
    let term_start = LogIndex(1);
    case.fetch(PEER, 2, 8, term_start.0);
    assert_eq!(case.amnesiac(), Some(9));
    assert_eq!(case.node.commit_index(), LogIndex::ZERO);
    let followers = case.node.followers().unwrap();
    assert!(
        followers
            .iter()
            .all(|known| known.node != PEER || !known.voter)
    );
    case.fetch(THIRD, 1, 3, term_start.0);
    assert_eq!(case.node.commit_index(), term_start);
}

/// The boot count was rolled back with the rest: first it is raised, then the number shows the loss.
#[test]
fn new_leader_notices_a_boot_count_that_it_met_before_its_term() {
    let mut case = Case::start(4);
    case.fetch(PEER, 3, 9, 0);
    case.elect();
    case.fetch(PEER, 2, 8, 0);
    assert_eq!(case.amnesiac(), None);
    let rolled_back = case.replies.iter().any(|reply| {
        let wanted = GetCommitsReply::RolledBack {
            repair_through: LogIndex::ZERO,
            boot_count: 3,
        };
        reply.message == Reply::GetCommits(wanted)
    });
    assert!(rolled_back, "{:?}", case.replies);
    case.fetch(PEER, 4, 8, 0);
    assert_eq!(case.amnesiac(), Some(9));
}

#[test]
fn amnesiac_is_believed_as_the_response_to_the_fetch_under_way() {
    let mut case = Case::start(4);
    let fetch = case.follow();
    // From a disk that is no voter's, with no more blocks than the start had, or to another fetch.
    case.answer(fetch, 77, amnesiac(9)).unwrap();
    let fetch = case.request_to_peer(|request| matches!(request, Request::GetCommits(_)));
    case.answer(fetch, 2, amnesiac(4)).unwrap();
    case.answer(fetch, 2, amnesiac(9)).unwrap();
    let fetch = case.request_to_peer(|request| matches!(request, Request::GetCommits(_)));
    check_forgot(case.answer(fetch, 2, amnesiac(5)));
}

/// The number is that of the start: what was written since does not make up for what is lost.
#[test]
fn blocks_that_were_written_since_the_start_do_not_hide_a_loss() {
    let mut case = Case::start_and_write(4, 8);
    let fetch = case.follow();
    check_forgot(case.answer(fetch, 2, amnesiac(5)));
}

#[test]
fn log_without_block_numbers_never_forgets() {
    let mut case = Case::start(0);
    let fetch = case.follow();
    case.answer(fetch, 2, amnesiac(9)).unwrap();
}

#[test]
fn amnesiac_is_believed_as_the_reply_to_this_very_attempt() {
    let kind = ElectionKind::PreVote;
    let mut case = Case::start(4);
    let is_pre_vote = |request: &Request| matches!(request, Request::Election(_));
    let old = case.request_to_peer(is_pre_vote);
    // The attempt fails, and another one follows.
    case.now = case.now + Duration::from_secs(1);
    let next = case.request_to_peer(is_pre_vote);
    case.answer(old, 2, vote(kind, false, 9)).unwrap();
    case.answer(next, 77, vote(kind, false, 9)).unwrap();
    let mut other = Case::start(4);
    let request = other.request_to_peer(is_pre_vote);
    check_forgot(other.answer(request, 2, vote(kind, false, 9)));
}
