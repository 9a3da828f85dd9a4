//! Outcomes in the encoding of the first release, which numbered their fields otherwise. They are
//! stored nowhere, so only their meaning must stay the same.

use chat_proto::storage::v1 as proto;
use prost::Message;
use proto::outcome::Result as Outcome;

#[derive(Clone, PartialEq, Message)]
struct FirstOutcome {
    #[prost(oneof = "FirstResult", tags = "1, 2, 3, 4, 5")]
    result: Option<FirstResult>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum FirstResult {
    #[prost(message, tag = "1")]
    Created(proto::Created),
    #[prost(message, tag = "2")]
    SessionCreated(proto::SessionCreated),
    #[prost(message, tag = "3")]
    Sent(proto::Sent),
    #[prost(message, tag = "4")]
    Error(proto::Error),
    #[prost(message, tag = "5")]
    Done(proto::Done),
}

/// What the first release would have made of an outcome; empty where an entry has none.
pub(crate) fn encode(outcome: &[u8]) -> Vec<u8> {
    let outcome = proto::Outcome::decode(outcome).unwrap().result;
    let result = outcome.map(|outcome| match outcome {
        Outcome::Created(created) => FirstResult::Created(created),
        Outcome::SessionCreated(created) => FirstResult::SessionCreated(created),
        Outcome::Sent(sent) => FirstResult::Sent(sent),
        Outcome::Error(error) => FirstResult::Error(error),
        Outcome::Done(done) => FirstResult::Done(done),
    });
    FirstOutcome { result }.encode_to_vec()
}
