//! Between the wire and the protocol's types. All of a peer's input is checked here.

mod fields;
mod snapshots;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use chat_consensus::{
    BlockNumber, Candidacy, Election, ElectionKind, ElectionReply, Envelope, GetCommits,
    GetCommitsReply, GetSnapshot, GetSnapshotReply, Heartbeat, HeartbeatReply, LogIndex, NodeId,
    Position,
};
use chat_replication_proto::v1 as wire;
use tonic::Status;

use crate::peer_message::{ProposeOutcome, Refusal};
use fields::{
    base_from, base_to, block_from, counter_from, entry_from, entry_to, header_from, header_to,
    index_from, kind_from, kind_to, malformed, node_or_none, none_or_node, position_from,
    position_to,
};
use snapshots::{
    piece_from, piece_to, snapshot_from, snapshot_to, state_from, state_to, wanted_from, wanted_to,
};

/// The request or the response of one RPC, and what it means.
pub(super) trait WireMessage: Sized {
    /// What travels beside the header.
    type Message;

    /// The message, or what is wrong with it.
    fn read(self) -> Result<Envelope<Self::Message>, Status>;

    /// The wire form; of the default group.
    fn write(envelope: Envelope<Self::Message>) -> Self;

    /// The header as it travels.
    fn header_mut(&mut self) -> Option<&mut wire::Header>;
}

macro_rules! header_mut {
    () => {
        fn header_mut(&mut self) -> Option<&mut wire::Header> {
            self.header.as_mut()
        }
    };
}

fn envelope<M>(header: Option<wire::Header>, message: M) -> Result<Envelope<M>, Status> {
    let header = header_from(header)?;
    Ok(Envelope { header, message })
}

impl WireMessage for wire::ElectionRequest {
    type Message = Election;

    header_mut!();

    fn read(self) -> Result<Envelope<Election>, Status> {
        let kind = kind_from(self.kind)?;
        if kind == ElectionKind::Bootstrap {
            return envelope(self.header, Election::Bootstrap);
        }
        let candidacy = Candidacy {
            last: position_from(self.last)?,
            synced_block: block_from(self.synced_block)?,
        };
        let election = match kind {
            ElectionKind::PreVote => Election::PreVote(candidacy),
            ElectionKind::Bootstrap | ElectionKind::Vote => Election::Vote(candidacy),
        };
        envelope(self.header, election)
    }

    fn write(envelope: Envelope<Election>) -> Self {
        let kind = kind_to(envelope.message.kind());
        let (last, synced_block) = match envelope.message {
            Election::Bootstrap => (Position::ZERO, BlockNumber::UNKNOWN),
            Election::PreVote(candidacy) | Election::Vote(candidacy) => {
                (candidacy.last, candidacy.synced_block)
            }
        };
        Self {
            header: header_to(&envelope.header),
            kind,
            last: Some(position_to(last)),
            synced_block: synced_block.0,
        }
    }
}

impl WireMessage for wire::ElectionResponse {
    type Message = ElectionReply;

    header_mut!();

    fn read(self) -> Result<Envelope<ElectionReply>, Status> {
        let reply = ElectionReply {
            kind: kind_from(self.kind)?,
            granted: self.granted,
            leader: node_or_none(self.leader_id),
            remembered_block: block_from(self.remembered_block)?,
            removed: self.removed,
        };
        envelope(self.header, reply)
    }

    fn write(envelope: Envelope<ElectionReply>) -> Self {
        let reply = envelope.message;
        Self {
            header: header_to(&envelope.header),
            kind: kind_to(reply.kind),
            granted: reply.granted,
            leader_id: none_or_node(reply.leader),
            remembered_block: reply.remembered_block.0,
            removed: reply.removed,
        }
    }
}

/// A message that is a header and nothing else.
macro_rules! header_only {
    ($wire:ty) => {
        impl WireMessage for $wire {
            type Message = ();

            header_mut!();

            fn read(self) -> Result<Envelope<()>, Status> {
                envelope(self.header, ())
            }

            fn write(envelope: Envelope<()>) -> Self {
                let header = header_to(&envelope.header);
                Self { header }
            }
        }
    };
}

header_only!(wire::CoordinatorRequest);
header_only!(wire::CoordinatorResponse);
header_only!(wire::ResignResponse);
header_only!(wire::ReadIndexRequest);

/// Far more than a cluster has.
const UNCOUNTED_MAX: usize = 64;

fn uncounted_from(nodes: Vec<u64>) -> Result<Vec<NodeId>, Status> {
    if nodes.len() > UNCOUNTED_MAX {
        return Err(malformed("more than 64 voters are not counted"));
    }
    Ok(nodes.into_iter().map(NodeId).collect())
}

