//! Changes of the members, message by message: what a leader appends and when, what counts then, in the logs (R19, R20).

mod campaigning;
mod joining_and_leaving;

use alloc::boxed::Box;
use alloc::vec;
use core::time::Duration;
use std::vec::Vec;

use bytes::Bytes;

use crate::entry::{MembershipChange, Stored, TermRun};
use crate::input::{Input, MembershipRefusal, ProposalId, ReadId, Report};
use crate::membership::Membership;
use crate::message::{GetCommitsReply, Header, HeartbeatReply, Reply, Request};
use crate::node::test_case::{CLUSTER, Case, OWN, PEER, TERM, THIRD, own_disk};
use crate::types::{LogIndex, NodeId, Position, StorageId, Term, Voter};

/// Disks that fetch: the node and the number of its disk.
type Disks<'a> = &'a [(NodeId, u128)];

const PEERS: Disks<'_> = &[(PEER, 2), (THIRD, 3)];
/// What node 3 has in place of disk 3.
const NEW_DISK: u128 = 33;

fn voter(node: NodeId, storage: u128) -> Voter {
    let storage = StorageId(storage);
    Voter { node, storage }
}

fn members(voters: Disks<'_>, learners: &[NodeId]) -> Membership {
    let voters = voters.iter().map(|(node, storage)| voter(*node, *storage));
    Membership::of(CLUSTER, voters.collect(), learners.to_vec())
}

fn two_voters() -> Membership {
    members(&[(OWN, 1), (PEER, 2)], &[THIRD])
}

impl Case {
    /// Node 1 leads, and has committed its first entry with these disks.
    fn lead(disks: Disks<'_>) -> Self {
        let mut case = Self::start(0);
        case.elect();
        case.keep_up(disks, Duration::from_millis(200));
        assert_eq!(case.node.commit_index(), LogIndex(1));
        case
    }

    /// Time passes, in which these disks echo each heartbeat and fetch from the end of the log.
    fn keep_up(&mut self, disks: Disks<'_>, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now = self
                .node
                .next_deadline()
                .min(self.now + Duration::from_millis(50));
            self.handle(Input::DeadlinePassed).unwrap();
            self.settle(0);
            self.echo(disks);
            self.fetch_end(disks);
        }
    }

    fn fetch_end(&mut self, disks: Disks<'_>) {
        for disk in disks {
            let end = self.node.log().last().index.0;
            self.fetch_of(*disk, 1, 0, end);
        }
    }

    /// The disks echo what was sent to their nodes since the last time.
    fn echo(&mut self, disks: Disks<'_>) {
        for request in core::mem::take(&mut self.requests) {
            let Request::Heartbeat(heartbeat) = request.message else {
                continue;
            };
            let to = request.header.to;
            for (_, storage) in disks.iter().filter(|(node, _)| *node == to) {
                let reply = HeartbeatReply {
                    round: heartbeat.round,
                    writing: false,
                };
                self.answer(request.header, *storage, Reply::Heartbeat(reply))
                    .unwrap();
                self.settle(0);
            }
        }
    }

    /// Node 3 is silent, and no voter any more.
    fn demote_third(&mut self) {
        self.keep_up(&[(PEER, 2)], Duration::from_millis(400));
        self.change(two_voters());
        self.keep_up(&[(PEER, 2)], Duration::from_millis(100));
        self.check_members(&two_voters());
    }

    fn change(&mut self, next: Membership) -> Vec<Report> {
        drop(self.node.take_reports());
        self.handle(Input::MembershipRequested(Box::new(next)))
            .unwrap();
        let reports = self.node.take_reports();
        self.settle(0);
        reports
    }

    #[track_caller]
    fn check_refused(&mut self, next: Membership, why: MembershipRefusal) {
        let before = self.node.membership().cloned();
        assert_eq!(self.change(next), [Report::MembershipRefused(why)]);
        assert_eq!(self.node.membership().cloned(), before);
    }

    #[track_caller]
    fn check_members(&self, expected: &Membership) {
        assert_eq!(self.node.membership(), Some(expected));
    }
}

/// The log of node 1 has one entry, a change of the members.
fn stored_with_change(next: Membership) -> Stored {
    Stored {
        last: Position {
            term: TERM,
            index: LogIndex(1),
        },
        terms: vec![TermRun {
            term: TERM,
            first: LogIndex(1),
        }],
        changes: vec![MembershipChange {
            index: LogIndex(1),
            membership: next,
        }],
        ..Case::stored()
    }
}

