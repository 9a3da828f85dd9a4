//! Each checker must fail on a history that is known to be bad; one that cannot fail checks nothing.
//! The tests of `log_matching` and of the simulated disk are beside the code.

use bytes::Bytes;
use chat_consensus::{
    BlockNumber, Candidacy, Election, ElectionKind, ElectionReply, Entry, Envelope, FollowerStatus,
    GetCommits, HardState, Header, LogBase, LogIndex, Membership, NodeId, Payload, Position, Reply,
    Request, RequestId, RunId, StorageId, Term, TermIndex, TermRun, Voter, Writes,
};
use chat_tests::checker::agreement::{CommitMoved, CommittedLog};
use chat_tests::checker::election::{Elected, Elections};
use chat_tests::checker::history::History;
use chat_tests::checker::log_matching::KnownEntries;
use chat_tests::checker::membership::Memberships;
use chat_tests::checker::votes::Votes;
use chat_tests::checker::{Checked, applying, commit_quorum, durability, matched};
use chat_tests::message::Message;
use chat_tests::simulation::command::{Answer, Command};
use chat_tests::simulation::disk::Disk;

#[track_caller]
fn check_found_by(checker: &str, checked: Checked) {
    let violation = checked.expect_err("the history is bad");
    assert_eq!(violation.checker, checker);
}

/// A log whose entries from index 1 on have these terms.
fn log(terms: &[u64]) -> TermIndex {
    let mut log = TermIndex::new(Position::ZERO, Vec::<TermRun>::new(), LogIndex::ZERO);
    for (place, term) in terms.iter().enumerate() {
        log.append(Position::new(place as u64 + 1, *term));
    }
    log
}

fn entry(index: u64, term: u64, operation: u64) -> Entry {
    let attempt = operation;
    let payload = Payload::Command(Command { operation, attempt }.encode());
    let position = Position::new(index, term);
    Entry { position, payload }
}

/// A disk of the cluster that holds entries of these terms and this term and vote.
fn disk(storage: u128, terms: &[u64], mut hard_state: HardState) -> Disk {
    let mut disk = Disk::empty(NodeId(1), StorageId(storage));
    disk.start().expect("an empty disk starts");
    let entries = terms.iter().enumerate();
    hard_state.cluster = Some(membership().cluster);
    let writes = Writes {
        boot_count: Some(1),
        hard_state: Some(hard_state),
        base: Some(Box::new(LogBase::first(membership()))),
        entries: entries
            .map(|(place, term)| entry(place as u64 + 1, *term, place as u64 + 1))
            .collect(),
        ..Writes::default()
    };
    disk.write_and_sync(&writes).expect("the writes follow");
    disk
}

/// The known entries after entries of these terms were written.
fn known(terms: &[u64]) -> KnownEntries {
    let mut known = KnownEntries::default();
    let mut previous = Term(0);
    for (place, term) in terms.iter().enumerate() {
        let index = place as u64 + 1;
        known
            .written(&entry(index, *term, index), previous)
            .expect("one entry a position");
        previous = Term(*term);
    }
    known
}

fn committed(terms: &[u64]) -> CommittedLog {
    let mut committed = CommittedLog::default();
    let log = log(terms);
    let moved = CommitMoved {
        cluster: chat_consensus::ClusterId(1),
        node: NodeId(1),
        leads: Some(log.last().term),
        from: LogIndex::ZERO,
        to: log.last().index,
        log: &log,
    };
    committed
        .moved(moved, &known(terms))
        .expect("a leader commits its own term");
    committed
}

fn membership() -> Membership {
    Membership::of_voters(chat_consensus::ClusterId(1), [1, 2, 3].map(voter).to_vec())
}

fn voter(node: u64) -> Voter {
    Voter {
        node: NodeId(node),
        storage: StorageId(u128::from(node)),
    }
}

fn voted(term: u64, node: u64) -> HardState {
    HardState {
        term: Term(term),
        vote: Some(voter(node)),
        ..HardState::default()
    }
}