/// Longer ones do not fit into the members either.
const ADDRESS_BYTES_MAX: usize = 255;

fn address_from(address: String) -> Result<Option<Box<str>>, Status> {
    if address.len() > ADDRESS_BYTES_MAX {
        return Err(malformed("an address with more than 255 bytes"));
    }
    Ok((!address.is_empty()).then(|| address.into()))
}

impl WireMessage for wire::HeartbeatRequest {
    type Message = Heartbeat;

    header_mut!();

    fn read(self) -> Result<Envelope<Heartbeat>, Status> {
        let heartbeat = Heartbeat {
            commit_index: index_from(self.commit_index)?,
            round: self.round,
            uncounted: uncounted_from(self.uncounted)?,
            leader_address: address_from(self.leader_address)?,
        };
        envelope(self.header, heartbeat)
    }

    fn write(envelope: Envelope<Heartbeat>) -> Self {
        let heartbeat = envelope.message;
        Self {
            header: header_to(&envelope.header),
            commit_index: heartbeat.commit_index.0,
            round: heartbeat.round,
            uncounted: heartbeat.uncounted.into_iter().map(|node| node.0).collect(),
            leader_address: heartbeat.leader_address.unwrap_or_default().into(),
        }
    }
}

impl WireMessage for wire::HeartbeatResponse {
    type Message = HeartbeatReply;

    header_mut!();

    fn read(self) -> Result<Envelope<HeartbeatReply>, Status> {
        let reply = HeartbeatReply {
            round: self.round,
            writing: self.writing,
        };
        envelope(self.header, reply)
    }

    fn write(envelope: Envelope<HeartbeatReply>) -> Self {
        Self {
            header: header_to(&envelope.header),
            round: envelope.message.round,
            writing: envelope.message.writing,
        }
    }
}

impl WireMessage for wire::GetCommitsRequest {
    type Message = GetCommits;

    header_mut!();

    fn read(self) -> Result<Envelope<GetCommits>, Status> {
        let fetch = GetCommits {
            has_base: self.has_base,
            synced: position_from(self.synced)?,
            commit_index: index_from(self.commit_index)?,
            bytes_max: self.bytes_max,
            repair_through: index_from(self.repair_through)?,
            state: state_from(self.needs_snapshot, self.restoring)?,
            behind_hole: self.behind_hole,
            synced_block: block_from(self.synced_block)?,
        };
        envelope(self.header, fetch)
    }

    fn write(envelope: Envelope<GetCommits>) -> Self {
        let fetch = envelope.message;
        let (needs_snapshot, restoring) = state_to(fetch.state);
        Self {
            header: header_to(&envelope.header),
            needs_snapshot,
            restoring,
            synced: Some(position_to(fetch.synced)),
            commit_index: fetch.commit_index.0,
            bytes_max: fetch.bytes_max,
            repair_through: fetch.repair_through.0,
            has_base: fetch.has_base,
            behind_hole: fetch.behind_hole,
            synced_block: fetch.synced_block.0,
        }
    }
}

impl WireMessage for wire::GetCommitsResponse {
    type Message = GetCommitsReply;

    header_mut!();

    fn read(self) -> Result<Envelope<GetCommitsReply>, Status> {
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
            Outcome::Base(base) => GetCommitsReply::Base(base_from(base)?),
            Outcome::Snapshot(snapshot) => {
                GetCommitsReply::Snapshot(Box::new(snapshot_from(snapshot)?))
            }
            Outcome::NoSnapshotYet(_) => GetCommitsReply::NoSnapshotYet,
            Outcome::Diverging(position) => {
                GetCommitsReply::Diverging(position_from(Some(position))?)
            }
            Outcome::NotLeading(leader) => GetCommitsReply::NotLeading {
                leader: node_or_none(leader),
            },
            Outcome::Amnesiac(remembered_block) => GetCommitsReply::Amnesiac {
                remembered_block: block_from(remembered_block)?,
            },
            Outcome::NotMember(_) => GetCommitsReply::NotMember,
            Outcome::RolledBack(lost) => GetCommitsReply::RolledBack {
                repair_through: index_from(lost.repair_through)?,
                boot_count: counter_from(lost.boot_count)?,
            },
        };
        envelope(self.header, reply)
    }

    fn write(envelope: Envelope<GetCommitsReply>) -> Self {
        use wire::get_commits_response::Outcome;
        let outcome = match envelope.message {
            GetCommitsReply::Entries {
                after,
                commit_index,
                entries,
            } => Outcome::Entries(wire::Entries {
                after: after.0,
                commit_index: commit_index.0,
                entries: entries.into_iter().map(entry_to).collect(),
            }),
            GetCommitsReply::Base(base) => Outcome::Base(base_to(base)),
            GetCommitsReply::Snapshot(snapshot) => Outcome::Snapshot(snapshot_to(*snapshot)),
            GetCommitsReply::NoSnapshotYet => Outcome::NoSnapshotYet(true),
            GetCommitsReply::Diverging(position) => Outcome::Diverging(position_to(position)),
            GetCommitsReply::NotLeading { leader } => Outcome::NotLeading(none_or_node(leader)),
            GetCommitsReply::Amnesiac { remembered_block } => Outcome::Amnesiac(remembered_block.0),
            GetCommitsReply::NotMember => Outcome::NotMember(true),
            GetCommitsReply::RolledBack {
                repair_through,
                boot_count,
            } => Outcome::RolledBack(wire::RolledBack {
                repair_through: repair_through.0,
                boot_count,
            }),
        };
        Self {
            header: header_to(&envelope.header),
            outcome: Some(outcome),
        }
    }
}

