//! Who campaigns while the members change, who votes, and whose messages count (R4, R5, R19).

use core::time::Duration;

use super::{Case, NEW_DISK, members, stored_with_change};
use crate::input::Input;
use crate::message::{
    Candidacy, Election, ElectionKind, Envelope, GetCommitsReply, Header, Reply, Request,
};
use crate::node::test_case::{OWN, PEER, TERM, THIRD, vote};
use crate::status::RoleName;
use crate::types::{BlockNumber, NodeId, Position, StorageId, Term, Time};

impl Case {
    /// Its disk is a voter of the base, and not of the newest members, which it does not know to be committed.
    fn demoted() -> Self {
        let next = members(&[(PEER, 2), (THIRD, 3)], &[OWN]);
        let mut case = Self::start_with(stored_with_change(next));
        case.settle(0);
        case
    }

    /// A message of a disk, which names this node's disk or none, in that term.
    pub(super) fn hear_from(
        &mut self,
        from: (NodeId, u128),
        to: Option<u128>,
        term: Term,
        message: Request,
    ) {
        let header = Header {
            term,
            to_storage: to.map(StorageId),
            ..self.next_header(from, 1)
        };
        self.receive_with(header, message);
    }
}

#[test]
fn voter_of_the_members_before_campaigns_while_the_newest_may_be_undone() {
    let mut case = Case::demoted();
    let pre_vote = |request: &Request| matches!(request, Request::Election(_));
    let asked = case.request_to_peer(pre_vote);
    // One of two is no majority: its own vote does not count.
    case.answer(asked, 2, vote(ElectionKind::PreVote, true, 0))
        .unwrap();
    case.settle(0);
    assert_eq!(case.node.role(), RoleName::PreCandidate);
}

#[test]
fn node_that_no_members_name_does_not_campaign() {
    let mut stored = stored_with_change(members(&[(PEER, 2), (THIRD, 3)], &[]));
    stored.storage = StorageId(11);
    let mut case = Case::start_with(stored);
    case.settle(0);
    for _ in 0..20 {
        case.now = case.now + Duration::from_millis(200);
        case.handle(Input::DeadlinePassed).unwrap();
        case.settle(0);
    }
    assert_eq!(case.node.role(), RoleName::Learner);
    assert!(case.requests.is_empty(), "{:?}", case.requests);
}

/// {1, 2} and then {2}: node 1 must ask, however small the newest members are.
#[test]
fn only_the_only_voter_itself_campaigns_without_asking() {
    let case = Case::start_with(stored_with_change(members(&[(PEER, 2)], &[OWN])));
    assert_eq!(case.node.role(), RoleName::Learner);
    assert!(case.node.next_deadline() > Time(0));
    let case = Case::start_with(stored_with_change(members(&[(OWN, 1)], &[PEER])));
    assert_eq!(case.node.next_deadline(), Time(0));
}

fn candidacy() -> Candidacy {
    Candidacy {
        last: Position::new(9, 9),
        synced_block: BlockNumber::UNKNOWN,
    }
}

/// Thesis 4.2: the members of the voter may be older than those of the candidate.
#[test]
fn learner_by_its_own_log_votes_when_its_disk_is_asked() {
    let mut case = Case::demoted();
    assert_eq!(case.node.role(), RoleName::Learner);
    let term = Term(TERM.0 + 1);
    // The candidate's disk is not in these members either.
    case.hear_from(
        (THIRD, NEW_DISK),
        Some(1),
        term,
        Request::Election(Election::Vote(candidacy())),
    );
    let granted = |reply: &Envelope<Reply>| match reply.message {
        Reply::Election(reply) => reply.granted,
        _ => false,
    };
    assert!(case.replies.iter().any(granted), "{:?}", case.replies);
    assert_eq!(case.node.term(), term);
    // And never again in that term, nor in an earlier one.
    case.replies.clear();
    case.hear_from((PEER, 2), Some(1), TERM, Request::Coordinator);
    assert_eq!(case.node.term(), term);
    case.hear_from(
        (PEER, 2),
        Some(1),
        term,
        Request::Election(Election::Vote(candidacy())),
    );
    assert!(!case.replies.iter().any(granted), "{:?}", case.replies);
}

#[test]
fn candidate_that_asks_for_another_disk_gets_no_vote_and_moves_no_term() {
    let mut case = Case::start(0);
    let term = Term(TERM.0 + 1);
    for to in [None, Some(77)] {
        case.hear_from(
            (THIRD, NEW_DISK),
            to,
            term,
            Request::Election(Election::Vote(candidacy())),
        );
        assert_eq!(case.node.term(), TERM, "{to:?}");
        assert!(case.replies.is_empty());
    }
}

#[test]
fn leader_whom_the_members_do_not_name_is_followed_if_it_knows_the_disk() {
    let mut case = Case::start(0);
    case.follow();
    let term = Term(TERM.0 + 1);
    case.hear_from((THIRD, NEW_DISK), None, term, Request::Coordinator);
    assert_eq!((case.node.term(), case.node.leader()), (TERM, Some(PEER)));
    case.hear_from((THIRD, NEW_DISK), Some(1), term, Request::Coordinator);
    assert_eq!((case.node.term(), case.node.leader()), (term, Some(THIRD)));
}

/// All voters that it knows may have left: a node without contact to a leader asks the one whose claim it has
/// dropped, be it a voter by its own log, and be that leader one that no members of before have named.
#[test]
fn node_without_contact_follows_a_leader_that_it_does_not_know() {
    let unknown = NodeId(8);
    let mut case = Case::start(0);
    case.follow();
    let term = Term(TERM.0 + 1);
    // Its leader is gone, and answers nothing.
    case.now = case.now + Duration::from_millis(390);
    case.hear_from((unknown, 80), None, term, Request::Coordinator);
    assert_eq!(case.node.leader(), Some(PEER), "that is not certain yet");
    case.now = case.now + Duration::from_millis(230);
    case.requests.clear();
    case.hear_from((unknown, 80), None, term, Request::Coordinator);
    assert_eq!(
        (case.node.term(), case.node.leader()),
        (TERM, Some(unknown))
    );
    let fetches = |request: &&Envelope<Request>| matches!(request.message, Request::GetCommits(_));
    let fetch = case.requests.iter().find(fetches);
    assert_eq!(fetch.expect("it fetches").header.to, unknown);
}

/// A node that may not campaign asks the one whose claim it has dropped: its members may be old.
#[test]
fn node_that_may_not_campaign_fetches_from_a_leader_that_it_does_not_know() {
    let mut stored = Case::stored();
    stored.storage = StorageId(11);
    let mut case = Case::start_with(stored);
    case.settle(0);
    let term = Term(TERM.0 + 1);
    case.hear_from((THIRD, NEW_DISK), None, term, Request::Coordinator);
    assert_eq!(
        case.node.term(),
        TERM,
        "the claim itself counts for nothing"
    );
    let fetch = case.requests.iter().find(|request| {
        request.header.to == THIRD && matches!(request.message, Request::GetCommits(_))
    });
    let header = fetch.expect("it fetches").header;
    let reply = Envelope {
        header: Header {
            term,
            from: THIRD,
            to: OWN,
            storage: StorageId(NEW_DISK),
            ..header
        },
        message: Reply::GetCommits(GetCommitsReply::NotLeading {
            leader: Some(THIRD),
        }),
    };
    case.handle(Input::Reply(reply)).unwrap();
    assert_eq!(case.node.term(), term);
}
