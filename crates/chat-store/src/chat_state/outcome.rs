//! Encoded outcomes, which the proposer of a command receives.

use bytes::Bytes;
use chat_consensus::Position;
use chat_proto::storage::v1 as proto;
use prost::Message as _;

use super::credential::Credential;

pub(super) fn created(credential: Credential) -> Bytes {
    let credential = proto::Credential {
        incarnation: credential.incarnation.0,
        version: credential.version.0,
    };
    encode(proto::outcome::Result::Created(proto::Created {
        credential: Some(credential),
    }))
}

pub(super) fn session_created(unread: u64) -> Bytes {
    encode(proto::outcome::Result::SessionCreated(
        proto::SessionCreated { unread },
    ))
}

pub(super) fn sent(id: &str, timestamp: f64, commit: Position) -> Bytes {
    encode(proto::outcome::Result::Sent(proto::Sent {
        id: id.to_owned(),
        timestamp,
        commit_index: commit.index.0,
        commit_term: commit.term.0,
    }))
}

pub(super) fn done() -> Bytes {
    encode(proto::outcome::Result::Done(proto::Done {}))
}

pub(super) fn username_taken() -> Bytes {
    error(proto::ErrorCode::UsernameTaken)
}

pub(super) fn already_created_by_this_request() -> Bytes {
    error(proto::ErrorCode::AlreadyCreatedByThisRequest)
}

pub(super) fn already_changed_by_this_request() -> Bytes {
    error(proto::ErrorCode::AlreadyChangedByThisRequest)
}

pub(super) fn recipient_not_found() -> Bytes {
    error(proto::ErrorCode::RecipientNotFound)
}

pub(super) fn duplicate_message() -> Bytes {
    error(proto::ErrorCode::DuplicateMessage)
}

pub(super) fn unauthenticated() -> Bytes {
    error(proto::ErrorCode::Unauthenticated)
}

fn error(code: proto::ErrorCode) -> Bytes {
    encode(proto::outcome::Result::Error(proto::Error {
        code: code.into(),
        retry_after_ms: 0,
    }))
}

fn encode(result: proto::outcome::Result) -> Bytes {
    proto::Outcome {
        result: Some(result),
    }
    .encode_to_vec()
    .into()
}