fn envelope(from: u64, term: u64, start: u64, message: impl Into<Message>) -> Envelope<Message> {
    let to = NodeId(if from == 1 { 2 } else { 1 });
    let header = Header {
        cluster: Some(membership().cluster),
        term: Term(term),
        from: NodeId(from),
        to,
        storage: StorageId(u128::from(from)),
        to_storage: None,
        request: RequestId {
            start: RunId::new(start, 7),
            number: 1,
        },
    };
    let message = message.into();
    Envelope { header, message }
}

fn vote(granted: bool) -> Reply {
    Reply::Election(ElectionReply {
        kind: ElectionKind::Vote,
        granted,
        leader: None,
        remembered_block: BlockNumber::UNKNOWN,
        removed: false,
    })
}

#[test]
fn commit_index_that_moves_back_is_found() {
    let view = log(&[1, 1, 1]);
    let moved = CommitMoved {
        cluster: chat_consensus::ClusterId(1),
        node: NodeId(2),
        leads: None,
        from: LogIndex(3),
        to: LogIndex(2),
        log: &view,
    };
    let checked = committed(&[1, 1, 1]).moved(moved, &known(&[1, 1, 1]));
    check_found_by("monotonic-commit", checked);
}

#[test]
fn second_committed_log_is_found() {
    let view = log(&[1, 1, 3]);
    let moved = CommitMoved {
        cluster: chat_consensus::ClusterId(1),
        node: NodeId(2),
        leads: None,
        from: LogIndex(2),
        to: LogIndex(3),
        log: &view,
    };
    let checked = committed(&[1, 1, 2]).moved(moved, &known(&[1, 1, 3]));
    check_found_by("agreement", checked);
}

#[test]
fn follower_that_commits_first_is_found() {
    let view = log(&[1, 1, 1]);
    let moved = CommitMoved {
        cluster: chat_consensus::ClusterId(1),
        node: NodeId(2),
        leads: None,
        from: LogIndex(2),
        to: LogIndex(3),
        log: &view,
    };
    check_found_by(
        "agreement",
        committed(&[1, 1]).moved(moved, &known(&[1, 1, 1])),
    );
}

#[test]
fn older_term_committed_by_counting_is_found() {
    let view = log(&[1, 1, 1]);
    let moved = CommitMoved {
        cluster: chat_consensus::ClusterId(1),
        node: NodeId(1),
        leads: Some(Term(2)),
        from: LogIndex(2),
        to: LogIndex(3),
        log: &view,
    };
    let checked = committed(&[1, 1]).moved(moved, &known(&[1, 1, 1]));
    check_found_by("commit-rule", checked);
}

#[test]
fn commit_on_one_disk_of_three_is_found() {
    let full = disk(1, &[1, 1], voted(1, 1));
    let short = disk(2, &[1], voted(1, 1));
    // The third disk holds everything and is not the one that was admitted (R12).
    let unknown_disk = disk(9, &[1, 1], voted(1, 1));
    let disks = [full, short, unknown_disk];
    let checked = commit_quorum::committed(
        Position::new(2, 1),
        [&membership()].into_iter(),
        (&disks, &[]),
    );
    check_found_by("commit-quorum", checked);
}

fn check_election(leader: u64, term: u64, terms: &[u64], votes: &Votes) -> Checked {
    let mut elections = Elections::default();
    elections.elected(
        Elected {
            leader: voter(leader),
            term: Term(term),
            log: &log(terms),
            membership: &membership(),
        },
        votes,
        &committed(&[1, 1]),
    )
}

fn votes(given: &[(u64, u64)]) -> Votes {
    let mut votes = Votes::default();
    for (node, candidate) in given {
        let storage = StorageId(u128::from(*node));
        let given = votes.voted(Term(2), NodeId(*node), storage, NodeId(*candidate));
        given.expect("one vote each");
    }
    votes
}

#[test]
fn elected_leader_passes() {
    check_election(1, 2, &[1, 1], &votes(&[(1, 1), (2, 1)])).unwrap();
}

#[test]
fn leader_with_one_vote_is_found() {
    let checked = check_election(1, 2, &[1, 1], &votes(&[(1, 1), (2, 2)]));
    check_found_by("election-quorum", checked);
}

#[test]
fn leader_without_a_committed_entry_is_found() {
    let checked = check_election(1, 2, &[1], &votes(&[(1, 1), (2, 1)]));
    check_found_by("leader-completeness", checked);
}

