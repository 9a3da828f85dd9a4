//! How an entry's payload is encoded in the table: a kind, and bytes. This encoding never changes.
//!
//! | kind | payload |
//! | --- | --- |
//! | 0, empty | none |
//! | 1, membership (the first entry of older logs, which is written no more) | cluster id (16 bytes), then for each voter node id (8) and storage id (16) |
//! | 2, command | the command |
//! | 3, change of the members | as [`Membership::encode`] has it |
//!
//! Numbers are big-endian.

use std::borrow::Cow;

use bytes::Bytes;
use chat_consensus::{ClusterId, LogBase, Membership, NodeId, Payload, StorageId, Voter};

const EMPTY: u8 = 0;
const MEMBERSHIP: u8 = 1;
const COMMAND: u8 = 2;
/// A change of the members.
const CHANGE: u8 = 3;

/// The kind and bytes of a payload.
pub(super) fn encode(payload: &Payload) -> (u8, Cow<'_, [u8]>) {
    match payload {
        Payload::Empty => (EMPTY, Cow::Borrowed(&[])),
        Payload::Command(command) => (COMMAND, Cow::Borrowed(command)),
        Payload::Membership(membership) => (CHANGE, Cow::Owned(membership.encode())),
    }
}

/// The payload of a kind and bytes; `None` if [`encode`] never returns them.
pub(super) fn decode(kind: u8, bytes: &[u8]) -> Option<Payload> {
    match kind {
        EMPTY => bytes.is_empty().then_some(Payload::Empty),
        // It says where the log begins, which a base does now.
        MEMBERSHIP => decode_membership(bytes).map(|_| Payload::Empty),
        COMMAND => Some(Payload::Command(Bytes::copy_from_slice(bytes))),
        CHANGE => Membership::decode(bytes).map(Payload::Membership),
        _ => None,
    }
}

/// The membership that the first entry of an older log is.
pub(super) fn first_membership(kind: u8, bytes: &[u8]) -> Option<Membership> {
    (kind == MEMBERSHIP).then(|| decode_membership(bytes))?
}

/// The members that an entry changes to, if it does.
pub(super) fn changed_membership(kind: u8, bytes: &[u8]) -> Option<Membership> {
    (kind == CHANGE).then(|| Membership::decode(bytes))?
}

/// The base in the row of the table `node`: index and term of its position (8 bytes each, always 0),
/// and its membership as above.
pub(super) fn encode_base(base: &LogBase) -> Vec<u8> {
    let mut bytes = base.position.index.0.to_be_bytes().to_vec();
    bytes.extend(base.position.term.0.to_be_bytes());
    bytes.extend(encode_membership(&base.membership));
    bytes
}

/// The base of these bytes; `None` if [`encode_base`] never returns them.
pub(super) fn decode_base(bytes: &[u8]) -> Option<LogBase> {
    let (index, bytes) = bytes.split_first_chunk::<8>()?;
    let (term, bytes) = bytes.split_first_chunk::<8>()?;
    let base = LogBase::first(decode_membership(bytes)?);
    let position = (u64::from_be_bytes(*index), u64::from_be_bytes(*term));
    // Such a log is never compacted, and no snapshot is installed into it.
    (position == (0, 0)).then_some(base)
}

fn encode_membership(membership: &Membership) -> Vec<u8> {
    let mut bytes = membership.cluster.0.to_be_bytes().to_vec();
    for voter in &membership.voters {
        bytes.extend(voter.node.0.to_be_bytes());
        bytes.extend(voter.storage.0.to_be_bytes());
    }
    bytes
}

fn decode_membership(bytes: &[u8]) -> Option<Membership> {
    let (cluster, voters) = bytes.split_first_chunk::<16>()?;
    let (voters, []) = voters.as_chunks::<24>() else {
        return None;
    };
    let voters = voters.iter().map(|voter| {
        let (node, storage) = voter.split_at(8);
        Some(Voter {
            node: NodeId(u64::from_be_bytes(node.try_into().ok()?)),
            storage: StorageId(u128::from_be_bytes(storage.try_into().ok()?)),
        })
    });
    let membership = Membership::of_voters(
        ClusterId(u128::from_be_bytes(*cluster)),
        voters.collect::<Option<_>>()?,
    );
    membership.is_valid().then_some(membership)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership(nodes: &[u64]) -> Membership {
        let voter = |&node| Voter {
            node: NodeId(node),
            storage: StorageId(u128::MAX - 7),
        };
        Membership::of_voters(ClusterId(0x0102), nodes.iter().map(voter).collect())
    }

    #[test]
    fn every_payload_is_decoded_as_it_was_encoded() {
        for payload in [
            Payload::Empty,
            Payload::Command(Bytes::new()),
            Payload::Command(Bytes::from_static(b"command")),
        ] {
            let (kind, bytes) = encode(&payload);
            assert_eq!(decode(kind, &bytes), Some(payload.clone()), "{payload:?}");
        }
    }

    /// Whatever is decoded is encoded to the same bytes again.
    #[test]
    fn fuzz_log_row() {
        chat_fuzz::fuzz("log_row", |row| {
            let Some((&kind, bytes)) = row.split_first() else {
                return;
            };
            if let Some(membership) = first_membership(kind, bytes) {
                assert_eq!(encode_membership(&membership), bytes);
            } else if let Some(payload) = decode(kind, bytes) {
                let (kind_again, bytes_again) = encode(&payload);
                assert_eq!((kind_again, &*bytes_again), (kind, bytes));
            }
        });
    }

    #[test]
    fn layout_of_a_base_is_fixed() {
        let base = LogBase::first(membership(&[3]));
        let mut expected = vec![0; 30];
        expected.extend([1, 2, 0, 0, 0, 0, 0, 0, 0, 3]);
        expected.extend([0xff; 15]);
        expected.push(0xf8);
        assert_eq!(encode_base(&base), expected);
        assert_eq!(decode_base(&expected), Some(base));
        // The first entry of an older log.
        assert_eq!(first_membership(1, &expected[16..]), Some(membership(&[3])));
        assert_eq!(decode(1, &expected[16..]), Some(Payload::Empty));
        assert_eq!(first_membership(2, &expected[16..]), None);
        for wrong in [&expected[..39], &expected[1..], &[0xff; 56]] {
            assert_eq!(decode_base(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn invalid_payload_is_not_decoded() {
        let good = encode_membership(&membership(&[1, 2]));
        let unordered = encode_membership(&membership(&[2, 1]));
        let cases: [(u8, &[u8]); 7] = [
            (0, b"x"),
            (1, b""),
            (1, &good[..16]),
            (1, &good[..40 - 1]),
            (1, &unordered),
            (3, b""),
            (255, b""),
        ];
        for (kind, bytes) in cases {
            assert_eq!(decode(kind, bytes), None, "{kind} {bytes:?}");
        }
    }
}
