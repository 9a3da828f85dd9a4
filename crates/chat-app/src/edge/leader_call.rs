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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use chat_proto::{forwarded::v1 as forwarded, storage::v1 as storage};
    use chat_replication::{ProposeError, ReadError};
    use futures::executor::block_on;
    use storage::command::Operation;
    use uuid::Uuid;

    use super::LeaderCall;
    use crate::error::RequestError;
    use crate::host::{Proposer, ReadBarrier};
    use crate::request::RequestId;

    /// A leader whose reply is always this.
    struct LeaderReplies(&'static [u8]);

    impl ReadBarrier for LeaderReplies {
        async fn ensure_linearizable(&self, _deadline: Instant) -> Result<(), ReadError> {
            Ok(())
        }
    }

    impl Proposer for LeaderReplies {
        async fn propose(&self, _: Bytes, _: Instant) -> Result<Bytes, ProposeError> {
            Ok(Bytes::from_static(self.0))
        }
    }

    /// What an older leader replies to a request that it cannot read, and one of each of its other
    /// replies; then what a leader replies that cannot read an outcome.
    #[test]
    fn reply_of_another_version_is_an_unknown_outcome() {
        const REPLIES: [&[u8]; 7] = [
            &[0x18, 9],
            &[0x22, 0],
            &[0x12, 0],
            &[0x0a, 3, 0x0a, 1, b't'],
            &[0x28, 1],
            &[0xff],
            &[],
        ];
        for reply in REPLIES {
            let leader = LeaderCall::new(LeaderReplies(reply));
            let id = RequestId(Uuid::nil());
            let logout = Operation::Logout(storage::Logout { session: None });
            let send = Operation::SendMessage(storage::SendMessage::default());
            for operation in [logout, send] {
                let result = block_on(leader.command(id, operation, Instant::now()));
                assert_eq!(result, Err(RequestError::OutcomeUnknown), "{reply:?}");
            }
            let request = forwarded::Request::default();
            let result = block_on(leader.session(&request, Instant::now()));
            let error = result.map(drop).unwrap_err();
            assert_eq!(error, RequestError::OutcomeUnknown, "{reply:?}");
        }
    }

    /// `Done` for a message, `Sent` for another command, and the replies to other types of command.
    #[test]
    fn reply_to_another_type_of_command_is_an_unknown_outcome() {
        const DONE: &[u8] = &[0x52, 0];
        const SENT: &[u8] = &[0x42, 0];
        const CREATED: &[u8] = &[0x32, 0];
        let logout = || Operation::Logout(storage::Logout { session: None });
        let send = || Operation::SendMessage(storage::SendMessage::default());
        for (reply, operation, is_known) in [
            (DONE, logout(), true),
            (SENT, send(), true),
            (DONE, send(), false),
            (SENT, logout(), false),
            (CREATED, logout(), false),
        ] {
            let leader = LeaderCall::new(LeaderReplies(reply));
            let id = RequestId(Uuid::nil());
            let result = block_on(leader.command(id, operation, Instant::now()));
            let unknown = result == Err(RequestError::OutcomeUnknown);
            assert_eq!(unknown, !is_known, "{reply:?}: {result:?}");
        }
    }
}
