//! Between the wire and the protocol's types. All of a peer's input is checked here.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use chat_consensus::{
    BOOT_COUNT_MAX, ClusterId, Election, ElectionKind, ElectionReply, Entry, GetCommits,
    GetCommitsReply, Header, Heartbeat, LOG_INDEX_MAX, LogIndex, Membership, Message, NodeId,
    Payload, Position, RequestId, RunId, StorageId, TERM_MAX, Term, Voter,
};
use chat_proto::replication::v1 as wire;
use tonic::Status;

use crate::peer_message::{PeerBody, PeerMessage, ProposeOutcome, Refusal};

/// One message of one RPC: its wire form, and what it means.
pub(super) trait Wire: Sized {
    /// The message it stands for, or what is wrong with it.
    fn read(self) -> Result<PeerMessage, Status>;

    /// The wire form of `message`; `None` when it belongs to another RPC.
    fn write(message: PeerMessage) -> Option<Self>;
}

fn malformed(what: &str) -> Status {
    Status::invalid_argument(format!("malformed peer message: {what}"))
}

fn id_from(bytes: &[u8], field: &str) -> Result<u128, Status> {
    let bytes = <[u8; 16]>::try_from(bytes);
    bytes
        .map(u128::from_be_bytes)
        .map_err(|error| malformed(&format!("{field} must have 16 bytes ({error})")))
}

fn id_bytes(id: u128) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

fn node_or_none(id: u64) -> Option<NodeId> {
    (id != 0).then_some(NodeId(id))
}

fn none_or_node(node: Option<NodeId>) -> u64 {
    node.map_or(0, |node| node.0)
}

pub(super) fn header_from(header: Option<wire::Header>) -> Result<Header, Status> {
    let header = header.ok_or_else(|| malformed("no header"))?;
    let cluster = if header.cluster_id.is_empty() {
        None
    } else {
        Some(ClusterId(id_from(&header.cluster_id, "cluster_id")?))
    };
    Ok(Header {
        cluster,
        term: term_from(header.term)?,
        from: NodeId(header.from),
        to: NodeId(header.to),
        storage: StorageId(id_from(&header.storage_id, "storage_id")?),
        request: RequestId {
            start: run_from(header.request_start)?,
            number: header.request_number,
        },
    })
}

pub(super) fn header_to(header: &Header) -> Option<wire::Header> {
    Some(wire::Header {
        cluster_id: header
            .cluster
            .map_or_else(Bytes::new, |cluster| id_bytes(cluster.0)),
        term: header.term.0,
        from: header.from.0,
        to: header.to.0,
        storage_id: id_bytes(header.storage.0),
        request_start: header.request.start.0,
        request_number: header.request.number,
    })
}

/// Numbers near the end of their range come from no honest peer, and must not get further (R4).
fn term_from(term: u64) -> Result<Term, Status> {
    if term > TERM_MAX.0 {
        return Err(malformed("a term is above 2^48"));
    }
    Ok(Term(term))
}

fn index_from(index: u64) -> Result<LogIndex, Status> {
    if index > LOG_INDEX_MAX.0 {
        return Err(malformed("an index is above 2^62"));
    }
    Ok(LogIndex(index))
}

fn counter_from(counter: u64) -> Result<u64, Status> {
    if counter > BOOT_COUNT_MAX {
        return Err(malformed("a start counter is above 2^31"));
    }
    Ok(counter)
}

fn run_from(run: u64) -> Result<RunId, Status> {
    counter_from(RunId(run).counter())?;
    Ok(RunId(run))
}

fn position_from(position: Option<wire::Position>) -> Result<Position, Status> {
    let position = position.ok_or_else(|| malformed("no position"))?;
    Ok(Position {
        index: index_from(position.index)?,
        term: term_from(position.term)?,
    })
}

fn position_to(position: Position) -> wire::Position {
    wire::Position {
        index: position.index.0,
        term: position.term.0,
    }
}

fn formation_from(membership: wire::Membership) -> Result<Membership, Status> {
    let voters = membership.voters.into_iter().map(|voter| {
        Ok(Voter {
            node: NodeId(voter.node_id),
            storage: StorageId(id_from(&voter.storage_id, "voter")?),
        })
    });
    let membership = Membership {
        cluster: ClusterId(id_from(&membership.cluster_id, "membership")?),
        voters: voters.collect::<Result<_, Status>>()?,
    };
    if membership.is_valid() {
        Ok(membership)
    } else {
        Err(malformed("voters must be ascending and not empty"))
    }
}

