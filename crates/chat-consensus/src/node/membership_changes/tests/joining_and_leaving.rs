//! Nodes that an operator adds and removes: who is called and served, and what they do themselves (R4, R19).

use core::time::Duration;
use std::vec::Vec;

use super::{Case, Disks, PEERS, members, stored_with_change};
use crate::entry::Entry;
use crate::input::{Input, MembershipRefusal, Report};
use crate::membership::{Membership, MembershipEdit, NodeAddresses};
use crate::message::{
    ElectionKind, ElectionReply, Envelope, GetCommitsReply, GetSnapshot, GetSnapshotReply, Header,
    Reply, Request,
};
use crate::node::test_case::{OWN, PEER, TERM, THIRD, own_disk};
use crate::outgoing::Outgoing;
use crate::snapshot::{Digest, SnapshotId};
use crate::status::RoleName;
use crate::types::{BlockNumber, LogIndex, NodeId, Position};

const JOINER: NodeId = NodeId(4);
const ALL: Disks<'_> = &[(PEER, 2), (THIRD, 3), (JOINER, 4)];

fn addresses() -> NodeAddresses {
    NodeAddresses {
        peer: "joiner:7501".into(),
        client: "joiner:7401".into(),
    }
}

/// Three voters of which the third is removed.
fn without_third() -> Membership {
    let three = members(&[(OWN, 1), (PEER, 2), (THIRD, 3)], &[]);
    let next = three.edited(&MembershipEdit::Remove(THIRD)).unwrap();
    next.expect("it is a member")
}

impl Case {
    /// The newest members after an edit, appended.
    fn edit(&mut self, edit: &MembershipEdit) -> Membership {
        let next = self.node.membership().unwrap().edited(edit).unwrap();
        let next = next.expect("something changes");
        self.change(next.clone());
        self.check_members(&next);
        next
    }

    /// Node 1 leads three voters and has added a fourth node.
    fn with_joiner() -> Self {
        let mut case = Self::lead(PEERS);
        case.edit(&MembershipEdit::Add(JOINER, addresses()));
        case
    }

    /// Whether a heartbeat goes to that node.
    fn is_called(&mut self, node: NodeId) -> bool {
        self.requests.clear();
        self.now = self.now + Duration::from_millis(110);
        self.handle(Input::DeadlinePassed).unwrap();
        self.settle(0);
        self.requests.iter().any(|request| {
            request.header.to == node && matches!(request.message, Request::Heartbeat(_))
        })
    }

    fn answers_to(&mut self, node: NodeId) -> Vec<GetCommitsReply> {
        let replies = core::mem::take(&mut self.replies);
        let to_it = replies.into_iter().filter(|reply| reply.header.to == node);
        let answers = to_it.filter_map(|reply| match reply.message {
            Reply::GetCommits(answer) => Some(answer),
            _ => None,
        });
        answers.collect()
    }
}

#[test]
fn added_node_is_called_and_becomes_a_voter_when_it_keeps_up() {
    let mut case = Case::lead(PEERS);
    assert!(!case.is_called(JOINER));
    case.edit(&MembershipEdit::Add(JOINER, addresses()));
    assert!(case.is_called(JOINER), "also before it has ever fetched");
    case.keep_up(ALL, Duration::from_millis(400));
    let members = case.node.membership().unwrap();
    assert_eq!(members.voter(JOINER), Some(own_disk(JOINER)));
    assert_eq!(members.addresses[&JOINER], addresses());
    assert_eq!((members.learners.len(), members.highest), (0, JOINER));
}

#[test]
fn learner_that_lags_stays_one() {
    let mut case = Case::with_joiner();
    for _ in 0..10 {
        case.keep_up(PEERS, Duration::from_millis(100));
        case.fetch_of((JOINER, 4), 1, 0, 0);
    }
    assert_eq!(case.node.membership().unwrap().learners, [JOINER]);
}

#[test]
fn id_below_the_highest_is_refused_also_to_a_caller_that_made_the_members() {
    let mut case = Case::with_joiner();
    case.keep_up(PEERS, Duration::from_millis(100));
    case.edit(&MembershipEdit::Remove(JOINER));
    case.keep_up(PEERS, Duration::from_millis(100));
    let newest = case.node.membership().unwrap().clone();
    for highest in [JOINER, THIRD] {
        let mut next = newest.clone();
        next.learners.push(JOINER);
        next.highest = highest;
        case.check_refused(next, MembershipRefusal::Invalid);
    }
    let mut lower = newest;
    lower.highest = THIRD;
    case.check_refused(lower, MembershipRefusal::Invalid);
}

