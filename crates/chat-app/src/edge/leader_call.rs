//! Calls to the leader, and the reading of its replies. A reply that is not the one expected means that
//! the outcome is unknown.

use std::time::Instant;

use bytes::Bytes;
use chat_proto::{forwarded::v1 as forwarded, storage::v1 as storage};
use chat_replication::ReadError;
use prost::Message as _;
use storage::ErrorCode;
use storage::command::Operation;
use storage::outcome::Result as Outcome;

use crate::error::RequestError;
use crate::host::Proposer;
use crate::reply::Reply;
use crate::request::RequestId;
use forwarded::request::Operation as Forwarded;
use forwarded::session_reply::Result as SessionResult;

/// The way to the leader.
#[derive(Debug)]
pub(super) struct LeaderCall<R> {
    replica: R,
}

/// The leader's answer to a request that opens a session.
#[derive(Debug)]
pub(super) enum SessionAnswer {
    Opened(forwarded::SessionOpened),
    /// With the code, because some have another meaning for the edge than for the client.
    Rejected(ErrorCode, RequestError),
}

impl<R: Proposer> LeaderCall<R> {
    pub(super) fn new(replica: R) -> Self {
        Self { replica }
    }

    pub(super) async fn ensure_linearizable(&self, deadline: Instant) -> Result<(), ReadError> {
        self.replica.ensure_linearizable(deadline).await
    }

    /// Proposes a command, which is encoded here and not again.
    pub(super) async fn command(
        &self,
        id: RequestId,
        operation: Operation,
        deadline: Instant,
    ) -> Result<Reply, RequestError> {
        let sends = matches!(operation, Operation::SendMessage(_));
        let command = storage::Command {
            request_id: Bytes::copy_from_slice(id.0.as_bytes()),
            // The leader's.
            time: 0.0,
            operation: Some(operation),
        };
        let request = forwarded::Request {
            operation: Some(Forwarded::Command(command.encode_to_vec().into())),
            request_id: Bytes::new(),
            origin: None,
        };
        let reply = self.replica.propose(encoded(&request), deadline).await?;
        let outcome = storage::Outcome::decode(reply).ok();
        match outcome.and_then(|outcome| outcome.result) {
            Some(Outcome::Sent(sent)) if sends => Ok(Reply::Sent(sent)),
            Some(Outcome::Done(storage::Done {})) if !sends => Ok(Reply::Done),
            Some(Outcome::Error(error)) => Err(RequestError::from_proto(error)),
            _ => Err(unexpected_reply()),
        }
    }

    /// Has a request for a session carried out.
    pub(super) async fn session(
        &self,
        request: &forwarded::Request,
        deadline: Instant,
    ) -> Result<SessionAnswer, RequestError> {
        let reply = self.replica.propose(encoded(request), deadline).await?;
        let reply = forwarded::SessionReply::decode(reply).ok();
        match reply.and_then(|reply| reply.result) {
            Some(SessionResult::Opened(session)) => Ok(SessionAnswer::Opened(session)),
            Some(SessionResult::Error(error)) => Ok(SessionAnswer::Rejected(
                error.code(),
                RequestError::from_proto(error),
            )),
            None => Err(unexpected_reply()),
        }
    }
}

fn encoded(request: &forwarded::Request) -> Bytes {
    request.encode_to_vec().into()
}

fn unexpected_reply() -> RequestError {
    tracing::error!("the leader's reply cannot be read; is it of another version?");
    RequestError::OutcomeUnknown
}
