//! What is beside the file of a snapshot: which snapshot it is, or of which one a part is there.
//! Without it the file does not count.
//!
//! The bytes, numbers big-endian: 8 that name the kind, the format (4), the body, and the CRC-32 of all
//! before (4). The body of a `snapshot`, format 3: index and term of its position (8 each), the digest
//! (32), the size (8), the chain value (16), and the members as `Membership::encode` has them. Format 1,
//! which is only read, has of these the cluster (16), and for each voter its node (8) and storage id (16);
//! format 2, too, has no addresses in them.
//! That of a `download`, format 1: index, term, digest, and how many bytes are there for certain (8).

use chat_consensus::{
    ChainValue, ClusterId, Digest, LOG_INDEX_MAX, LogBase, Membership, NodeId, PartialDownload,
    Position, Snapshot, SnapshotId, StorageId, TERM_MAX, Voter,
};

use crate::files::Directory;
use crate::snapshots::error::SnapshotError;
use crate::snapshots::names::{DOWNLOAD_SIDECAR, sidecar_name};
use crate::snapshots::record::{self, Kind};

pub(super) const SNAPSHOT: &Kind = b"snapshot";
/// What is written; formats 1 and 2 are read, too.
const SNAPSHOT_FORMAT: u32 = 3;
const DOWNLOAD: &Kind = b"download";
const DOWNLOAD_FORMAT: u32 = 1;

/// Writes the sidecar of a complete snapshot, which counts from then on.
pub(super) fn write_snapshot<D: Directory>(
    directory: &D,
    snapshot: &Snapshot,
) -> Result<(), SnapshotError> {
    let LogBase {
        chain, membership, ..
    } = &snapshot.base;
    let mut body = encode_id(snapshot.id());
    body.extend_from_slice(&snapshot.size.to_be_bytes());
    body.extend_from_slice(&chain.0);
    body.extend_from_slice(&membership.encode());
    let record = (SNAPSHOT, SNAPSHOT_FORMAT, body.as_slice());
    record::write(directory, &sidecar_name(snapshot), record)
}

/// The snapshot whose sidecar the file is, if it is one.
pub(super) fn read_snapshot<D: Directory>(
    directory: &D,
    name: &str,
) -> Result<Option<Snapshot>, SnapshotError> {
    let found = record::read(directory, name, (SNAPSHOT, SNAPSHOT_FORMAT))?;
    Ok(found.and_then(|(format, body)| Fields(&body).snapshot(format)))
}

/// Writes how much of a download is there for certain.
pub(super) fn write_download<D: Directory>(
    directory: &D,
    download: PartialDownload,
) -> Result<(), SnapshotError> {
    let mut body = encode_id(download.id);
    body.extend_from_slice(&download.bytes.to_be_bytes());
    let record = (DOWNLOAD, DOWNLOAD_FORMAT, body.as_slice());
    record::write(directory, DOWNLOAD_SIDECAR, record)
}

/// The download that an earlier run left, if there is one.
pub(super) fn read_download<D: Directory>(
    directory: &D,
) -> Result<Option<PartialDownload>, SnapshotError> {
    let found = record::read(directory, DOWNLOAD_SIDECAR, (DOWNLOAD, DOWNLOAD_FORMAT))?;
    Ok(found.and_then(|(_, body)| Fields(&body).download()))
}

fn encode_id(id: SnapshotId) -> Vec<u8> {
    let mut bytes = id.position.index.0.to_be_bytes().to_vec();
    bytes.extend_from_slice(&id.position.term.0.to_be_bytes());
    bytes.extend_from_slice(&id.digest.0);
    bytes
}

/// What is left of the bytes.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn id(&mut self) -> Option<SnapshotId> {
        let position = Position::new(self.number()?, self.number()?);
        let digest = Digest(self.take()?);
        let valid = position.index <= LOG_INDEX_MAX && position.term <= TERM_MAX;
        valid.then_some(SnapshotId { position, digest })
    }

    fn download(mut self) -> Option<PartialDownload> {
        let (id, bytes) = (self.id()?, self.number()?);
        self.0.is_empty().then_some(PartialDownload { id, bytes })
    }

    fn snapshot(mut self, format: u32) -> Option<Snapshot> {
        let (id, size) = (self.id()?, self.number()?);
        let chain = ChainValue(self.take()?);
        let membership = match format {
            1 => self.voters_of_cluster()?,
            _ => Membership::decode(self.0)?,
        };
        let base = LogBase {
            position: id.position,
            chain,
            membership,
        };
        let digest = id.digest;
        Some(Snapshot { base, digest, size })
    }

    /// The members of format 1.
    fn voters_of_cluster(mut self) -> Option<Membership> {
        let cluster = ClusterId(u128::from_be_bytes(self.take()?));
        let mut voters = Vec::new();
        while !self.0.is_empty() {
            voters.push(Voter {
                node: NodeId(self.number()?),
                storage: StorageId(u128::from_be_bytes(self.take()?)),
            });
        }
        let membership = Membership::of_voters(cluster, voters);
        membership.is_valid().then_some(membership)
    }
}