fn formation_to(membership: Membership) -> wire::Membership {
    let voters = membership.voters.into_iter().map(|voter| wire::Voter {
        node_id: voter.node.0,
        storage_id: id_bytes(voter.storage.0),
    });
    wire::Membership {
        cluster_id: id_bytes(membership.cluster.0),
        voters: voters.collect(),
    }
}

fn entry_from(entry: wire::Entry) -> Result<Entry, Status> {
    use wire::entry::Payload as Said;
    let payload = match entry
        .payload
        .ok_or_else(|| malformed("an entry without payload"))?
    {
        Said::Empty(_) => Payload::Empty,
        Said::Membership(membership) => Payload::Membership(formation_from(membership)?),
        Said::Command(command) => Payload::Command(command),
    };
    Ok(Entry {
        position: position_from(entry.position)?,
        payload,
    })
}

fn entry_to(entry: Entry) -> wire::Entry {
    use wire::entry::Payload as Said;
    let payload = match entry.payload {
        Payload::Empty => Said::Empty(true),
        Payload::Membership(membership) => Said::Membership(formation_to(membership)),
        Payload::Command(command) => Said::Command(command),
    };
    wire::Entry {
        position: Some(position_to(entry.position)),
        payload: Some(payload),
    }
}

fn kind_from(kind: i32) -> Result<ElectionKind, Status> {
    match wire::ElectionKind::try_from(kind) {
        Ok(wire::ElectionKind::Bootstrap) => Ok(ElectionKind::Bootstrap),
        Ok(wire::ElectionKind::PreVote) => Ok(ElectionKind::PreVote),
        Ok(wire::ElectionKind::Vote) => Ok(ElectionKind::Vote),
        Ok(wire::ElectionKind::Unspecified) | Err(_) => Err(malformed("unknown election kind")),
    }
}

fn kind_to(kind: ElectionKind) -> i32 {
    let kind = match kind {
        ElectionKind::Bootstrap => wire::ElectionKind::Bootstrap,
        ElectionKind::PreVote => wire::ElectionKind::PreVote,
        ElectionKind::Vote => wire::ElectionKind::Vote,
    };
    kind.into()
}

fn consensus(header: Option<wire::Header>, message: Message) -> Result<PeerMessage, Status> {
    Ok(PeerMessage {
        header: header_from(header)?,
        body: PeerBody::Consensus(message),
    })
}

impl Wire for wire::ElectionRequest {
    fn read(self) -> Result<PeerMessage, Status> {
        let election = Election {
            kind: kind_from(self.kind)?,
            last: position_from(self.last)?,
            membership: self.membership.map(formation_from).transpose()?,
        };
        consensus(self.header, Message::Election(election))
    }

    fn write(message: PeerMessage) -> Option<Self> {
        let PeerBody::Consensus(Message::Election(election)) = message.body else {
            return None;
        };
        Some(Self {
            header: header_to(&message.header),
            kind: kind_to(election.kind),
            last: Some(position_to(election.last)),
            membership: election.membership.map(formation_to),
        })
    }
}

impl Wire for wire::ElectionResponse {
    fn read(self) -> Result<PeerMessage, Status> {
        let reply = ElectionReply {
            kind: kind_from(self.kind)?,
            granted: self.granted,
            leader: node_or_none(self.leader_id),
        };
        consensus(self.header, Message::ElectionReply(reply))
    }

    fn write(message: PeerMessage) -> Option<Self> {
        let PeerBody::Consensus(Message::ElectionReply(reply)) = message.body else {
            return None;
        };
        Some(Self {
            header: header_to(&message.header),
            kind: kind_to(reply.kind),
            granted: reply.granted,
            leader_id: none_or_node(reply.leader),
        })
    }
}

/// A message that is a header and nothing else.
macro_rules! bare_message {
    ($wire:ty, $message:path) => {
        impl Wire for $wire {
            fn read(self) -> Result<PeerMessage, Status> {
                consensus(self.header, $message)
            }

            fn write(message: PeerMessage) -> Option<Self> {
                let PeerBody::Consensus($message) = message.body else {
                    return None;
                };
                let header = header_to(&message.header);
                Some(Self { header })
            }
        }
    };
}

bare_message!(wire::CoordinatorRequest, Message::Coordinator);
bare_message!(wire::CoordinatorResponse, Message::CoordinatorReply);
bare_message!(wire::ResignResponse, Message::ResignReply);

/// Far more than a cluster has.
const UNCOUNTED_MAX: usize = 64;

