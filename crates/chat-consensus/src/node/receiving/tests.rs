//! What a node answers to a disk that forgot, and what it believes of its own, message by message (R18).

use core::time::Duration;

use crate::input::Fault;
use crate::message::{
    Candidacy, Election, ElectionKind, Envelope, GetCommitsReply, Reply, Request,
};
use crate::node::test_case::{Case, PEER, THIRD, vote};
use crate::types::{BlockNumber, LogIndex, Position};

impl Case {
    /// What a pre-vote request is answered: whether it is granted, and what is remembered.
    fn pre_vote(&mut self, storage: u128, boot_count: u64, block: u64) -> (bool, u64) {
        self.replies.clear();
        let candidacy = Candidacy {
            last: Position::new(9, 5),
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

    /// The number with which the last fetch was answered amnesiac.
    fn amnesiac(&self) -> Option<u64> {
        self.replies.iter().find_map(|reply| match &reply.message {
            Reply::GetCommits(GetCommitsReply::Amnesiac { remembered_block }) => {
                Some(remembered_block.0)
            }
            _ => None,
        })
    }
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
    // With no more blocks than the start had, or to another fetch.
    case.answer(fetch, 2, amnesiac(4)).unwrap();
    case.answer(fetch, 2, amnesiac(9)).unwrap();
    let fetch = case.request_to_peer(|request| matches!(request, Request::GetCommits(_)));
    check_forgot(case.answer(fetch, 2, amnesiac(5)));
}

/// R19: the members that a log names may be old, and those who remember new ones.
#[test]
fn amnesiac_is_believed_from_a_leader_that_the_members_do_not_name() {
    let mut case = Case::start(4);
    let fetch = case.follow();
    check_forgot(case.answer(fetch, 77, amnesiac(9)));
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
    check_forgot(case.answer(next, 2, vote(kind, false, 9)));
}