#[test]
fn two_leaders_of_a_term_are_found() {
    let mut elections = Elections::default();
    let view = log(&[1, 1]);
    let membership = membership();
    let elected = |node| Elected {
        leader: voter(node),
        term: Term(2),
        log: &view,
        membership: &membership,
    };
    let (votes, committed) = (votes(&[(1, 1), (2, 1)]), committed(&[1]));
    elections.elected(elected(1), &votes, &committed).unwrap();
    let checked = elections.elected(elected(2), &votes, &committed);
    check_found_by("election-safety", checked);
}

#[test]
fn second_vote_after_restart_is_found() {
    let mut votes = Votes::default();
    votes.sent(&envelope(2, 5, 1, vote(true))).unwrap();
    let election = Request::Election(Election::Vote(Candidacy {
        last: Position::ZERO,
        synced_block: BlockNumber::UNKNOWN,
    }));
    check_found_by("vote-once", votes.sent(&envelope(2, 5, 2, election)));
}

#[test]
fn leadership_resumed_after_restart_is_found() {
    let mut votes = Votes::default();
    votes
        .sent(&envelope(1, 5, 1, Request::Coordinator))
        .unwrap();
    let checked = votes.sent(&envelope(1, 5, 2, Request::Coordinator));
    check_found_by("no-leadership-resume", checked);
}

#[test]
fn vote_that_is_not_durable_is_found() {
    let rolled_back = disk(
        2,
        &[1],
        HardState {
            term: Term(5),
            vote: None,
            ..HardState::default()
        },
    );
    let checked = durability::sent(&envelope(2, 5, 1, vote(true)), rolled_back.durable());
    check_found_by("vote-durable", checked);
}

#[test]
fn vote_replaced_by_a_later_term_passes() {
    let later = disk(
        2,
        &[1],
        HardState {
            term: Term(6),
            vote: None,
            ..HardState::default()
        },
    );
    durability::sent(&envelope(2, 5, 1, vote(true)), later.durable()).unwrap();
}

#[test]
fn term_that_is_not_durable_is_found() {
    let behind = disk(2, &[1], voted(4, 2));
    let checked = durability::sent(&envelope(2, 5, 1, Reply::Coordinator), behind.durable());
    check_found_by("term-durable", checked);
}

#[test]
fn acknowledgement_that_is_not_durable_is_found() {
    let behind = disk(2, &[1], voted(1, 1));
    let fetch = Request::GetCommits(GetCommits {
        has_base: true,
        synced: Position::new(2, 1),
        commit_index: LogIndex(1),
        bytes_max: 0,
        repair_through: LogIndex::ZERO,
        state: chat_consensus::FollowerState::Whole,
        behind_hole: false,
        synced_block: BlockNumber::UNKNOWN,
    });
    let checked = durability::sent(&envelope(2, 1, 1, fetch), behind.durable());
    check_found_by("log-durable", checked);
}

#[test]
fn block_number_that_is_not_durable_is_found() {
    let election = Request::Election(Election::Vote(Candidacy {
        last: Position::ZERO,
        synced_block: BlockNumber(3),
    }));
    let envelope = envelope(2, 5, 2, election);
    durability::block(&envelope, BlockNumber(3)).unwrap();
    check_found_by(
        "block-durable",
        durability::block(&envelope, BlockNumber(2)),
    );
}

#[test]
fn message_before_boot_count_is_durable_is_found() {
    let old = disk(2, &[1], voted(1, 1));
    let header = envelope(2, 1, 2, Reply::Resign).header;
    check_found_by(
        "boot-count-first",
        durability::started(&header, 2, true, old.durable()),
    );
}

fn check_applied(entries: &[Entry], applied: u64, durable: &[u64]) -> Checked {
    applying::applied(
        NodeId(2),
        entries,
        LogIndex(applied),
        (&committed(&[1, 1, 1]), &known(&[1, 1, 1])),
        disk(2, durable, voted(1, 1)).durable(),
    )
}