#[test]
fn leader_refuses_more_than_one_voter_more_or_fewer() {
    let mut case = Case::lead(PEERS);
    let refused = MembershipRefusal::SeveralVoters;
    case.check_refused(members(&[(OWN, 1)], &[PEER, THIRD]), refused);
    // One entry that replaces a disk would leave {1, old} and {2, new} as majorities.
    let swapped = members(&[(OWN, 1), (PEER, 2), (THIRD, NEW_DISK)], &[]);
    case.check_refused(swapped, refused);
    let refused = MembershipRefusal::Invalid;
    case.check_refused(members(&[(OWN, 1), (PEER, 2), (THIRD, 3)], &[]), refused);
    case.check_refused(members(&[], &[]), refused);
    case.check_refused(members(&[(OWN, 1), (PEER, 2)], &[PEER]), refused);
    case.check_refused(members(&[(PEER, 2), (OWN, 1)], &[]), refused);
    let foreign = Membership {
        cluster: crate::types::ClusterId(9),
        ..two_voters()
    };
    case.check_refused(foreign, refused);
    let joiner = NodeId(4);
    let all = members(&[(OWN, 1), (PEER, 2), (THIRD, 3), (joiner, 4)], &[]);
    case.check_refused(all, MembershipRefusal::JoinerNotReady);
    case.change(two_voters());
    case.check_members(&two_voters());
}

/// Ongaro, raft-dev, 2015: what an earlier leader has appended may still be committed.
#[test]
fn leader_changes_nothing_before_its_first_entry_is_committed() {
    let mut case = Case::start(0);
    case.elect();
    case.check_refused(two_voters(), MembershipRefusal::NotNow);
}

#[test]
fn leader_changes_nothing_while_another_change_is_not_committed() {
    let mut case = Case::lead(PEERS);
    case.keep_up(&[(PEER, 2)], Duration::from_millis(400));
    case.change(two_voters());
    case.check_refused(
        members(&[(OWN, 1)], &[PEER, THIRD]),
        MembershipRefusal::NotNow,
    );
    case.keep_up(&[(PEER, 2)], Duration::from_millis(100));
    case.change(members(&[(OWN, 1)], &[THIRD]));
    case.check_members(&members(&[(OWN, 1)], &[THIRD]));
}

#[test]
fn node_that_does_not_lead_changes_nothing() {
    let mut case = Case::start(0);
    case.check_refused(two_voters(), MembershipRefusal::NotLeading);
}

#[test]
fn too_few_voters_that_keep_up_change_nothing() {
    let mut case = Case::lead(PEERS);
    // Node 2 would be needed, and is silent.
    case.keep_up(&[(THIRD, 3)], Duration::from_millis(400));
    case.check_refused(two_voters(), MembershipRefusal::TooFewKeepUp);
    case.keep_up(PEERS, Duration::from_millis(400));
    case.change(two_voters());
    case.check_members(&two_voters());
}

#[test]
fn change_is_committed_by_the_voters_that_it_names() {
    let mut case = Case::lead(PEERS);
    case.change(two_voters());
    case.keep_up(&[(THIRD, 3)], Duration::from_millis(100));
    assert_eq!(
        case.node.commit_index(),
        LogIndex(1),
        "node 3 counts no longer"
    );
    case.fetch_end(&[(PEER, 2)]);
    assert_eq!(case.node.commit_index(), LogIndex(2));
}

/// drmingdrmer, raft-rejoin-bug: what a node acknowledged before it joined is not what it holds as a voter.
#[test]
fn what_a_learner_acknowledged_does_not_commit() {
    let mut case = Case::lead(PEERS);
    case.demote_third();
    let committed = case.node.commit_index();
    let command = Bytes::from_static(b"held by the leader and the learner");
    case.handle(Input::Proposed(ProposalId(1), command))
        .unwrap();
    case.settle(0);
    case.fetch_end(&[(THIRD, NEW_DISK)]);
    let all = members(&[(OWN, 1), (PEER, 2), (THIRD, NEW_DISK)], &[]);
    case.check_members(&all);
    let end = case.node.log().last().index;
    assert_eq!(end.0, committed.0 + 2, "the change follows the command");
    assert_eq!(case.node.commit_index(), committed);
    case.fetch_of((THIRD, NEW_DISK), 1, 0, end.0);
    assert_eq!(case.node.commit_index(), end);
}

#[test]
fn echo_of_before_it_joined_confirms_no_read() {
    let mut case = Case::lead(PEERS);
    case.demote_third();
    let deadline = case.now + Duration::from_millis(300);
    case.requests.clear();
    // A heartbeat to node 3 is under way while it is a learner.
    let to_third = loop {
        case.now = case.node.next_deadline();
        assert!(case.now < deadline, "a heartbeat is sent");
        case.handle(Input::DeadlinePassed).unwrap();
        case.settle(0);
        let mut sent = case.requests.iter();
        let to_third = sent.find(|request| {
            request.header.to == THIRD && matches!(request.message, Request::Heartbeat(_))
        });
        if let Some(request) = to_third {
            break request.header;
        }
    };
    case.echo(&[(PEER, 2)]);
    case.fetch_end(&[(PEER, 2), (THIRD, NEW_DISK)]);
    case.fetch_end(&[(PEER, 2), (THIRD, NEW_DISK)]);
    assert_eq!(case.node.membership().unwrap().voters.len(), 3);
    drop(case.node.take_reports());
    case.handle(Input::ReadRequested(ReadId(1))).unwrap();
    case.settle(0);
    let late = HeartbeatReply {
        round: u64::MAX,
        writing: false,
    };
    case.answer(to_third, NEW_DISK, Reply::Heartbeat(late))
        .unwrap();
    case.settle(0);
    assert_eq!(case.node.take_reports(), []);
    case.echo(&[(THIRD, NEW_DISK)]);
    let confirmed = |report: &Report| matches!(report, Report::ReadConfirmed(ReadId(1), _));
    assert!(case.node.take_reports().iter().any(confirmed));
}

