//! Snapshots and their pieces on the wire (R24).

use bytes::Bytes;
use chat_consensus::{Digest, FollowerState, GetSnapshot, GetSnapshotReply, Snapshot, SnapshotId};
use chat_replication_proto::v1 as wire;
use chat_replication_proto::v1::get_snapshot_response::Outcome;
use tonic::Status;

use super::fields::{base_from, base_to, index_from, malformed, position_from, position_to};

/// What a piece may hold, in bytes.
const PIECE_BYTES_MAX: usize = 1 << 20;
/// How long a snapshot's file may be, in bytes.
const SIZE_MAX: u64 = 1 << 62;

pub(super) fn wanted_from(request: wire::GetSnapshotRequest) -> Result<GetSnapshot, Status> {
    Ok(GetSnapshot {
        id: SnapshotId {
            position: position_from(request.position)?,
            digest: digest_from(&request.digest)?,
        },
        offset: size_from(request.offset)?,
        bytes_max: request.bytes_max,
    })
}

pub(super) fn wanted_to(
    header: Option<wire::Header>,
    wanted: GetSnapshot,
) -> wire::GetSnapshotRequest {
    wire::GetSnapshotRequest {
        header,
        position: Some(position_to(wanted.id.position)),
        digest: digest_to(wanted.id.digest),
        offset: wanted.offset,
        bytes_max: wanted.bytes_max,
    }
}

/// A piece whose checksum is wrong was damaged on its way, and is no reply.
pub(super) fn piece_from(outcome: Option<Outcome>) -> Result<GetSnapshotReply, Status> {
    match outcome.ok_or_else(|| malformed("no outcome"))? {
        Outcome::Piece(piece) => {
            if piece.bytes.len() > PIECE_BYTES_MAX {
                return Err(malformed("a piece is longer than 1 MiB"));
            }
            if crc32fast::hash(&piece.bytes) != piece.crc32 {
                return Err(malformed("a piece has another checksum"));
            }
            Ok(GetSnapshotReply::Piece {
                offset: size_from(piece.offset)?,
                bytes: piece.bytes,
                leads: piece.leads,
            })
        }
        Outcome::Gone(_) => Ok(GetSnapshotReply::Gone),
    }
}

pub(super) fn piece_to(reply: GetSnapshotReply) -> Outcome {
    match reply {
        GetSnapshotReply::Piece {
            offset,
            bytes,
            leads,
        } => Outcome::Piece(wire::Piece {
            offset,
            crc32: crc32fast::hash(&bytes),
            bytes,
            leads,
        }),
        GetSnapshotReply::Gone => Outcome::Gone(true),
    }
}

pub(super) fn snapshot_from(snapshot: wire::Snapshot) -> Result<Snapshot, Status> {
    let base = snapshot
        .base
        .ok_or_else(|| malformed("a snapshot without a base"))?;
    Ok(Snapshot {
        base: base_from(base)?,
        digest: digest_from(&snapshot.digest)?,
        size: size_from(snapshot.size)?,
    })
}

pub(super) fn snapshot_to(snapshot: Snapshot) -> wire::Snapshot {
    wire::Snapshot {
        base: Some(base_to(snapshot.base)),
        digest: digest_to(snapshot.digest),
        size: snapshot.size,
    }
}

pub(super) fn state_from(
    needs_snapshot: Option<u64>,
    restoring: bool,
) -> Result<FollowerState, Status> {
    match needs_snapshot {
        Some(index) => Ok(FollowerState::Lost {
            at_least: index_from(index)?,
        }),
        None if restoring => Ok(FollowerState::Restoring),
        None => Ok(FollowerState::Whole),
    }
}

pub(super) fn state_to(state: FollowerState) -> (Option<u64>, bool) {
    match state {
        FollowerState::Whole => (None, false),
        FollowerState::Lost { at_least } => (Some(at_least.0), false),
        FollowerState::Restoring => (None, true),
    }
}

fn digest_from(bytes: &[u8]) -> Result<Digest, Status> {
    let bytes = bytes.try_into();
    bytes
        .map(Digest)
        .map_err(|_length| malformed("a digest that is not 32 bytes"))
}

fn digest_to(digest: Digest) -> Bytes {
    Bytes::copy_from_slice(&digest.0)
}

fn size_from(size: u64) -> Result<u64, Status> {
    if size > SIZE_MAX {
        return Err(malformed("a size or an offset is above 2^62"));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(bytes: Bytes) -> wire::Piece {
        wire::Piece {
            offset: 3,
            crc32: crc32fast::hash(&bytes),
            bytes,
            leads: true,
        }
    }

    fn is_read(piece: wire::Piece) -> bool {
        piece_from(Some(Outcome::Piece(piece))).is_ok()
    }

    /// R24: what was damaged on its way, or is larger than it may be, is not decoded.
    #[test]
    fn piece_is_decoded_only_as_it_was_sent() {
        let good = piece(Bytes::from_static(b"state"));
        assert!(is_read(good.clone()));
        assert!(is_read(piece(vec![0; PIECE_BYTES_MAX].into())));
        assert!(!is_read(piece(vec![0; PIECE_BYTES_MAX + 1].into())));
        assert!(!is_read(wire::Piece {
            bytes: Bytes::from_static(b"stale"),
            ..good.clone()
        }));
        assert!(!is_read(wire::Piece {
            offset: SIZE_MAX + 1,
            ..good
        }));
    }

    /// R24: a digest has 32 bytes, a size is far from the end of the numbers.
    #[test]
    fn snapshot_with_impossible_fields_is_not_decoded() {
        let base = wire::Base {
            position: Some(wire::Position { index: 9, term: 2 }),
            membership: Some(wire::Membership {
                cluster_id: vec![1; 16].into(),
                voters: vec![wire::Voter {
                    node_id: 1,
                    storage_id: vec![1; 16].into(),
                }],
                learners: Vec::new(),
                ..wire::Membership::default()
            }),
            chain: vec![2; 16].into(),
        };
        let snapshot = wire::Snapshot {
            base: Some(base),
            digest: vec![3; 32].into(),
            size: SIZE_MAX,
        };
        assert!(snapshot_from(snapshot.clone()).is_ok());
        for digest in [0, 31, 33] {
            let digest = vec![3; digest].into();
            let snapshot = wire::Snapshot {
                digest,
                ..snapshot.clone()
            };
            assert!(snapshot_from(snapshot).is_err());
        }
        let size = SIZE_MAX + 1;
        let too_large = wire::Snapshot {
            size,
            ..snapshot.clone()
        };
        assert!(snapshot_from(too_large).is_err());
        let without_base = wire::Snapshot {
            base: None,
            ..snapshot
        };
        assert!(snapshot_from(without_base).is_err());
    }
}