#[test]
fn removed_node_gets_the_entry_that_removes_it_and_is_served_no_more() {
    let mut case = Case::lead(PEERS);
    case.fetch_end(&[(THIRD, 3)]);
    case.replies.clear();
    case.edit(&MembershipEdit::Remove(THIRD));
    let removal = case.node.log().last().index;
    // Its removal may still be undone: it is called and served.
    assert!(case.is_called(THIRD));
    case.fetch_of((THIRD, 3), 1, 0, removal.0);
    assert_eq!(case.answers_to(THIRD), [], "it is pending");
    case.fetch_of((PEER, 2), 1, 0, removal.0);
    assert_eq!(case.node.commit_index(), removal);
    assert!(!case.is_called(THIRD));
    case.fetch_of((THIRD, 3), 1, 0, removal.0);
    assert_eq!(case.answers_to(THIRD), [GetCommitsReply::NotMember]);
    let id = SnapshotId {
        position: Position::ZERO,
        digest: Digest([0; 32]),
    };
    let wanted = GetSnapshot {
        id,
        offset: 0,
        bytes_max: 1,
    };
    case.receive(THIRD, 3, 1, Request::GetSnapshot(wanted));
    let gone =
        |reply: &Envelope<Reply>| reply.message == Reply::GetSnapshot(GetSnapshotReply::Gone);
    assert!(case.replies.iter().any(gone));
}

/// Commands that were appended before its removal are committed first.
#[test]
fn removed_node_is_called_until_its_removal_itself_is_committed() {
    let mut case = Case::lead(PEERS);
    let command = bytes::Bytes::from_static(b"before the removal");
    case.handle(Input::Proposed(crate::input::ProposalId(1), command))
        .unwrap();
    case.settle(0);
    case.edit(&MembershipEdit::Remove(THIRD));
    case.fetch_of((PEER, 2), 1, 0, 2);
    assert_eq!(case.node.commit_index(), LogIndex(2));
    assert!(case.is_called(THIRD));
    case.fetch_of((PEER, 2), 1, 0, 3);
    assert_eq!(case.node.commit_index(), LogIndex(3));
    assert!(!case.is_called(THIRD));
}

/// It normally learns from the log that it is removed.
#[test]
fn pending_fetch_of_a_removed_node_is_answered_with_the_entry_that_removes_it() {
    let mut case = Case::lead(PEERS);
    case.keep_up(PEERS, Duration::from_millis(100));
    let end = case.node.log().last().index.0;
    case.fetch_of((PEER, 2), 1, 0, end);
    case.fetch_of((THIRD, 3), 1, 0, end);
    drop(case.node.take_outgoing());
    case.handle(Input::MembershipRequested(without_third().into()))
        .unwrap();
    let outgoing = case.node.take_outgoing();
    let answered = outgoing.iter().any(|outgoing| match outgoing {
        Outgoing::Entries(reply) => reply.follower() == THIRD && reply.after() == LogIndex(end),
        _ => false,
    });
    assert!(answered, "{outgoing:?}");
}

/// What an earlier leader has appended may still be committed, and name that node.
#[test]
fn leader_answers_no_unknown_node_before_its_first_commit() {
    let mut case = Case::start(0);
    case.elect();
    case.replies.clear();
    case.fetch_of((JOINER, 4), 1, 0, 0);
    assert_eq!(case.answers_to(JOINER), []);
    case.keep_up(PEERS, Duration::from_millis(100));
    case.replies.clear();
    case.fetch_of((JOINER, 4), 1, 0, 0);
    assert_eq!(case.answers_to(JOINER), [GetCommitsReply::NotMember]);
}

