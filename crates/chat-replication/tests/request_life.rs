//! The life of requests in a replica that is its cluster's only voter: what is shared, what is
//! refused, and what ends at a deadline (R13, R14). Several replicas are the simulator's business.

use std::time::Duration;

use bytes::Bytes;
use chat_consensus::{
    Config, Envelope, Header, LogIndex, MembershipEdit, NodeAddresses, NodeId, RequestId,
    StorageId, Stored, Time, Timing,
};
use chat_replication::{
    Effect, Event, Limits, MembersTicket, PeerReply, PeerRequest, PreparationId, Prepared,
    ProposalTicket, ProposeError, ProposeOutcome, Proposed, ReadError, ReadTicket, Refusal,
    Replica, Start,
};

type Completed = (ProposalTicket, Result<Proposed, ProposeError>);
type Read = (ReadTicket, Result<LogIndex, ReadError>);

/// The replica and what it asked for.
struct Alone {
    replica: Replica<()>,
    now: Time,
    /// Whether applying and publishing end.
    machine_runs: bool,
    applying: Option<usize>,
    publishings: usize,
    preparations: Vec<(PreparationId, Bytes)>,
    completed: Vec<Completed>,
    reads: Vec<Read>,
    replies: Vec<PeerReply>,
}

impl Alone {
    /// It leads a cluster of one, and everything is applied and published.
    fn start(limits: Limits) -> Self {
        let node = NodeId(1);
        let config = Config::new(node, &[node], Timing::default()).expect("one node is enough");
        let config = config.allow_bootstrap(true);
        let start = Start::new(1, Time(0), limits);
        let stored = Stored::empty(StorageId(1));
        let mut alone = Self {
            replica: Replica::new(config, stored, LogIndex::ZERO, start),
            now: Time(0),
            machine_runs: true,
            applying: None,
            publishings: 0,
            preparations: Vec::new(),
            completed: Vec::new(),
            reads: Vec::new(),
            replies: Vec::new(),
        };
        alone.pass(Duration::from_secs(1));
        assert!(alone.replica.is_leading());
        alone.publishings = 0;
        alone
    }

    fn happens(&mut self, event: Event<()>) {
        self.replica.handle(self.now, event).expect("no fault");
        let mut effects = self.replica.take_effects();
        if matches!(effects.first(), Some(Effect::Prepare(..))) {
            effects.append(&mut self.replica.take_effects());
        }
        for effect in effects {
            match effect {
                Effect::Persist(batch) => {
                    let synced = batch.persist_with(|_| Ok::<_, ()>(())).expect("written");
                    self.happens(Event::Synced(synced));
                }
                Effect::Apply(entries) => {
                    self.applying = Some(entries.len());
                    self.end_applying();
                }
                Effect::Publish => {
                    self.publishings += 1;
                    self.happens(Event::Published);
                }
                Effect::Prepare(id, request) => self.preparations.push((id, request)),
                Effect::Complete(ticket, result) => self.completed.push((ticket, result)),
                Effect::CompleteRead(ticket, result) => self.reads.push((ticket, result)),
                Effect::Reply(reply) => self.replies.push(reply.message),
                // There is no peer, and the log is in memory.
                _ => {}
            }
        }
    }

    fn end_applying(&mut self) {
        if self.machine_runs
            && let Some(entries) = self.applying.take()
        {
            self.happens(Event::Applied(vec![Bytes::from("done"); entries]));
        }
    }

    fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.replica.next_deadline() <= until {
            self.now = self.replica.next_deadline().max(self.now);
            self.happens(Event::DeadlinePassed);
        }
        self.now = until;
    }

    fn propose(&mut self, ticket: u64, bytes: usize, within: Duration) {
        self.happens(Event::Propose {
            ticket: ProposalTicket(ticket),
            request: Bytes::from(vec![b'x'; bytes]),
            deadline: self.now + within,
        });
    }

    fn read(&mut self, ticket: u64, within: Duration) {
        self.happens(Event::Read {
            ticket: ReadTicket(ticket),
            deadline: self.now + within,
        });
    }

    fn prepare_all(&mut self) {
        for (id, command) in std::mem::take(&mut self.preparations) {
            let make_reply = ();
            let prepared = Prepared::Append {
                command,
                make_reply,
            };
            self.happens(Event::Prepared(id, prepared));
        }
    }

    fn errors(&self) -> Vec<ProposeError> {
        let results = self.completed.iter();
        results.filter_map(|(_, r)| r.clone().err()).collect()
    }
}

const SOON: Duration = Duration::from_secs(1);

/// R14, C6: a publishing for each reader would cost more than what it publishes.
#[test]
fn reads_that_wait_together_share_one_publishing() {
    let mut alone = Alone::start(Limits::default());
    alone.machine_runs = false;
    alone.propose(1, 10, SOON);
    alone.prepare_all();
    for ticket in 0..1_000 {
        alone.read(ticket, SOON);
    }
    assert!(alone.reads.is_empty(), "the entry is not applied");
    alone.machine_runs = true;
    alone.end_applying();
    alone.pass(Duration::from_millis(10));
    assert_eq!(alone.reads.len(), 1_000);
    assert!(alone.reads.iter().all(|(_, result)| result.is_ok()));
    assert_eq!(alone.publishings, 1);
}

/// R14: nothing is published again for a read of what readers see already.
#[test]
fn read_of_published_index_needs_no_publishing() {
    let mut alone = Alone::start(Limits::default());
    alone.read(1, SOON);
    assert_eq!(alone.reads.len(), 1);
    assert_eq!(alone.publishings, 0);
}

/// S-A10: reads are shed.
#[test]
fn reads_beyond_the_limit_are_refused_and_batches_continue() {
    let mut limits = Limits::default();
    limits.waiting_requests_max = 2;
    let mut alone = Alone::start(limits);
    alone.machine_runs = false;
    alone.propose(1, 10, SOON);
    alone.prepare_all();
    for ticket in 0..100 {
        alone.read(ticket, SOON);
    }
    assert_eq!(alone.reads.len(), 98);
    let overloaded = |(_, result): &Read| *result == Err(ReadError::Overloaded);
    assert!(alone.reads.iter().all(overloaded));
    alone.machine_runs = true;
    alone.end_applying();
    alone.pass(Duration::from_millis(10));
    assert_eq!(alone.reads.len(), 100);
    assert_eq!(alone.completed.len(), 1);
}

/// E-11: what was confirmed and not applied is no fault of the leader.
#[test]
fn confirmed_read_at_its_deadline_was_not_applied() {
    let mut alone = Alone::start(Limits::default());
    alone.machine_runs = false;
    alone.propose(1, 10, SOON);
    alone.prepare_all();
    alone.read(1, Duration::from_millis(20));
    alone.pass(Duration::from_millis(30));
    assert_eq!(alone.reads, [(ReadTicket(1), Err(ReadError::NotApplied))]);
}

/// R13: a command that is prepared too late is not appended, and its client has been answered so.
#[test]
fn proposal_prepared_after_its_deadline_is_not_appended() {
    let mut alone = Alone::start(Limits::default());
    let end = alone.replica.node().log().last();
    alone.propose(1, 10, Duration::from_millis(20));
    alone.pass(Duration::from_millis(30));
    let not_appended = ProposeError::NotAppended { leader_id: Some(1) };
    assert_eq!(alone.errors(), [not_appended]);
    alone.prepare_all();
    assert_eq!(alone.replica.node().log().last(), end);
    assert_eq!(alone.completed.len(), 1);
}

/// R13: after it was appended, only "unknown" is true at the deadline.
#[test]
fn appended_proposal_is_unknown_at_its_deadline() {
    let mut alone = Alone::start(Limits::default());
    alone.machine_runs = false;
    alone.propose(1, 10, Duration::from_millis(20));
    alone.prepare_all();
    alone.pass(Duration::from_millis(30));
    assert_eq!(alone.errors(), [ProposeError::Unknown]);
    alone.machine_runs = true;
    alone.end_applying();
    assert_eq!(alone.completed.len(), 1, "it is completed once");
}

