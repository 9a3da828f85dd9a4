//! When a leader makes a dead voter a learner, and when it does not (R21).

use std::time::Duration;

use bytes::Bytes;
use chat_consensus::{
    BlockNumber, ClusterId, Config, ElectionReply, Envelope, FollowerState, GetCommits, HardState,
    Header, HeartbeatReply, LogBase, LogIndex, Membership, NodeId, Reply, Request, RequestId,
    RunId, StorageId, Stored, Term, Time, Timing, Voter,
};
use chat_replication::{Autopilot, Effect, Event, Limits, PeerReply, PeerRequest, Replica, Start};

const OWN: NodeId = NodeId(1);
const CLUSTER: ClusterId = ClusterId(7);
const STEP: Duration = Duration::from_millis(50);
const DEAD_AFTER: Duration = Duration::from_secs(20);

fn disk(node: NodeId) -> StorageId {
    StorageId(u128::from(node.0))
}

/// Node 1 leads voters that do nothing but to keep up, as long as they are alive.
struct Leader {
    replica: Replica<()>,
    now: Time,
    nodes: Vec<NodeId>,
    alive: Vec<NodeId>,
    requests_made: u64,
}

impl Leader {
    fn of(voters: u64) -> Self {
        let nodes: Vec<NodeId> = (1..=voters).map(NodeId).collect();
        let voter = |node: &NodeId| Voter {
            node: *node,
            storage: disk(*node),
        };
        let membership = Membership::of_voters(CLUSTER, nodes.iter().map(voter).collect());
        let stored = Stored {
            boot_count: 1,
            hard_state: HardState {
                term: Term(1),
                cluster: Some(CLUSTER),
                ..HardState::default()
            },
            base: Some(LogBase::first(membership)),
            ..Stored::empty(disk(OWN))
        };
        let config = Config::new(OWN, &nodes, Timing::default()).expect("a good configuration");
        let autopilot = Some(Autopilot {
            dead_after: DEAD_AFTER,
            ..Autopilot::default()
        });
        let start = Start {
            autopilot,
            ..Start::new(1, Time(0), Limits::default())
        };
        let mut leader = Self {
            replica: Replica::new(config, stored, LogIndex::ZERO, start),
            now: Time(0),
            alive: nodes.clone(),
            nodes,
            requests_made: 0,
        };
        leader.run(Duration::from_secs(2));
        assert!(leader.replica.is_leading());
        leader
    }

    /// Time passes.
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now = self.now + STEP;
            self.happens(Event::DeadlinePassed);
            for node in self.alive.clone() {
                self.fetches(node);
            }
        }
    }

    fn happens(&mut self, event: Event<()>) {
        self.replica.handle(self.now, event).expect("no fault");
        for effect in self.replica.take_effects() {
            match effect {
                Effect::Persist(batch) => {
                    let synced = batch.persist_with(|_| Ok::<_, ()>(())).expect("written");
                    self.happens(Event::Synced(synced));
                }
                Effect::Apply(entries) => {
                    self.happens(Event::Applied(vec![Bytes::new(); entries.len()]));
                }
                Effect::Call(Envelope { header, message }) if self.alive.contains(&header.to) => {
                    self.answers(header, message);
                }
                _ => {}
            }
        }
    }

    fn answers(&mut self, asked: Header, message: PeerRequest) {
        let reply = match message {
            PeerRequest::Consensus(Request::Election(election)) => Reply::Election(ElectionReply {
                kind: election.kind(),
                granted: true,
                leader: None,
                remembered_block: BlockNumber::UNKNOWN,
                removed: false,
            }),
            PeerRequest::Consensus(Request::Heartbeat(heartbeat)) => {
                Reply::Heartbeat(HeartbeatReply {
                    round: heartbeat.round,
                    writing: false,
                })
            }
            _ => return,
        };
        let header = Header {
            from: asked.to,
            to: OWN,
            storage: disk(asked.to),
            ..asked
        };
        let message = PeerReply::Consensus(reply);
        self.happens(Event::Reply(Envelope { header, message }));
    }

    fn fetches(&mut self, node: NodeId) {
        if node == OWN || !self.replica.is_leading() {
            return;
        }
        self.requests_made += 1;
        let header = Header {
            cluster: Some(CLUSTER),
            term: self.replica.node().term(),
            from: node,
            to: OWN,
            storage: disk(node),
            to_storage: None,
            request: RequestId {
                start: RunId::new(1, 7),
                number: self.requests_made,
            },
        };
        let fetch = GetCommits {
            has_base: true,
            synced: self.replica.node().log().last(),
            commit_index: LogIndex::ZERO,
            bytes_max: 1_000,
            repair_through: LogIndex::ZERO,
            state: FollowerState::Whole,
            behind_hole: false,
            synced_block: BlockNumber::UNKNOWN,
        };
        let message = PeerRequest::Consensus(Request::GetCommits(fetch));
        self.happens(Event::Request(Envelope { header, message }));
    }

    fn kill(&mut self, nodes: &[u64]) {
        self.alive.retain(|node| !nodes.contains(&node.0));
    }

    fn revive(&mut self) {
        self.alive = self.nodes.clone();
    }

    #[track_caller]
    fn check_voters(&self, expected: &[u64]) {
        let members = self.replica.node().membership().expect("it has members");
        let voters: Vec<u64> = members.voters.iter().map(|voter| voter.node.0).collect();
        assert_eq!(voters, expected);
    }
}

