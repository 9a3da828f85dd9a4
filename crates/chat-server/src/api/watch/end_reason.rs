//! Why a watch does not begin, or ends, as a gRPC status that says where to go on.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::change_buffer::TooManyWatches;
use crate::error::{DOMAIN, LeaderHint, RETRY_DELAY, RequestError};

/// Why a watch did not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WatchRejected {
    /// As any other request.
    Refused(RequestError),
    /// The node, or the account, has as many as it may.
    TooManyWatches,
}

/// Why a watch has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// Logged out, another password, or no account any more.
    SessionEnded,
    /// Changes were forgotten before the client took them.
    TooSlow,
    /// This node is going away.
    Stopping,
    /// This node may be cut off, and would not notice what happens elsewhere.
    NoLeader,
    /// The client wanted it to end now.
    Late,
}

/// The end of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WatchEnd {
    pub(crate) end_reason: EndReason,
    /// Everything before was told.
    pub(crate) cursor: String,
}

impl From<RequestError> for WatchRejected {
    fn from(refusal: RequestError) -> Self {
        Self::Refused(refusal)
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
            Self::Refused(refusal) => refusal.into_status(leader),
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
            EndReason::Late => (
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