/// E-3: bytes are limited from the preparation on, and given back.
#[test]
fn bytes_that_are_prepared_or_wait_are_limited() {
    let mut limits = Limits::default();
    limits.waiting_bytes_max = 1_000;
    limits.command_bytes_max = 1_000;
    let mut alone = Alone::start(limits);
    for ticket in 0..3 {
        alone.propose(ticket, 400, SOON);
    }
    assert_eq!(alone.errors(), [ProposeError::Overloaded]);
    alone.propose(3, 1_001, SOON);
    let too_large = ProposeError::TooLarge { bytes_max: 1_000 };
    assert_eq!(alone.errors()[1], too_large);
    alone.prepare_all();
    alone.pass(Duration::from_millis(10));
    alone.propose(4, 900, SOON);
    alone.prepare_all();
    assert_eq!(alone.errors().len(), 2, "the bytes are given back");
}

/// A preparation that failed appends nothing and is completed.
#[test]
fn failed_preparation_is_completed_as_unknown() {
    let mut alone = Alone::start(Limits::default());
    alone.propose(1, 10, SOON);
    let (id, _) = alone.preparations.remove(0);
    alone.happens(Event::Prepared(id, Prepared::Failed));
    assert_eq!(alone.errors(), [ProposeError::Unknown]);
}

/// A client that is gone is completed no more; what it proposed may take effect.
#[test]
fn abandoned_proposal_is_not_completed() {
    let mut alone = Alone::start(Limits::default());
    alone.propose(1, 10, SOON);
    alone.happens(Event::ProposalAbandoned(ProposalTicket(1)));
    alone.prepare_all();
    alone.pass(SOON * 2);
    assert!(alone.completed.is_empty());
}

/// R13: a replica that is shut down has answered what it never appended as that.
#[test]
fn shutdown_ends_what_was_not_appended() {
    let mut alone = Alone::start(Limits::default());
    alone.machine_runs = false;
    alone.propose(1, 10, SOON);
    alone.prepare_all();
    alone.propose(2, 10, SOON);
    let last = alone.replica.shut_down();
    assert!(
        matches!(
            last[..],
            [Effect::Complete(
                ProposalTicket(2),
                Err(ProposeError::Stopped)
            )]
        ),
        "{last:?}"
    );
}

// A peer that forwards what its own limit should have refused: nothing of it is prepared.
#[test]
fn forwarded_request_beyond_the_limit_is_refused_before_it_is_prepared() {
    let mut limits = Limits::default();
    limits.command_bytes_max = 100;
    let mut alone = Alone::start(limits);
    let addresses = NodeAddresses {
        peer: "peer".into(),
        client: "".into(),
    };
    let add = MembershipEdit::Add(NodeId(2), addresses);
    alone.happens(Event::ChangeMembers(MembersTicket(1), add));
    let membership = alone.replica.node().membership().expect("it leads").clone();
    for (bytes, is_refused) in [(100, false), (101, true)] {
        let header = Header {
            cluster: Some(membership.cluster),
            term: alone.replica.node().term(),
            from: NodeId(2),
            to: NodeId(1),
            storage: StorageId(2),
            to_storage: None,
            request: RequestId::default(),
        };
        let request = Bytes::from(vec![b'x'; bytes]);
        let message = PeerRequest::Propose { request };
        alone.happens(Event::Request(Envelope { header, message }));
        assert_eq!(alone.preparations.pop().is_none(), is_refused, "{bytes}");
        let too_large = PeerReply::Propose(ProposeOutcome::NotAppended(Refusal::TooLarge));
        let refused = alone.replies.pop() == Some(too_large);
        assert_eq!(refused, is_refused, "{bytes}");
    }
}
