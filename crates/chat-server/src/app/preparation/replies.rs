//! The leader's answers to the node that the client reached: from the outcome of an entry, or without
//! one.

use std::time::Duration;

use bytes::Bytes;
use chat_proto::{forwarded::v1 as forwarded, storage::v1 as storage};
use chat_store::LogIndex;
use prost::Message as _;

use crate::auth::token::Token;
use forwarded::Refusal;
use forwarded::answer::Result as AnswerResult;

/// `index` is that of the entry, which has opened the session if the outcome is a success.
pub(super) fn session_reply(
    (index, outcome): (u64, Bytes),
    token: Token,
    unauthenticated: Refusal,
) -> Bytes {
    let unread = match result(outcome) {
        Some(storage::outcome::Result::Created(_) | storage::outcome::Result::Done(_)) => 0,
        Some(storage::outcome::Result::SessionCreated(session)) => session.unread,
        other => return error_reply(refusal(other, unauthenticated)),
    };
    answer(AnswerResult::SessionOpened(forwarded::SessionOpened {
        token: token.into_text(LogIndex(index)),
        unread,
    }))
}

pub(super) fn sent_reply(outcome: Bytes) -> Bytes {
    match result(outcome) {
        Some(storage::outcome::Result::Sent(sent_reply)) => answer(AnswerResult::Sent(sent_reply)),
        other => error_reply(refusal(other, Refusal::Unauthenticated)),
    }
}

pub(super) fn ok_reply(outcome: Bytes) -> Bytes {
    match result(outcome) {
        Some(storage::outcome::Result::Done(ok_reply)) => answer(AnswerResult::Done(ok_reply)),
        other => error_reply(refusal(other, Refusal::Unauthenticated)),
    }
}

fn result(outcome: Bytes) -> Option<storage::outcome::Result> {
    storage::Outcome::decode(outcome).ok()?.result
}

/// `unauthenticated` is the error for an account that changed after the leader had checked it.
fn refusal(outcome: Option<storage::outcome::Result>, unauthenticated: Refusal) -> Refusal {
    let Some(storage::outcome::Result::Error(error)) = outcome else {
        return Refusal::Internal;
    };
    match error.code() {
        storage::ErrorCode::UsernameTaken => Refusal::UsernameTaken,
        storage::ErrorCode::AlreadyCreatedByThisRequest => Refusal::AlreadyCreatedByThisRequest,
        storage::ErrorCode::AlreadyChangedByThisRequest => Refusal::AlreadyChangedByThisRequest,
        storage::ErrorCode::RecipientNotFound => Refusal::RecipientNotFound,
        storage::ErrorCode::DuplicateMessage => Refusal::DuplicateMessage,
        storage::ErrorCode::Unauthenticated => unauthenticated,
        storage::ErrorCode::Unspecified => Refusal::Internal,
    }
}

pub(super) fn error_reply(refusal: Refusal) -> Bytes {
    error_reply_after(refusal, Duration::ZERO)
}

pub(super) fn error_reply_after(refusal: Refusal, retry_after: Duration) -> Bytes {
    let answer = forwarded::Answer {
        result: Some(AnswerResult::Refused(refusal.into())),
        // Rounded up: a client that retries after exactly this time is not too early.
        retry_after_ms: u32::try_from(retry_after.as_micros().div_ceil(1_000)).unwrap_or(u32::MAX),
    };
    answer.encode_to_vec().into()
}

pub(super) fn answer(result: AnswerResult) -> Bytes {
    let answer = forwarded::Answer {
        result: Some(result),
        retry_after_ms: 0,
    };
    answer.encode_to_vec().into()
}
