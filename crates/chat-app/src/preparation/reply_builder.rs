//! The leader's replies to the node that the client reached: from the outcome of an entry, or without
//! one.

use bytes::Bytes;
use chat_proto::{forwarded::v1 as forwarded, storage::v1 as storage};
use chat_replication::{MakeReply, Prepared};
use chat_store::LogIndex;
use prost::Message as _;
use storage::outcome::Result as Outcome;

use crate::error::RequestError;
use crate::token::Token;
use forwarded::session_reply::Result as SessionResult;

/// Makes the reply once the entry is applied. It stays on the leader, because the token must not be in
/// the log.
#[derive(Debug)]
pub enum ReplyBuilder {
    /// The outcome is the reply.
    Outcome,
    /// The entry opens a session, if its outcome is a success.
    Session {
        /// Of the session.
        token: Token,
        /// Replaces [`RequestError::Unauthenticated`]: the account has changed after the leader had
        /// checked it.
        changed: RequestError,
    },
}

impl MakeReply for ReplyBuilder {
    fn make_reply(self, index: LogIndex, outcome: Bytes) -> Bytes {
        match self {
            Self::Outcome => outcome,
            Self::Session { token, changed } => session_reply(index, outcome, token, &changed),
        }
    }
}

fn session_reply(index: LogIndex, outcome: Bytes, token: Token, changed: &RequestError) -> Bytes {
    let outcome = storage::Outcome::decode(outcome).ok();
    let unread = match outcome.and_then(|outcome| outcome.result) {
        Some(Outcome::Created(_) | Outcome::Done(_)) => 0,
        Some(Outcome::SessionCreated(session)) => session.unread,
        Some(Outcome::Error(error)) if error.code() == storage::ErrorCode::Unauthenticated => {
            return encode_session(SessionResult::Error(changed.to_proto()));
        }
        Some(Outcome::Error(error)) => return encode_session(SessionResult::Error(error)),
        Some(Outcome::Sent(_)) | None => {
            // The entry is applied, so nothing may be said about it.
            tracing::error!("the outcome belongs to another type of command");
            return Bytes::new();
        }
    };
    encode_session(SessionResult::Opened(forwarded::SessionOpened {
        token: token.into_text(index),
        unread,
    }))
}

/// The reply to a message that was stored before.
pub(super) fn sent(sent: storage::Sent) -> Prepared<ReplyBuilder> {
    outcome(Outcome::Sent(sent))
}

/// The reply to a command that is not appended.
pub(super) fn error(error: &RequestError) -> Prepared<ReplyBuilder> {
    outcome(Outcome::Error(error.to_proto()))
}

/// The reply to a request for a session that is not appended.
pub(super) fn session_error(error: &RequestError) -> Prepared<ReplyBuilder> {
    Prepared::Reply(encode_session(SessionResult::Error(error.to_proto())))
}

fn outcome(result: Outcome) -> Prepared<ReplyBuilder> {
    let outcome = storage::Outcome {
        result: Some(result),
    };
    Prepared::Reply(outcome.encode_to_vec().into())
}

fn encode_session(result: SessionResult) -> Bytes {
    let reply = forwarded::SessionReply {
        result: Some(result),
    };
    reply.encode_to_vec().into()
}