/// Case 4 of the review: the node is added again later, and then the only one that can lead.
#[test]
fn node_that_was_named_no_member_campaigns_again_after_a_while() {
    let mut case = Case::start(0);
    let fetch = case.follow();
    case.answer(fetch, 2, Reply::GetCommits(GetCommitsReply::NotMember))
        .unwrap();
    case.settle(0);
    assert_eq!(case.node.take_reports(), [Report::NotMember]);
    assert_eq!(case.node.role(), RoleName::Removed);
    let named = case.now;
    case.requests.clear();
    while case.now < named + Duration::from_millis(9_900) {
        case.now = case.now + Duration::from_millis(100);
        case.handle(Input::DeadlinePassed).unwrap();
        case.settle(0);
    }
    assert!(case.requests.is_empty(), "{:?}", case.requests);
    case.request_to_peer(|request| matches!(request, Request::Election(_)));
    assert!(case.now >= named + Duration::from_secs(10));
    assert!(case.now <= named + Duration::from_millis(10_600));
}

#[test]
fn node_that_was_named_no_member_fetches_when_a_leader_calls() {
    let mut case = Case::start(0);
    let fetch = case.follow();
    case.answer(fetch, 2, Reply::GetCommits(GetCommitsReply::NotMember))
        .unwrap();
    case.settle(0);
    // Of a disk that these members do not name.
    case.requests.clear();
    case.hear_from((JOINER, 4), None, TERM, Request::Coordinator);
    let fetch = case.requests.pop().expect("it fetches").header;
    assert_eq!(fetch.to, JOINER);
    let entries = GetCommitsReply::Entries {
        after: LogIndex::ZERO,
        commit_index: LogIndex::ZERO,
        entries: Vec::<Entry>::new(),
    };
    let header = Header {
        from: JOINER,
        to: OWN,
        ..fetch
    };
    let message = Reply::GetCommits(entries);
    case.handle(Input::Reply(Envelope { header, message }))
        .unwrap();
    assert_eq!(case.node.role(), RoleName::Follower, "it is a member");
}

#[test]
fn candidate_learns_from_a_voter_that_it_was_removed() {
    let mut case = Case::start(0);
    let pre_vote = case.request_to_peer(|request| matches!(request, Request::Election(_)));
    let reply = ElectionReply {
        kind: ElectionKind::PreVote,
        granted: false,
        leader: None,
        remembered_block: BlockNumber::UNKNOWN,
        removed: true,
    };
    case.answer(pre_vote, 2, Reply::Election(reply)).unwrap();
    assert_eq!(case.node.role(), RoleName::Removed);
    assert_eq!(case.node.take_reports(), [Report::NotMember]);
}

#[test]
fn voter_answers_a_candidate_that_was_removed() {
    let removed_by = |commit_index: LogIndex| {
        let mut case = Case::start_with(stored_with_change(without_third()));
        case.settle(0);
        let fetch = case.follow();
        let entries = GetCommitsReply::Entries {
            after: LogIndex(1),
            commit_index,
            entries: Vec::new(),
        };
        case.answer(fetch, 2, Reply::GetCommits(entries)).unwrap();
        case.settle(0);
        case.replies.clear();
        let candidacy = crate::message::Candidacy {
            last: Position::ZERO,
            synced_block: BlockNumber::UNKNOWN,
        };
        let pre_vote = crate::message::Election::PreVote(candidacy);
        case.hear_from((THIRD, 3), Some(1), TERM, Request::Election(pre_vote));
        let reply = case.replies.pop().expect("it answers");
        match reply.message {
            Reply::Election(reply) => reply.removed,
            other => panic!("{other:?}"),
        }
    };
    assert!(!removed_by(LogIndex::ZERO), "that may be undone");
    assert!(removed_by(LogIndex(1)));
}

/// A follower that knows the removal says so, too: the removed node may know no leader.
#[test]
fn follower_answers_the_fetch_of_a_removed_node() {
    let mut case = Case::start_with(stored_with_change(without_third()));
    case.settle(0);
    case.fetch_of((THIRD, 3), 1, 0, 0);
    let answers = case.answers_to(THIRD);
    assert!(
        matches!(answers[..], [GetCommitsReply::NotLeading { .. }]),
        "not known to be committed: {answers:?}"
    );
    let fetch = case.follow();
    let entries = GetCommitsReply::Entries {
        after: LogIndex(1),
        commit_index: LogIndex(1),
        entries: Vec::new(),
    };
    case.answer(fetch, 2, Reply::GetCommits(entries)).unwrap();
    case.settle(0);
    case.replies.clear();
    case.fetch_of((THIRD, 3), 1, 0, 0);
    assert_eq!(case.answers_to(THIRD), [GetCommitsReply::NotMember]);
}
