//! How long two survivors of three take to elect one of them: thousands of small races between two
//! shipped nodes, without disks, clients or faults (R7, R8, R17).
//!
//! The third node is unreachable, or its port is closed. The time depends on which survivor detects
//! that first, and on what happens when both do within the time of one message.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use chat_consensus::{
    ClusterId, Config, Envelope, GetCommitsReply, HardState, Header, Input, LogBase, LogIndex,
    Membership, Node, NodeId, Outgoing, Position, Reply, Request, RequestId, RoleName, RunId,
    StorageId, Stored, Term, TermRun, Time, Timing, UnsyncedBatch, Voter,
};
use chat_tests::message::Message;
use fastrand::Rng;

const LEADER: NodeId = NodeId(1);
const SURVIVORS: [NodeId; 2] = [NodeId(2), NodeId(3)];
pub(crate) const CLUSTER: ClusterId = ClusterId(9);
pub(crate) const TERM: Term = Term(2);
/// The end of the log of every node.
pub(crate) const END: Position = Position {
    term: TERM,
    index: LogIndex(2),
};
/// A message takes at least so long, in microseconds, and a sync.
const MESSAGE_MIN: u64 = 100;
const SYNC: std::ops::Range<u64> = 200..3_000;

pub(crate) fn voter(node: NodeId) -> Voter {
    Voter {
        node,
        storage: StorageId(u128::from(node.0)),
    }
}

pub(crate) fn stored(node: NodeId) -> Stored {
    let voters = [LEADER, SURVIVORS[0], SURVIVORS[1]].map(voter);
    Stored {
        storage: voter(node).storage,
        boot_count: 0,
        hard_state: HardState {
            term: TERM,
            vote: Some(voter(LEADER)),
            cluster: Some(CLUSTER),
            ..HardState::default()
        },
        base: Some(LogBase::first(Membership::of_voters(
            CLUSTER,
            voters.to_vec(),
        ))),
        last: END,
        synced_block: chat_consensus::BlockNumber::UNKNOWN,
        terms: vec![
            TermRun {
                term: Term(1),
                first: LogIndex(1),
            },
            TermRun {
                term: TERM,
                first: LogIndex(2),
            },
        ],
        changes: Vec::new(),
        behind_hole: false,
    }
}

/// A scheduled event of one of the survivors.
enum Event {
    Receives(Input),
    Syncs(UnsyncedBatch),
    FindsPortClosed,
    Wakes,
}

