//! Why a watch does not begin, or ends, as a gRPC status with the cursor to continue from.

use std::collections::HashMap;

use chat_app::error::{RETRY_DELAY, RequestError};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::change_buffer::TooManyWatches;
use crate::status::{DOMAIN, LeaderHint, into_status};

/// Why a watch did not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WatchRejected {
    /// For a reason that other requests can have, too.
    Request(RequestError),
    /// The node, or the account, has as many watches as allowed.
    TooManyWatches,
}

/// Why a watch has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// The session was logged out, or the password was changed, or the account was deleted.
    SessionEnded,
    /// Changes were dropped from the buffer before the client took them.
    TooSlow,
    /// This node is shutting down.
    Stopping,
    /// This node may be isolated, and would then miss what happens on other nodes.
    NoLeader,
    /// The client's deadline for the watch has passed.
    DeadlinePassed,
}

/// The end of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WatchEnd {
    pub(crate) end_reason: EndReason,
    /// The client has received everything before it.
    pub(crate) cursor: String,
}

impl From<RequestError> for WatchRejected {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<TooManyWatches> for WatchRejected {
    fn from(TooManyWatches: TooManyWatches) -> Self {
        Self::TooManyWatches
    }
}

impl WatchRejected {
    /// The status that the client sees.
    pub(crate) fn into_status(self, leader: Option<LeaderHint>) -> Status {
        match self {
            Self::Request(error) => into_status(error, leader),
            Self::TooManyWatches => {
                let mut details =
                    ErrorDetails::with_error_info("TOO_MANY_WATCHES", DOMAIN, HashMap::new());
                details.set_retry_info(Some(RETRY_DELAY));
                let message = "too many watches are open, of this account or on this node";
                Status::with_error_details(Code::ResourceExhausted, message, details)
            }
        }
    }
}

impl WatchEnd {
    /// The status that ends the stream.
    pub(crate) fn into_status(self, leader: Option<LeaderHint>) -> Status {
        let (code, reason, message) = match self.end_reason {
            EndReason::SessionEnded => (
                Code::Unauthenticated,
                "SESSION_ENDED",
                "the session has ended",
            ),
            EndReason::TooSlow => (
                Code::ResourceExhausted,
                "TOO_SLOW",
                "the client was too slow; go on from the cursor",
            ),
            EndReason::Stopping => (
                Code::Unavailable,
                "STOPPING",
                "the node is stopping; go on from the cursor on another one",
            ),
            EndReason::NoLeader => (
                Code::Unavailable,
                "NO_LEADER",
                "the node knows no leader; go on from the cursor on another one",
            ),
            EndReason::DeadlinePassed => (
                Code::DeadlineExceeded,
                "DEADLINE",
                "the deadline of the watch has passed",
            ),
        };
        let mut metadata = HashMap::from([("cursor".to_owned(), self.cursor)]);
        if let (Code::Unavailable, Some(leader)) = (code, leader) {
            metadata.insert("leader_id".to_owned(), leader.id.to_string());
            metadata.insert("leader_address".to_owned(), leader.address);
        }
        let details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
        Status::with_error_details(code, message, details)
    }
}
