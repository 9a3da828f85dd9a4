//! Replies of the leader that the edge does not expect.

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