#[test]
fn disk_that_was_replaced_is_admitted_again_after_a_silence() {
    let mut case = Case::lead(PEERS);
    let alive: Disks<'_> = &[(PEER, 2), (THIRD, NEW_DISK)];
    case.keep_up(alive, Duration::from_millis(3_800));
    assert_eq!(case.node.membership().unwrap().voters[2], own_disk(THIRD));
    case.keep_up(alive, Duration::from_millis(600));
    case.check_members(&members(&[(OWN, 1), (PEER, 2), (THIRD, NEW_DISK)], &[]));
    assert_eq!(
        case.node.commit_index(),
        LogIndex(3),
        "two entries, one after the other"
    );
    let between = case.node.membership_at(LogIndex(2)).unwrap();
    assert_eq!(
        *between,
        two_voters(),
        "the old disk leaves before the new one joins"
    );
}

#[test]
fn disk_that_is_not_silent_is_not_replaced() {
    let mut case = Case::lead(PEERS);
    let both: Disks<'_> = &[(PEER, 2), (THIRD, 3)];
    case.keep_up(both, Duration::from_secs(3));
    case.keep_up(&[(PEER, 2), (THIRD, NEW_DISK)], Duration::from_secs(2));
    assert_eq!(case.node.membership().unwrap().voters[2], own_disk(THIRD));
}

#[test]
fn learner_that_the_members_name_becomes_a_voter_when_it_returns() {
    let mut case = Case::lead(PEERS);
    case.demote_third();
    case.keep_up(PEERS, Duration::from_millis(300));
    case.check_members(&members(&[(OWN, 1), (PEER, 2), (THIRD, 3)], &[]));
}

/// Two machines have the id of node 3.
#[test]
fn disks_that_alternate_are_not_admitted() {
    let mut case = Case::lead(PEERS);
    let disks: [Disks<'_>; 2] = [&[(PEER, 2), (THIRD, 44)], &[(PEER, 2), (THIRD, NEW_DISK)]];
    for turn in 0..40 {
        case.keep_up(disks[turn % 2], Duration::from_millis(300));
    }
    assert_eq!(case.node.membership().unwrap().voters[2], own_disk(THIRD));
}

/// A disk that is lost at every start would change the members without an end.
#[test]
fn node_that_was_admitted_just_before_is_not_replaced_again() {
    let mut case = Case::lead(PEERS);
    case.keep_up(&[(PEER, 2), (THIRD, NEW_DISK)], Duration::from_secs(5));
    assert_eq!(
        case.node.membership().unwrap().voters[2].storage.0,
        NEW_DISK
    );
    case.keep_up(&[(PEER, 2), (THIRD, 44)], Duration::from_secs(14));
    assert_eq!(
        case.node.membership().unwrap().voters[2].storage.0,
        NEW_DISK
    );
    case.keep_up(&[(PEER, 2), (THIRD, 44)], Duration::from_secs(8));
    assert_eq!(case.node.membership().unwrap().voters[2].storage.0, 44);
}

#[test]
fn leader_that_leaves_transfers_leadership_once_that_is_committed() {
    let mut case = Case::lead(PEERS);
    case.change(members(&[(PEER, 2), (THIRD, 3)], &[OWN]));
    assert!(case.node.leads(case.node.term()), "it commits that first");
    case.requests.clear();
    case.keep_up(PEERS, Duration::from_millis(300));
    assert!(!case.node.leads(case.node.term()));
    assert_eq!(case.node.commit_index(), LogIndex(2));
}

#[test]
fn truncation_restores_the_members() {
    let mut case = Case::start_with(stored_with_change(two_voters()));
    case.settle(0);
    case.check_members(&two_voters());
    let term = Term(TERM.0 + 1);
    case.hear_from((PEER, 2), Some(1), term, Request::Coordinator);
    let fetch = case.request_to_peer(|request| matches!(request, Request::GetCommits(_)));
    let diverging = GetCommitsReply::Diverging(Position::ZERO);
    case.answer(Header { term, ..fetch }, 2, Reply::GetCommits(diverging))
        .unwrap();
    case.check_members(&members(&[(OWN, 1), (PEER, 2), (THIRD, 3)], &[]));
}
