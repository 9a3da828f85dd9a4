//! A follower that is offered a snapshot, message by message (R24).

use core::convert::Infallible;
use core::time::Duration;
use std::vec;
use std::vec::Vec;

use bytes::Bytes;

use crate::config::{Config, Timing};
use crate::entry::{HardState, LogBase, Stored, TermRun};
use crate::input::{Fault, Input, Report};
use crate::membership::Membership;
use crate::message::{
    Envelope, FollowerState, GetCommits, GetCommitsReply, GetSnapshotReply, Header, Reply, Request,
};
use crate::node::Node;
use crate::outgoing::Outgoing;
use crate::snapshot::{Digest, Snapshot};
use crate::types::{
    ChainValue, ClusterId, LogIndex, NodeId, Position, RequestId, StorageId, Term, Time, Voter,
};

const LEADER: NodeId = NodeId(1);
const FOLLOWER: NodeId = NodeId(2);
const CLUSTER: ClusterId = ClusterId(1);

fn base(index: u64, term: u64) -> LogBase {
    let voter = |node| Voter {
        node: NodeId(node),
        storage: StorageId(u128::from(node)),
    };
    LogBase {
        position: Position::new(index, term),
        chain: ChainValue([0; 16]),
        membership: Membership::of_voters(CLUSTER, [1, 2, 3].map(voter).to_vec()),
    }
}

fn snapshot(index: u64, term: u64) -> Snapshot {
    Snapshot {
        base: base(index, term),
        digest: Digest([7; 32]),
        size: 4,
    }
}

/// Node 2, whose log is 90@4 to 100@5, as a follower of node 1 in term 6.
struct Case {
    node: Node,
    now: Time,
    requests: Vec<Envelope<Request>>,
    reports: Vec<Report>,
}

impl Case {
    fn start(applied: u64) -> Self {
        Self::start_with(applied, false)
    }

    /// With a hole before 90@4.
    fn start_behind_hole(applied: u64) -> Self {
        Self::start_with(applied, true)
    }

    fn start_with(applied: u64, behind_hole: bool) -> Self {
        let nodes = [LEADER, FOLLOWER, NodeId(3)];
        let config = Config::new(FOLLOWER, &nodes, Timing::default()).unwrap();
        let stored = Stored {
            boot_count: 1,
            hard_state: HardState {
                term: Term(5),
                cluster: Some(CLUSTER),
                ..HardState::default()
            },
            base: Some(base(90, 4)),
            last: Position::new(100, 5),
            terms: vec![TermRun {
                term: Term(5),
                first: LogIndex(91),
            }],
            behind_hole,
            ..Stored::empty(StorageId(2))
        };
        let mut case = Self {
            node: Node::new(config, stored, LogIndex(applied), 1, Time(0)),
            now: Time(0),
            requests: Vec::new(),
            reports: Vec::new(),
        };
        case.sync();
        let header = case.header(RequestId {
            number: 1,
            ..RequestId::default()
        });
        let message = Request::Coordinator;
        case.happens(Input::Request(Envelope { header, message }));
        case.sync();
        case
    }

    fn header(&self, request: RequestId) -> Header {
        Header {
            cluster: Some(CLUSTER),
            term: Term(6),
            from: LEADER,
            to: FOLLOWER,
            storage: StorageId(1),
            to_storage: None,
            request,
        }
    }

    fn happens(&mut self, input: Input) {
        self.now = self.now + Duration::from_micros(10);
        self.node.handle(self.now, input).expect("no fault");
        self.collect();
    }

    fn collect(&mut self) {
        for outgoing in self.node.take_outgoing() {
            if let Outgoing::Request(request) = outgoing {
                self.requests.push(request);
            }
        }
        self.reports.extend(self.node.take_reports());
    }

    /// Everything that was decided is written.
    fn sync(&mut self) {
        while let Some(batch) = self.node.take_batch() {
            let synced = batch.persist_with(|_| Ok::<(), Infallible>(()));
            let synced = synced.unwrap_or_else(|never| match never {});
            self.happens(Input::Synced(synced));
        }
    }

    /// The newest fetch that was sent.
    fn fetch(&self) -> (RequestId, GetCommits) {
        let fetches = self.requests.iter().rev().find_map(|r| match r.message {
            Request::GetCommits(fetch) => Some((r.header.request, fetch)),
            _ => None,
        });
        fetches.expect("it fetches")
    }

    fn answer_fetch(&mut self, request: RequestId, reply: GetCommitsReply) {
        let header = self.header(request);
        let message = Reply::GetCommits(reply);
        self.happens(Input::Reply(Envelope { header, message }));
    }

    fn offer(&mut self, snapshot: &Snapshot) {
        let (request, _) = self.fetch();
        let offer = GetCommitsReply::Snapshot(snapshot.clone().into());
        self.answer_fetch(request, offer);
    }

    /// All bytes arrive at once and are stored.
    fn download(&mut self, snapshot: &Snapshot) {
        let request = self.requests.last().expect("it requests a piece");
        assert!(matches!(request.message, Request::GetSnapshot(_)));
        let header = self.header(request.header.request);
        let message = Reply::GetSnapshot(GetSnapshotReply::Piece {
            offset: 0,
            bytes: Bytes::from_static(b"file"),
            leads: true,
        });
        self.happens(Input::Reply(Envelope { header, message }));
        self.happens(Input::PieceStored(snapshot.id(), Some(4)));
        let finish = Report::FinishDownload(snapshot.clone().into());
        assert!(self.reports.contains(&finish), "{:?}", self.reports);
    }

    fn wants_state(&self) -> bool {
        let wants = |report: &Report| matches!(report, Report::StateWanted(_));
        self.reports.iter().any(wants)
    }
}