#[test]
fn wrongly_applied_entries_are_found() {
    check_applied(&[entry(2, 1, 2), entry(3, 1, 3)], 1, &[1, 1, 1]).unwrap();
    // A gap, another term, other content, and an entry that its own disk does not hold.
    check_found_by(
        "apply-order",
        check_applied(&[entry(3, 1, 3)], 1, &[1, 1, 1]),
    );
    check_found_by("apply-order", check_applied(&[entry(2, 2, 2)], 1, &[1, 2]));
    check_found_by(
        "apply-order",
        check_applied(&[entry(2, 1, 7)], 1, &[1, 1, 1]),
    );
    check_found_by("apply-synced", check_applied(&[entry(2, 1, 2)], 1, &[1]));
}

#[test]
fn truncation_of_a_committed_entry_is_found() {
    let full = disk(2, &[1, 1, 1, 2], voted(2, 1));
    let committed = committed(&[1, 1, 1]);
    applying::truncated(NodeId(2), LogIndex(3), &committed, full.durable()).unwrap();
    let checked = applying::truncated(NodeId(2), LogIndex(2), &committed, full.durable());
    check_found_by("committed-truncated", checked);
}

#[test]
fn second_membership_is_found() {
    let named = |node: u64| (NodeId(node), StorageId(u128::from(node)));
    let mut memberships = Memberships::default();
    memberships.written(named(1), &membership(), 3).unwrap();
    check_found_by(
        "membership",
        memberships.written(named(2), &membership(), 5),
    );
    let other = Membership {
        cluster: chat_consensus::ClusterId(2),
        ..membership()
    };
    check_found_by("membership", memberships.written(named(1), &other, 3));
    // The first cluster has two disks, so it counts.
    memberships.written(named(2), &membership(), 3).unwrap();
    memberships.written(named(3), &other, 3).unwrap();
    check_found_by("membership", memberships.written(named(4), &other, 3));
    assert_eq!(memberships.known(), Some(&membership()));
}

#[test]
fn match_index_beyond_the_disk_is_found() {
    let follower = FollowerStatus {
        node: NodeId(2),
        voter: true,
        repair_through: LogIndex::ZERO,
        match_index: LogIndex(2),
        last_fetch: None,
        progressed_at: chat_consensus::Time(0),
    };
    let short = disk(2, &[1], voted(1, 1));
    let named = (NodeId(1), Term(1));
    let checked = matched::match_index_is_durable(named, &follower, &log(&[1, 1]), short.durable());
    check_found_by("matched-durable", checked);
}

fn answer(operation: u64, index: u64) -> Option<Answer> {
    let index = LogIndex(index);
    Some(Answer { operation, index })
}

/// A history in which operation 2 took effect at index 2 and was acknowledged.
fn history() -> History {
    let mut history = History::default();
    history.begins(2);
    let checked = history.acknowledged(2, answer(2, 2), &committed(&[1, 1, 1]));
    checked.expect("it took effect there");
    history
}

#[test]
fn wrong_outcomes_are_found() {
    let committed = committed(&[1, 1, 1]);
    let mut history = history();
    history.begins(3);
    let mut acknowledge = |answer| history.acknowledged(3, answer, &committed);
    check_found_by("exactly-once", acknowledge(answer(1, 1)));
    check_found_by("exactly-once", acknowledge(None));
    check_found_by("acknowledged-lost", acknowledge(answer(3, 2)));
    acknowledge(answer(3, 3)).unwrap();
}

#[test]
fn operation_ordered_before_an_earlier_one_is_found() {
    let mut history = history();
    history.begins(1);
    let checked = history.acknowledged(1, answer(1, 1), &committed(&[1, 1, 1]));
    check_found_by("real-time-order", checked);
}

#[test]
fn stale_read_is_found() {
    let mut history = history();
    let shown = history.shown();
    assert_eq!(shown, LogIndex(2));
    history.read(shown, LogIndex(3)).unwrap();
    check_found_by("stale-read", history.read(history.shown(), LogIndex(2)));
}

#[test]
fn not_appended_for_an_entry_in_a_log_is_found() {
    let mut history = history();
    history.written(7).unwrap();
    check_found_by("not-appended", history.refused(7));
    history.refused(8).unwrap();
    check_found_by("not-appended", history.written(8));
}

#[test]
fn bytes_that_are_not_a_command_are_not_decoded() {
    assert_eq!(Command::decode(&Bytes::from_static(b"short")), None);
}