fn uncounted_from(nodes: Vec<u64>) -> Result<Vec<NodeId>, Status> {
    if nodes.len() > UNCOUNTED_MAX {
        return Err(malformed("more than 64 voters are not counted"));
    }
    Ok(nodes.into_iter().map(NodeId).collect())
}

impl Wire for wire::HeartbeatRequest {
    fn read(self) -> Result<PeerMessage, Status> {
        let heartbeat = Heartbeat {
            commit_index: index_from(self.commit_index)?,
            round: self.round,
            uncounted: uncounted_from(self.uncounted)?,
        };
        consensus(self.header, Message::Heartbeat(heartbeat))
    }

    fn write(message: PeerMessage) -> Option<Self> {
        let PeerBody::Consensus(Message::Heartbeat(heartbeat)) = message.body else {
            return None;
        };
        Some(Self {
            header: header_to(&message.header),
            commit_index: heartbeat.commit_index.0,
            round: heartbeat.round,
            uncounted: heartbeat.uncounted.into_iter().map(|node| node.0).collect(),
        })
    }
}

impl Wire for wire::HeartbeatResponse {
    fn read(self) -> Result<PeerMessage, Status> {
        let echo = Message::HeartbeatReply {
            round: self.round,
            writing: self.writing,
        };
        consensus(self.header, echo)
    }

    fn write(message: PeerMessage) -> Option<Self> {
        let PeerBody::Consensus(Message::HeartbeatReply { round, writing }) = message.body else {
            return None;
        };
        Some(Self {
            header: header_to(&message.header),
            round,
            writing,
        })
    }
}

impl Wire for wire::GetCommitsRequest {
    fn read(self) -> Result<PeerMessage, Status> {
        let fetch = GetCommits {
            synced: position_from(self.synced)?,
            commit_index: index_from(self.commit_index)?,
            bytes_max: self.bytes_max,
            repair_through: index_from(self.repair_through)?,
        };
        consensus(self.header, Message::GetCommits(fetch))
    }

    fn write(message: PeerMessage) -> Option<Self> {
        let PeerBody::Consensus(Message::GetCommits(fetch)) = message.body else {
            return None;
        };
        Some(Self {
            header: header_to(&message.header),
            synced: Some(position_to(fetch.synced)),
            commit_index: fetch.commit_index.0,
            bytes_max: fetch.bytes_max,
            repair_through: fetch.repair_through.0,
        })
    }
}

impl Wire for wire::GetCommitsResponse {
    fn read(self) -> Result<PeerMessage, Status> {
        use wire::get_commits_response::Outcome;
        let reply = match self.outcome.ok_or_else(|| malformed("no outcome"))? {
            Outcome::Entries(entries) => GetCommitsReply::Entries {
                after: index_from(entries.after)?,
                commit_index: index_from(entries.commit_index)?,
                entries: entries
                    .entries
                    .into_iter()
                    .map(entry_from)
                    .collect::<Result<_, _>>()?,
            },
            Outcome::Diverging(position) => {
                GetCommitsReply::Diverging(position_from(Some(position))?)
            }
            Outcome::NotLeading(leader) => GetCommitsReply::NotLeading {
                leader: node_or_none(leader),
            },
            Outcome::RolledBack(lost) => GetCommitsReply::RolledBack {
                repair_through: index_from(lost.repair_through)?,
                boot_count: counter_from(lost.boot_count)?,
            },
        };
        consensus(self.header, Message::GetCommitsReply(reply))
    }

    fn write(message: PeerMessage) -> Option<Self> {
        use wire::get_commits_response::Outcome;
        let PeerBody::Consensus(Message::GetCommitsReply(reply)) = message.body else {
            return None;
        };
        let outcome = match reply {
            GetCommitsReply::Entries {
                after,
                commit_index,
                entries,
            } => Outcome::Entries(wire::Entries {
                after: after.0,
                commit_index: commit_index.0,
                entries: entries.into_iter().map(entry_to).collect(),
            }),
            GetCommitsReply::Diverging(position) => Outcome::Diverging(position_to(position)),
            GetCommitsReply::NotLeading { leader } => Outcome::NotLeading(none_or_node(leader)),
            GetCommitsReply::RolledBack {
                repair_through,
                boot_count,
            } => Outcome::RolledBack(wire::RolledBack {
                repair_through: repair_through.0,
                boot_count,
            }),
        };
        Some(Self {
            header: header_to(&message.header),
            outcome: Some(outcome),
        })
    }
}

impl Wire for wire::ResignRequest {
    fn read(self) -> Result<PeerMessage, Status> {
        let successor = node_or_none(self.successor);
        consensus(self.header, Message::Resign { successor })
    }