#[test]
fn state_is_wanted_once_the_base_is_synced() {
    let mut case = Case::start(95);
    let ahead = snapshot(95, 6);
    let mut wrong = ahead.clone();
    wrong.base.position.index = LogIndex(95);
    // Below what is committed: of no use.
    case.offer(&wrong);
    assert!(case.node.download().is_none());

    let mut case = Case::start(92);
    case.offer(&ahead);
    case.download(&ahead);
    case.happens(Input::DownloadFinished(ahead.clone().into(), true));
    assert!(case.node.has_lost_state());
    assert_eq!(case.node.apply_limit(), LogIndex::ZERO);
    // The old log is synced beyond that index.
    assert_eq!(case.node.synced_position(), Position::new(100, 5));
    assert!(!case.wants_state());
    case.sync();
    assert!(case.wants_state());
    assert_eq!(case.fetch().1.state, FollowerState::Restoring);
    case.happens(Input::StateInstalled(ahead.base.position, true));
    assert!(!case.node.has_lost_state());
    assert_eq!(case.node.apply_limit(), LogIndex(95));
}

/// The response is about a log that is not there any more.
#[test]
fn late_divergence_after_the_log_was_replaced_is_ignored() {
    let mut case = Case::start(80);
    let (_, fetch) = case.fetch();
    let at_least = LogIndex(90);
    assert_eq!(fetch.state, FollowerState::Lost { at_least });
    let ahead = snapshot(105, 6);
    case.offer(&ahead);
    let (late, fetch) = case.fetch();
    assert_eq!(fetch.state, FollowerState::Restoring);
    assert_eq!(fetch.synced, Position::new(100, 5));
    case.requests
        .retain(|r| !matches!(r.message, Request::GetCommits(_)));
    case.download(&ahead);
    case.happens(Input::DownloadFinished(ahead.clone().into(), true));
    case.answer_fetch(late, GetCommitsReply::Diverging(Position::new(90, 4)));
    assert_eq!(case.node.log().last(), Position::new(105, 6));
    case.sync();
    assert_eq!(case.fetch().1.synced, Position::new(105, 6));
}

#[test]
fn log_that_holds_the_position_is_kept() {
    let mut case = Case::start(80);
    let held = snapshot(95, 5);
    case.offer(&held);
    let piece = |r: &Envelope<Request>| matches!(r.message, Request::GetSnapshot(_));
    case.requests.sort_by_key(piece);
    case.download(&held);
    case.happens(Input::DownloadFinished(held.clone().into(), true));
    assert!(case.wants_state());
    assert_eq!(case.node.log().last(), Position::new(100, 5));
    assert_eq!(case.node.commit_index(), LogIndex(95));
}

#[test]
fn damaged_download_is_fetched_again() {
    let mut case = Case::start(92);
    let ahead = snapshot(105, 6);
    case.offer(&ahead);
    case.download(&ahead);
    case.happens(Input::DownloadFinished(ahead.clone().into(), false));
    assert!(!case.node.has_lost_state());
    assert!(case.node.download().is_none());
    let (before, _) = case.fetch();
    case.now = case.now + Duration::from_millis(150);
    case.happens(Input::DeadlinePassed);
    assert_ne!(case.fetch().0, before);
}

/// A snapshot helps under any leader.
#[test]
fn offer_of_another_snapshot_does_not_end_a_download() {
    let mut case = Case::start(92);
    let first = snapshot(105, 6);
    case.offer(&first);
    let (before, _) = case.fetch();
    case.now = case.now + Duration::from_millis(150);
    case.happens(Input::DeadlinePassed);
    assert_ne!(case.fetch().0, before);
    case.offer(&snapshot(106, 6));
    let (downloaded, _) = case.node.download().unwrap();
    assert_eq!(downloaded, &first);
}

/// R24: what is in a hole is not known to be committed, so the fetches say so until it is.
#[test]
fn follower_behind_a_hole_is_not_counted_until_it_knows_that_it_is_committed() {
    let mut case = Case::start_behind_hole(80);
    assert!(case.node.has_lost_state());
    assert_eq!(case.node.commit_index(), LogIndex(80));
    let (request, fetch) = case.fetch();
    assert!(fetch.behind_hole);
    assert_eq!(fetch.synced, Position::new(100, 5));
    let entries = GetCommitsReply::Entries {
        after: LogIndex(100),
        commit_index: LogIndex(95),
        entries: Vec::new(),
    };
    case.answer_fetch(request, entries);
    assert_eq!(case.node.commit_index(), LogIndex(95));
    assert!(!case.fetch().1.behind_hole);
    // A state that reaches beyond the hole shows that it is committed.
    let case = Case::start_behind_hole(92);
    assert!(!case.node.has_lost_state());
    assert!(!case.fetch().1.behind_hole);
}

/// R24: the leader's log leaves this one before its base. That is a loss only if what is there was not
/// committed; otherwise committed entries are gone.
#[test]
fn truncation_to_within_a_hole_is_amnesia() {
    for (behind_hole, theirs) in [
        (true, Position::new(85, 5)),
        (true, Position::new(95, 3)),
        (false, Position::new(85, 5)),
        (false, Position::new(95, 3)),
    ] {
        let mut case = Case::start_with(80, behind_hole);
        let (request, _) = case.fetch();
        let header = case.header(request);
        let message = Reply::GetCommits(GetCommitsReply::Diverging(theirs));
        let reply = Input::Reply(Envelope { header, message });
        let fault = case.node.handle(case.now, reply).unwrap_err();
        match fault {
            Fault::TruncationInHole { common } if behind_hole => assert_eq!(common, theirs),
            Fault::CommittedEntryLost { .. } if !behind_hole => {}
            other => panic!("{theirs:?}: {other}"),
        }
    }
}
