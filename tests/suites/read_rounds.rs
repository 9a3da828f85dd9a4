//! Read rounds are sent to the voters that fetch, and to no other node (R14): one leader, observed by
//! its messages, with a follower that fetches and one that does not.

use std::time::Duration;

use chat_consensus::{
    Config, ElectionReply, Envelope, GetCommits, Header, HeartbeatReply, Input, LogIndex, Node,
    NodeId, Outgoing, ReadId, Reply, Request, RequestId, RunId, Time, Timing,
};

use chat_tests::message::Message;

use crate::elections::{CLUSTER, stored, voter};

const LEADER: NodeId = NodeId(1);
const FETCHING: NodeId = NodeId(2);
const IDLE: NodeId = NodeId(3);

struct Leader {
    node: Node,
    now: Time,
    fetches: u64,
}

impl Leader {
    /// Elected by the follower that will fetch; the other never replies.
    fn elected() -> Self {
        let config = Config::new(LEADER, &[LEADER, FETCHING, IDLE], Timing::default());
        let config = config.expect("the nodes are well configured");
        let node = Node::new(config, stored(LEADER), LogIndex(2), 7, Time(0));
        let mut leader = Self {
            node,
            now: Time(0),
            fetches: 0,
        };
        while !leader.node.leads(leader.node.term()) {
            leader.now = leader.node.next_deadline().max(leader.now);
            leader.step(Input::DeadlinePassed);
            // The pre-vote, then the vote.
            for _ in 0..2 {
                leader.receive_vote();
            }
        }
        leader
    }

    fn step(&mut self, input: Input) {
        self.node.handle(self.now, input).expect("no fault");
        while let Some(batch) = self.node.take_batch() {
            let synced = batch.persist_with(|_| Ok::<_, ()>(()));
            let synced = Input::Synced(synced.expect("no disk, no error"));
            self.node.handle(self.now, synced).expect("no fault");
        }
    }

    fn receive_vote(&mut self) {
        for sent in self.requests() {
            if let Request::Election(election) = &sent.message
                && sent.header.to == FETCHING
            {
                let granted = Reply::Election(ElectionReply {
                    kind: election.kind(),
                    granted: true,
                    leader: None,
                    remembered_block: chat_consensus::BlockNumber::UNKNOWN,
                    removed: false,
                });
                self.receives(sent.header.request, granted);
            }
        }
    }

    fn receive_fetch(&mut self) {
        self.receive_fetch_from(false);
    }

    fn receive_fetch_from(&mut self, behind_hole: bool) {
        self.fetches += 1;
        let request = RequestId {
            start: RunId::new(1, 1),
            number: self.fetches,
        };
        let fetch = Request::GetCommits(GetCommits {
            has_base: true,
            synced: self.node.synced_position(),
            commit_index: self.node.commit_index(),
            bytes_max: u32::MAX,
            repair_through: LogIndex::ZERO,
            state: chat_consensus::FollowerState::Whole,
            behind_hole,
            synced_block: chat_consensus::BlockNumber::UNKNOWN,
        });
        self.receives(request, fetch);
    }

    fn receives(&mut self, request: RequestId, message: impl Into<Message>) {
        let header = Header {
            cluster: Some(CLUSTER),
            term: self.node.term(),
            from: FETCHING,
            to: LEADER,
            storage: voter(FETCHING).storage,
            to_storage: None,
            request,
        };
        self.step(Message::input(header, message));
    }

    fn requests(&mut self) -> Vec<Envelope<Request>> {
        let sent = self.node.take_outgoing().into_iter();
        let messages = sent.filter_map(|outgoing| match outgoing {
            Outgoing::Request(request) => Some(request),
            Outgoing::Reply(_) | Outgoing::Entries(_) | Outgoing::Piece(_) => None,
        });
        messages.collect()
    }

    /// The receivers of the heartbeats sent now; the follower that fetches echoes its own.
    fn heartbeats(&mut self) -> Vec<NodeId> {
        let mut receivers = Vec::new();
        for sent in self.requests() {
            if let Request::Heartbeat(heartbeat) = sent.message {
                receivers.push(sent.header.to);
                if sent.header.to == FETCHING {
                    let echo = Reply::Heartbeat(HeartbeatReply {
                        round: heartbeat.round,
                        writing: false,
                    });
                    self.receives(sent.header.request, echo);
                }
            }
        }
        receivers
    }
}

#[test]
fn voter_that_does_not_fetch_gets_heartbeats_without_read_rounds() {
    let mut leader = Leader::elected();
    let (mut rounds_to_idle, mut rounds, mut heartbeats_to_idle) = (0, 0, 0);
    // Two seconds, a read every 10 ms, of which the first 800 ms are those of a new leader.
    for tick in 0..200_u64 {
        leader.now = leader.now + Duration::from_millis(10);
        leader.step(Input::DeadlinePassed);
        let by_timer = leader.heartbeats();
        heartbeats_to_idle += by_timer.iter().filter(|node| **node == IDLE).count();
        leader.receive_fetch();
        leader.step(Input::ReadRequested(ReadId(tick)));
        let by_read = leader.heartbeats();
        rounds += usize::from(by_read.contains(&FETCHING));
        rounds_to_idle += by_read.iter().filter(|node| **node == IDLE).count();
    }
    assert!(leader.node.leads(leader.node.term()), "it has a majority");
    assert!(rounds > 150, "{rounds} rounds");
    assert_eq!(rounds_to_idle, 0);
    assert!(heartbeats_to_idle >= 15, "{heartbeats_to_idle} heartbeats");
}

/// R24: a follower that may lack entries before the position that it names does not commit it.
#[test]
fn follower_behind_a_hole_commits_nothing() {
    let mut leader = Leader::elected();
    let before = leader.node.commit_index();
    let end = leader.node.synced_position().index;
    assert!(before < end, "{before} {end}");
    leader.receive_fetch_from(true);
    assert_eq!(leader.node.commit_index(), before);
    leader.receive_fetch_from(false);
    assert_eq!(leader.node.commit_index(), end);
}