impl WireMessage for wire::GetSnapshotRequest {
    type Message = GetSnapshot;

    header_mut!();

    fn read(mut self) -> Result<Envelope<GetSnapshot>, Status> {
        envelope(self.header.take(), wanted_from(self)?)
    }

    fn write(envelope: Envelope<GetSnapshot>) -> Self {
        wanted_to(header_to(&envelope.header), envelope.message)
    }
}

impl WireMessage for wire::GetSnapshotResponse {
    type Message = GetSnapshotReply;

    header_mut!();

    fn read(self) -> Result<Envelope<GetSnapshotReply>, Status> {
        envelope(self.header, piece_from(self.outcome)?)
    }

    fn write(envelope: Envelope<GetSnapshotReply>) -> Self {
        Self {
            header: header_to(&envelope.header),
            outcome: Some(piece_to(envelope.message)),
        }
    }
}

impl WireMessage for wire::ResignRequest {
    /// The successor.
    type Message = Option<NodeId>;

    header_mut!();

    fn read(self) -> Result<Envelope<Option<NodeId>>, Status> {
        envelope(self.header, node_or_none(self.successor))
    }

    fn write(envelope: Envelope<Option<NodeId>>) -> Self {
        Self {
            header: header_to(&envelope.header),
            successor: none_or_node(envelope.message),
        }
    }
}

impl WireMessage for wire::ProposeRequest {
    /// The request as the client made it.
    type Message = Bytes;

    header_mut!();

    fn read(self) -> Result<Envelope<Bytes>, Status> {
        envelope(self.header, self.request)
    }

    fn write(envelope: Envelope<Bytes>) -> Self {
        Self {
            header: header_to(&envelope.header),
            request: envelope.message,
        }
    }
}

impl WireMessage for wire::ProposeResponse {
    type Message = ProposeOutcome;

    header_mut!();

    fn read(self) -> Result<Envelope<ProposeOutcome>, Status> {
        use wire::propose_response::Outcome;
        let outcome = match self.outcome.ok_or_else(|| malformed("no outcome"))? {
            Outcome::Applied(answer) => ProposeOutcome::Applied {
                index: index_from(self.applied_index)?,
                answer,
            },
            Outcome::NotAppended(refusal) => ProposeOutcome::NotAppended(refusal_from(refusal)?),
            Outcome::Unknown(_) => ProposeOutcome::Unknown,
        };
        envelope(self.header, outcome)
    }

    fn write(envelope: Envelope<ProposeOutcome>) -> Self {
        use wire::propose_response::Outcome;
        let (outcome, index) = match envelope.message {
            ProposeOutcome::Applied { index, answer } => (Outcome::Applied(answer), index),
            ProposeOutcome::NotAppended(refusal) => {
                (Outcome::NotAppended(refusal_to(refusal)), LogIndex(0))
            }
            ProposeOutcome::Unknown => (Outcome::Unknown(true), LogIndex(0)),
        };
        Self {
            header: header_to(&envelope.header),
            outcome: Some(outcome),
            applied_index: index.0,
        }
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

impl WireMessage for wire::ReadIndexResponse {
    type Message = Option<LogIndex>;

    header_mut!();

    fn read(self) -> Result<Envelope<Option<LogIndex>>, Status> {
        let index = (self.index != 0)
            .then(|| index_from(self.index))
            .transpose()?;
        envelope(self.header, index)
    }

    fn write(envelope: Envelope<Option<LogIndex>>) -> Self {
        Self {
            header: header_to(&envelope.header),
            index: envelope.message.map_or(0, |index| index.0),
        }
    }
}

#[cfg(test)]
mod fuzz;