#[test]
fn dead_voters_become_learners_one_after_the_other_and_return() {
    let mut leader = Leader::of(5);
    leader.kill(&[4, 5]);
    leader.run(DEAD_AFTER - Duration::from_secs(1));
    leader.check_voters(&[1, 2, 3, 4, 5]);
    leader.run(Duration::from_secs(2));
    // The pause is as long as a voter is silent, because that is shorter than a minute.
    leader.check_voters(&[1, 2, 3, 4]);
    leader.run(DEAD_AFTER - Duration::from_secs(3));
    leader.check_voters(&[1, 2, 3, 4]);
    leader.run(Duration::from_secs(4));
    leader.check_voters(&[1, 2, 3]);
    // Two of three: never fewer voters.
    leader.kill(&[3]);
    leader.run(3 * DEAD_AFTER);
    leader.check_voters(&[1, 2, 3]);
    leader.revive();
    leader.run(Duration::from_secs(2));
    leader.check_voters(&[1, 2, 3, 4, 5]);
}

#[test]
fn three_voters_stay_three() {
    let mut leader = Leader::of(3);
    leader.kill(&[2]);
    leader.run(3 * DEAD_AFTER);
    leader.check_voters(&[1, 2, 3]);
}

/// R10: a voter that only sends messages, because its disk hangs, helps with nothing.
#[test]
fn voter_that_echoes_and_does_not_fetch_is_dead() {
    let mut leader = Leader::of(5);
    let until = leader.now + DEAD_AFTER + Duration::from_secs(2);
    while leader.now < until {
        leader.now = leader.now + STEP;
        leader.happens(Event::DeadlinePassed);
        for node in [2, 3, 4].map(NodeId) {
            leader.fetches(node);
        }
    }
    leader.check_voters(&[1, 2, 3, 4]);
}

/// Nothing that arrived meanwhile was seen: otherwise a leader that was suspended would demote a voter that is
/// there.
#[test]
fn silence_while_the_leader_itself_was_paused_does_not_count() {
    let mut leader = Leader::of(5);
    leader.kill(&[5]);
    leader.run(DEAD_AFTER - Duration::from_secs(1));
    let term = leader.replica.node().term();
    // Longer than an election timeout, and shorter than its check-quorum interval.
    leader.now = leader.now + Duration::from_millis(380);
    leader.run(Duration::from_secs(3));
    assert!(leader.replica.node().leads(term), "it leads all the time");
    leader.check_voters(&[1, 2, 3, 4, 5]);
    leader.run(DEAD_AFTER);
    leader.check_voters(&[1, 2, 3, 4]);
}

/// When one returns, the others may be about to.
#[test]
fn return_of_a_voter_delays_the_next_change() {
    let mut leader = Leader::of(5);
    leader.kill(&[4, 5]);
    leader.run(DEAD_AFTER - Duration::from_secs(2));
    leader.alive.push(NodeId(4));
    leader.run(Duration::from_secs(9));
    leader.check_voters(&[1, 2, 3, 4, 5]);
    leader.run(Duration::from_secs(2));
    leader.check_voters(&[1, 2, 3, 4]);
}
