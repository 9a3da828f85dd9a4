//! What a leader reads of its log for a follower that is far behind: one read at a time for each.

use bytes::Bytes;
use chat_consensus::{
    BlockNumber, ClusterId, Config, Entry, Envelope, FollowerState, GetCommits, GetCommitsReply,
    HardState, Header, LogBase, LogIndex, Membership, NodeId, Payload, Position, Reply, Request,
    RequestId, RunId, StorageId, Stored, Term, TermRun, Time, Timing, Voter,
};
use chat_replication::{Effect, Event, Limits, LogReadId, PeerReply, PeerRequest, Replica, Start};

const LEADER: NodeId = NodeId(1);
const FOLLOWER: NodeId = NodeId(2);
const CLUSTER: ClusterId = ClusterId(7);
const DISK: StorageId = StorageId(7);

/// The only voter, with more in its log than in its memory, and what it asks for.
struct Leader {
    replica: Replica<()>,
    now: Time,
    reads: Vec<LogReadId>,
    answered: Vec<u64>,
}

impl Leader {
    fn start() -> Self {
        let config = Config::new(LEADER, &[LEADER, FOLLOWER], Timing::default());
        let config = config.expect("a good configuration");
        let leader = Voter {
            node: LEADER,
            storage: DISK,
        };
        let membership = Membership::of(CLUSTER, vec![leader], vec![FOLLOWER]);
        let stored = Stored {
            boot_count: 1,
            hard_state: HardState {
                term: Term(1),
                cluster: Some(CLUSTER),
                ..HardState::default()
            },
            base: Some(LogBase::first(membership)),
            last: Position::new(100, 1),
            terms: vec![TermRun {
                term: Term(1),
                first: LogIndex(1),
            }],
            ..Stored::empty(DISK)
        };
        let start = Start::new(1, Time(0), Limits::default());
        let mut leader = Self {
            replica: Replica::new(config, stored, LogIndex(100), start),
            now: Time(0),
            reads: Vec::new(),
            answered: Vec::new(),
        };
        while !leader.replica.is_leading() {
            leader.now = leader.replica.next_deadline();
            leader.happens(Event::DeadlinePassed);
        }
        leader
    }

    fn happens(&mut self, event: Event<()>) {
        self.replica.handle(self.now, event).expect("no fault");
        for effect in self.replica.take_effects() {
            match effect {
                Effect::Persist(batch) => {
                    let synced = batch.persist_with(|_| Ok::<_, ()>(())).expect("written");
                    self.happens(Event::Synced(synced));
                }
                Effect::ReadEntries { id, .. } => self.reads.push(id),
                Effect::Apply(entries) => {
                    self.happens(Event::Applied(vec![Bytes::new(); entries.len()]));
                }
                Effect::Reply(Envelope {
                    header,
                    message: PeerReply::Consensus(Reply::GetCommits(reply)),
                }) => {
                    assert!(matches!(reply, GetCommitsReply::Entries { .. }));
                    self.answered.push(header.request.number);
                }
                _ => {}
            }
        }
    }

    /// The follower asks for everything from the beginning.
    fn is_asked(&mut self, number: u64) {
        let header = Header {
            cluster: Some(CLUSTER),
            term: self.replica.node().term(),
            from: FOLLOWER,
            to: LEADER,
            storage: StorageId(8),
            to_storage: None,
            request: RequestId {
                start: RunId::new(1, 7),
                number,
            },
        };
        let fetch = GetCommits {
            has_base: true,
            synced: Position::ZERO,
            commit_index: LogIndex::ZERO,
            bytes_max: u32::MAX,
            repair_through: LogIndex::ZERO,
            state: FollowerState::Whole,
            behind_hole: false,
            synced_block: BlockNumber::UNKNOWN,
        };
        let message = PeerRequest::Consensus(Request::GetCommits(fetch));
        self.happens(Event::Request(Envelope { header, message }));
    }

    fn reads_one_entry(&mut self, id: LogReadId) {
        let entry = Entry {
            position: Position::new(1, 1),
            payload: Payload::Empty,
        };
        self.happens(Event::EntriesRead(id, vec![entry]));
    }
}

/// R8: a follower that has given up a fetch asks again; the reads for what it gave up would only
/// keep the disk from the writes.
#[test]
fn newer_fetch_replaces_the_one_that_waits_for_the_disk() {
    let mut leader = Leader::start();
    for number in 1..=1_000 {
        leader.is_asked(number);
    }
    assert_eq!(leader.reads.len(), 1, "one read for one follower");
    leader.reads_one_entry(leader.reads[0]);
    assert_eq!(leader.answered, [1]);
    assert_eq!(leader.reads.len(), 2, "then the newest");
    leader.reads_one_entry(leader.reads[1]);
    assert_eq!(leader.answered, [1, 1_000]);
    assert_eq!(leader.reads.len(), 2);
}