struct Race {
    nodes: Vec<Node>,
    random: Rng,
    /// The longest time a message takes, in microseconds.
    message_max: u64,
    now: u64,
    events: Vec<Option<(usize, Event)>>,
    queue: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Race {
    /// Both survivors follow the leader; the first had contact to it at 0, the second `skew` later, and
    /// neither has any after that.
    fn begin(seed: u64, message_max: u64, skew: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let configured = [LEADER, SURVIVORS[0], SURVIVORS[1]];
        let nodes = SURVIVORS.map(|id| {
            let config = Config::new(id, &configured, Timing::default())
                .expect("the nodes are well configured");
            Node::new(config, stored(id), LogIndex(2), random.u64(..), Time(0))
        });
        let mut race = Self {
            nodes: nodes.into(),
            random,
            message_max,
            now: 0,
            events: Vec::new(),
            queue: BinaryHeap::new(),
        };
        let first = race.random.usize(0..2);
        race.receive_from_leader(first);
        race.now = skew;
        race.receive_from_leader(1 - first);
        race
    }

    /// A survivor receives the leader's announcement and an empty response to its fetch, at once.
    fn receive_from_leader(&mut self, node: usize) {
        self.step(node, Input::DeadlinePassed);
        if let Some(batch) = self.nodes[node].take_batch() {
            let synced = batch
                .persist_with(|_| Ok::<_, ()>(()))
                .expect("no disk, no error");
            self.step(node, Input::Synced(synced));
        }
        let request = RequestId {
            start: RunId::new(1, 1),
            number: self.now + 1,
        };
        let announced = self.message_of_leader(node, request, Request::Coordinator);
        self.step(node, announced);
        let sent = self.nodes[node].take_outgoing();
        let fetch = sent.iter().find_map(|outgoing| match outgoing {
            Outgoing::Request(Envelope {
                header,
                message: Request::GetCommits(_),
            }) => Some(header.request),
            _ => None,
        });
        let reply = Reply::GetCommits(GetCommitsReply::Entries {
            after: END.index,
            commit_index: END.index,
            entries: Vec::new(),
        });
        let answered = self.message_of_leader(node, fetch.expect("it fetches at once"), reply);
        self.step(node, answered);
        // What it sends to the leader from here on is lost.
        drop(self.nodes[node].take_outgoing());
        self.wake_later(node);
    }

    fn message_of_leader(
        &self,
        node: usize,
        request: RequestId,
        message: impl Into<Message>,
    ) -> Input {
        let header = Header {
            cluster: Some(CLUSTER),
            term: TERM,
            from: LEADER,
            to: SURVIVORS[node],
            storage: voter(LEADER).storage,
            to_storage: None,
            request,
        };
        Message::input(header, message)
    }

    fn step(&mut self, node: usize, input: Input) {
        let now = Time(self.now);
        self.nodes[node].handle(now, input).expect("no fault");
    }

    fn push(&mut self, at: u64, node: usize, event: Event) {
        self.queue.push(Reverse((at, self.events.len())));
        self.events.push(Some((node, event)));
    }

    fn wake_later(&mut self, node: usize) {
        let at = self.nodes[node].next_deadline().0.max(self.now + 1);
        self.push(at, node, Event::Wakes);
    }

    /// When one of them leads, in microseconds; `None` when none does within three seconds.
    fn run(mut self) -> Option<u64> {
        while let Some(Reverse((at, place))) = self.queue.pop() {
            self.now = at;
            if at > 3_000_000 {
                return None;
            }
            let (node, event) = self.events[place].take().expect("it happens once");
            match event {
                Event::Receives(message) => self.step(node, message),
                Event::Syncs(batch) => {
                    let synced = batch
                        .persist_with(|_| Ok::<_, ()>(()))
                        .expect("no disk, no error");
                    self.step(node, Input::Synced(synced));
                }
                Event::FindsPortClosed => self.step(node, Input::ConnectionRefused(LEADER)),
                Event::Wakes => self.step(node, Input::DeadlinePassed),
            }
            if self.nodes[node].role() == RoleName::Leader {
                return Some(at);
            }
            self.execute_effects(node);
        }
        None
    }

    fn execute_effects(&mut self, node: usize) {
        for outgoing in self.nodes[node].take_outgoing() {
            let receiver = outgoing.header().to;
            let message = match outgoing {
                Outgoing::Request(request) => Input::Request(request),
                Outgoing::Reply(reply) => Input::Reply(reply),
                Outgoing::Entries(_) | Outgoing::Piece(_) => continue,
            };
            let to = SURVIVORS.iter().position(|id| *id == receiver);
            if let Some(to) = to {
                let delay = self.random.u64(MESSAGE_MIN..=self.message_max);
                self.push(self.now + delay, to, Event::Receives(message));
            }
        }
        drop(self.nodes[node].take_reports());
        if let Some(batch) = self.nodes[node].take_batch() {
            let takes = if batch.writes().is_empty() {
                1
            } else {
                self.random.u64(SYNC)
            };
            self.push(self.now + takes, node, Event::Syncs(batch));
        }
        self.wake_later(node);
    }
}

/// Ascending times of many races, each from the last contact to the leader.
fn times_after_unreachable_leader(message_max: u64, skews: impl Iterator<Item = u64>) -> Vec<u64> {
    let races = skews.enumerate().map(|(seed, skew)| {
        let elected = Race::begin(seed as u64, message_max, skew).run();
        elected.unwrap_or_else(|| panic!("seed {seed}, skew {skew} us: no node leads")) - skew
    });
    let mut times: Vec<u64> = races.collect();
    times.sort_unstable();
    times
}

fn at(ascending: &[u64], per_thousand: usize) -> Duration {
    let place = (ascending.len() * per_thousand).div_ceil(1_000).max(1) - 1;
    Duration::from_micros(ascending[place])
}

/// The timer is random in [400, 600] ms; the rest are messages and syncs. A split vote would cost
/// another 400 ms at least.
#[test]
fn survivors_of_an_unreachable_leader_elect_within_one_election_timeout() {
    for message_max in [300, 1_000, 2_500, 10_000] {
        for skew in [0, 1_000, 10_000, 50_000, 100_000] {
            let times =
                times_after_unreachable_leader(message_max, std::iter::repeat_n(skew, 1_000));
            let worst = at(&times, 1_000);
            let limit =
                Duration::from_millis(600) + Duration::from_micros(message_max * 12 + 12_000);
            assert!(
                worst <= limit,
                "messages of {message_max} us, skew {skew} us: p50 {:?}, worst {worst:?}, limit {limit:?}",
                at(&times, 500)
            );
        }
    }
}

/// Skews of 0 to 100 ms between the survivors, as a heartbeat interval makes them.
#[test]
fn survivors_of_an_unreachable_leader_elect_when_the_first_timer_fires() {
    let times =
        times_after_unreachable_leader(2_500, (0..=100).cycle().take(4_000).map(|ms| ms * 1_000));
    let (median, p99) = (at(&times, 500), at(&times, 990));
    assert!(median <= Duration::from_millis(480), "p50 {median:?}");
    assert!(p99 <= Duration::from_millis(620), "p99 {p99:?}");
}

/// Both detect the closed port within a few milliseconds of each other.
#[test]
fn survivors_of_a_killed_leader_elect_within_a_few_messages() {
    let races = (0..4_000).map(|seed| {
        let mut race = Race::begin(seed, 800, 0);
        let noticed = race.random.u64(0..3_000);
        race.push(1_000, 0, Event::FindsPortClosed);
        race.push(1_000 + noticed, 1, Event::FindsPortClosed);
        let elected = race.run();
        elected.unwrap_or_else(|| panic!("seed {seed}: no node leads")) - 1_000
    });
    let mut times: Vec<u64> = races.collect();
    times.sort_unstable();
    let (median, p99) = (at(&times, 500), at(&times, 990));
    assert!(median <= Duration::from_millis(9), "p50 {median:?}");
    assert!(p99 <= Duration::from_millis(25), "p99 {p99:?}");
}
