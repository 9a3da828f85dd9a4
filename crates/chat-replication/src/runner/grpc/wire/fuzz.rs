//! Every message of every RPC, from bytes that no peer would send.

use std::fmt::Debug;

use prost::Message;

use super::{WireMessage, wire};

/// A message that is decoded is written, and decoded as the same again.
fn decode<W>(bytes: &[u8])
where
    W: WireMessage<Message: Clone + Debug + PartialEq> + Message + Default + Debug,
{
    let Ok(read) = W::decode(bytes)
        .map_err(drop)
        .and_then(|wire| wire.read().map_err(drop))
    else {
        return;
    };
    let written = W::write(read.clone());
    let again = W::decode(written.encode_to_vec().as_slice())
        .unwrap()
        .read();
    assert_eq!(again.unwrap(), read);
}

#[test]
fn fuzz_peer_message() {
    chat_fuzz::fuzz("peer_message", |bytes| {
        decode::<wire::CoordinatorRequest>(bytes);
        decode::<wire::CoordinatorResponse>(bytes);
        decode::<wire::ElectionRequest>(bytes);
        decode::<wire::ElectionResponse>(bytes);
        decode::<wire::GetCommitsRequest>(bytes);
        decode::<wire::GetCommitsResponse>(bytes);
        decode::<wire::GetSnapshotRequest>(bytes);
        decode::<wire::GetSnapshotResponse>(bytes);
        decode::<wire::HeartbeatRequest>(bytes);
        decode::<wire::HeartbeatResponse>(bytes);
        decode::<wire::ResignRequest>(bytes);
        decode::<wire::ResignResponse>(bytes);
        decode::<wire::ProposeRequest>(bytes);
        decode::<wire::ProposeResponse>(bytes);
        decode::<wire::ReadIndexRequest>(bytes);
        decode::<wire::ReadIndexResponse>(bytes);
    });
}
