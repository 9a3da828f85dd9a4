//! The fields that several messages share, between the wire and the protocol's types.

use bytes::Bytes;
use chat_consensus::{
    BLOCK_NUMBER_MAX, BOOT_COUNT_MAX, BlockNumber, ChainValue, ClusterId, ElectionKind, Entry,
    Header, LOG_INDEX_MAX, LogBase, LogIndex, Membership, NodeAddresses, NodeId, Payload, Position,
    RequestId, RunId, StorageId, TERM_MAX, Term, Voter,
};
use chat_replication_proto::v1 as wire;
use tonic::Status;

pub(super) fn malformed(what: &str) -> Status {
    Status::invalid_argument(format!("malformed peer message: {what}"))
}

pub(super) fn id_from(bytes: &[u8], field: &str) -> Result<u128, Status> {
    let bytes = <[u8; 16]>::try_from(bytes);
    bytes
        .map(u128::from_be_bytes)
        .map_err(|error| malformed(&format!("{field} must have 16 bytes ({error})")))
}

pub(super) fn id_bytes(id: u128) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}

pub(super) fn node_or_none(id: u64) -> Option<NodeId> {
    (id != 0).then_some(NodeId(id))
}

pub(super) fn none_or_node(node: Option<NodeId>) -> u64 {
    node.map_or(0, |node| node.0)
}

/// An id that may be absent: then it has no bytes.
fn id_or_none(bytes: &Bytes, field: &str) -> Result<Option<u128>, Status> {
    match bytes.is_empty() {
        true => Ok(None),
        false => id_from(bytes, field).map(Some),
    }
}

fn none_or_id(id: Option<u128>) -> Bytes {
    id.map_or_else(Bytes::new, id_bytes)
}

pub(super) fn header_from(header: Option<wire::Header>) -> Result<Header, Status> {
    let header = header.ok_or_else(|| malformed("no header"))?;
    Ok(Header {
        cluster: id_or_none(&header.cluster_id, "cluster_id")?.map(ClusterId),
        term: term_from(header.term)?,
        from: NodeId(header.from),
        to: NodeId(header.to),
        storage: StorageId(id_from(&header.storage_id, "storage_id")?),
        to_storage: id_or_none(&header.to_storage_id, "to_storage_id")?.map(StorageId),
        request: RequestId {
            start: run_from(header.request_start)?,
            number: header.request_number,
        },
    })
}

pub(super) fn header_to(header: &Header) -> Option<wire::Header> {
    Some(wire::Header {
        cluster_id: none_or_id(header.cluster.map(|cluster| cluster.0)),
        term: header.term.0,
        from: header.from.0,
        to: header.to.0,
        storage_id: id_bytes(header.storage.0),
        request_start: header.request.start.0,
        request_number: header.request.number,
        group: String::new(),
        to_storage_id: none_or_id(header.to_storage.map(|storage| storage.0)),
    })
}

/// Numbers near the end of their range come from no honest peer, and must not get further (R4).
pub(super) fn term_from(term: u64) -> Result<Term, Status> {
    if term > TERM_MAX.0 {
        return Err(malformed("a term is above 2^48"));
    }
    Ok(Term(term))
}

pub(super) fn index_from(index: u64) -> Result<LogIndex, Status> {
    if index > LOG_INDEX_MAX.0 {
        return Err(malformed("an index is above 2^62"));
    }
    Ok(LogIndex(index))
}

pub(super) fn block_from(block: u64) -> Result<BlockNumber, Status> {
    if block > BLOCK_NUMBER_MAX.0 {
        return Err(malformed("a block number is above 2^62"));
    }
    Ok(BlockNumber(block))
}

pub(super) fn counter_from(counter: u64) -> Result<u64, Status> {
    if counter > BOOT_COUNT_MAX {
        return Err(malformed("a boot count is above 2^31"));
    }
    Ok(counter)
}

pub(super) fn run_from(run: u64) -> Result<RunId, Status> {
    counter_from(RunId(run).counter())?;
    Ok(RunId(run))
}

pub(super) fn position_from(position: Option<wire::Position>) -> Result<Position, Status> {
    let position = position.ok_or_else(|| malformed("no position"))?;
    Ok(Position {
        index: index_from(position.index)?,
        term: term_from(position.term)?,
    })
}

pub(super) fn position_to(position: Position) -> wire::Position {
    wire::Position {
        index: position.index.0,
        term: position.term.0,
    }
}