    fn write(message: PeerMessage) -> Option<Self> {
        let PeerBody::Consensus(Message::Resign { successor }) = message.body else {
            return None;
        };
        Some(Self {
            header: header_to(&message.header),
            successor: none_or_node(successor),
        })
    }
}

impl Wire for wire::ProposeRequest {
    fn read(self) -> Result<PeerMessage, Status> {
        Ok(PeerMessage {
            header: header_from(self.header)?,
            body: PeerBody::Propose {
                request: self.request,
            },
        })
    }

    fn write(message: PeerMessage) -> Option<Self> {
        let PeerBody::Propose { request } = message.body else {
            return None;
        };
        Some(Self {
            header: header_to(&message.header),
            request,
        })
    }
}

impl Wire for wire::ProposeResponse {
    fn read(self) -> Result<PeerMessage, Status> {
        use wire::propose_response::Outcome;
        let outcome = match self.outcome.ok_or_else(|| malformed("no outcome"))? {
            Outcome::Applied(answer) => ProposeOutcome::Applied {
                index: index_from(self.applied_index)?,
                answer,
            },
            Outcome::NotAppended(refusal) => ProposeOutcome::NotAppended(refusal_from(refusal)?),
            Outcome::Unknown(_) => ProposeOutcome::Unknown,
        };
        Ok(PeerMessage {
            header: header_from(self.header)?,
            body: PeerBody::ProposeReply(outcome),
        })
    }

    fn write(message: PeerMessage) -> Option<Self> {
        use wire::propose_response::Outcome;
        let PeerBody::ProposeReply(outcome) = message.body else {
            return None;
        };
        let (outcome, index) = match outcome {
            ProposeOutcome::Applied { index, answer } => (Outcome::Applied(answer), index),
            ProposeOutcome::NotAppended(refusal) => {
                (Outcome::NotAppended(refusal_to(refusal)), LogIndex(0))
            }
            ProposeOutcome::Unknown => (Outcome::Unknown(true), LogIndex(0)),
        };
        Some(Self {
            header: header_to(&message.header),
            outcome: Some(outcome),
            applied_index: index.0,
        })
    }
}

fn refusal_from(refusal: wire::NotAppended) -> Result<Refusal, Status> {
    use wire::NotAppendedReason as Reason;
    match Reason::try_from(refusal.reason) {
        Ok(Reason::NotLeading) => Ok(Refusal::NotLeading {
            leader: node_or_none(refusal.leader_id),
        }),
        Ok(Reason::Overloaded) => Ok(Refusal::Overloaded),
        Ok(Reason::TooLarge) => Ok(Refusal::TooLarge),
        Ok(Reason::Refused) => Ok(Refusal::Answered(refusal.answer)),
        Ok(Reason::Unspecified) | Err(_) => Err(malformed("unknown refusal")),
    }
}

fn refusal_to(refusal: Refusal) -> wire::NotAppended {
    use wire::NotAppendedReason as Reason;
    let (reason, leader, answer) = match refusal {
        Refusal::NotLeading { leader } => (Reason::NotLeading, leader, Bytes::new()),
        Refusal::Overloaded => (Reason::Overloaded, None, Bytes::new()),
        Refusal::TooLarge => (Reason::TooLarge, None, Bytes::new()),
        Refusal::Answered(answer) => (Reason::Refused, None, answer),
    };
    wire::NotAppended {
        reason: reason.into(),
        leader_id: none_or_node(leader),
        answer,
    }
}

impl Wire for wire::ReadIndexRequest {
    fn read(self) -> Result<PeerMessage, Status> {
        Ok(PeerMessage {
            header: header_from(self.header)?,
            body: PeerBody::ReadIndex,
        })
    }

    fn write(message: PeerMessage) -> Option<Self> {
        let PeerBody::ReadIndex = message.body else {
            return None;
        };
        Some(Self {
            header: header_to(&message.header),
        })
    }
}

impl Wire for wire::ReadIndexResponse {
    fn read(self) -> Result<PeerMessage, Status> {
        let index = (self.index != 0)
            .then(|| index_from(self.index))
            .transpose()?;
        Ok(PeerMessage {
            header: header_from(self.header)?,
            body: PeerBody::ReadIndexReply(index),
        })
    }

    fn write(message: PeerMessage) -> Option<Self> {
        let PeerBody::ReadIndexReply(index) = message.body else {
            return None;
        };
        Some(Self {
            header: header_to(&message.header),
            index: index.map_or(0, |index| index.0),
        })
    }
}

#[cfg(test)]
mod fuzz;