pub(super) fn base_from(base: wire::Base) -> Result<LogBase, Status> {
    let membership = base
        .membership
        .ok_or_else(|| malformed("a base without membership"))?;
    Ok(LogBase {
        position: position_from(base.position)?,
        chain: chain_from(&base.chain)?,
        membership: membership_from(membership)?,
    })
}

fn chain_from(bytes: &[u8]) -> Result<ChainValue, Status> {
    let bytes = bytes.try_into();
    bytes
        .map(ChainValue)
        .map_err(|_length| malformed("a chain value that is not 16 bytes"))
}

pub(super) fn base_to(base: LogBase) -> wire::Base {
    wire::Base {
        position: Some(position_to(base.position)),
        chain: base.chain.0.to_vec().into(),
        membership: Some(membership_to(base.membership)),
    }
}

fn membership_from(membership: wire::Membership) -> Result<Membership, Status> {
    let voters = membership.voters.into_iter().map(|voter| {
        Ok(Voter {
            node: NodeId(voter.node_id),
            storage: StorageId(id_from(&voter.storage_id, "voter")?),
        })
    });
    let cluster = ClusterId(id_from(&membership.cluster_id, "membership")?);
    let learners = membership.learners.into_iter().map(NodeId).collect();
    let mut members = Membership::of(cluster, voters.collect::<Result<_, Status>>()?, learners);
    if membership.highest_id > 0 {
        members.highest = NodeId(membership.highest_id);
    }
    let addresses = membership.addresses.into_iter().map(|addresses| {
        let node = NodeId(addresses.node_id);
        let (peer, client) = (addresses.peer.into(), addresses.client.into());
        (node, NodeAddresses { peer, client })
    });
    members.addresses = addresses.collect();
    if members.is_valid() {
        Ok(members)
    } else {
        Err(malformed(
            "members must be ascending, few, one a voter, none above the highest id, and the only ones \
             with addresses",
        ))
    }
}

fn membership_to(membership: Membership) -> wire::Membership {
    let voters = membership.voters.into_iter().map(|voter| wire::Voter {
        node_id: voter.node.0,
        storage_id: id_bytes(voter.storage.0),
    });
    let addresses = membership.addresses.into_iter();
    let addresses = addresses.map(|(node, addresses)| wire::NodeAddresses {
        node_id: node.0,
        peer: addresses.peer.into(),
        client: addresses.client.into(),
    });
    wire::Membership {
        cluster_id: id_bytes(membership.cluster.0),
        voters: voters.collect(),
        learners: membership.learners.iter().map(|node| node.0).collect(),
        highest_id: membership.highest.0,
        addresses: addresses.collect(),
    }
}

pub(super) fn entry_from(entry: wire::Entry) -> Result<Entry, Status> {
    use wire::entry::Payload as Said;
    let payload = match entry
        .payload
        .ok_or_else(|| malformed("an entry without payload"))?
    {
        Said::Empty(_) => Payload::Empty,
        Said::Command(command) => Payload::Command(command),
        Said::Membership(membership) => Payload::Membership(membership_from(membership)?),
    };
    Ok(Entry {
        position: position_from(entry.position)?,
        payload,
    })
}

pub(super) fn entry_to(entry: Entry) -> wire::Entry {
    use wire::entry::Payload as Said;
    let payload = match entry.payload {
        Payload::Empty => Said::Empty(true),
        Payload::Command(command) => Said::Command(command),
        Payload::Membership(membership) => Said::Membership(membership_to(membership)),
    };
    wire::Entry {
        position: Some(position_to(entry.position)),
        payload: Some(payload),
    }
}

pub(super) fn kind_from(kind: i32) -> Result<ElectionKind, Status> {
    match wire::ElectionKind::try_from(kind) {
        Ok(wire::ElectionKind::Bootstrap) => Ok(ElectionKind::Bootstrap),
        Ok(wire::ElectionKind::PreVote) => Ok(ElectionKind::PreVote),
        Ok(wire::ElectionKind::Vote) => Ok(ElectionKind::Vote),
        Ok(wire::ElectionKind::Unspecified) | Err(_) => Err(malformed("unknown election kind")),
    }
}

pub(super) fn kind_to(kind: ElectionKind) -> i32 {
    let kind = match kind {
        ElectionKind::Bootstrap => wire::ElectionKind::Bootstrap,
        ElectionKind::PreVote => wire::ElectionKind::PreVote,
        ElectionKind::Vote => wire::ElectionKind::Vote,
    };
    kind.into()
}
