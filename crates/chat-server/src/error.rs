//! Why a request was not carried out, and the one table from that to a gRPC status.
//!
//! The errors of the chat itself (a name that is taken, a recipient who does not exist) are replies
//! and are not here: see `api::reply`.

use std::collections::HashMap;
use std::time::Duration;

use chat_replication::{ProposeError, ReadError};
use chat_store::StateError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::api::request::InvalidRequest;

/// The `domain` of `ErrorInfo`.
pub(crate) const DOMAIN: &str = "chat.v1";

/// The retry delay of an overloaded node. Clients add their own jitter.
pub(crate) const RETRY_DELAY: Duration = Duration::from_millis(50);

/// How long a full disk or inbox stays full at least: something has to be deleted first.
const STORAGE_RETRY_DELAY: Duration = Duration::from_secs(10);

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is malformed; every node would reject it.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// There is no token, or it is not valid.
    #[error("a valid session token is needed")]
    Unauthenticated,
    /// The request names another account than that of the session.
    #[error("{field}: must be the account of the session")]
    PermissionDenied {
        /// The field that names it.
        field: &'static str,
    },
    /// Too many requests are queued.
    #[error("the node is overloaded, nothing was changed")]
    Overloaded,
    /// There were too many wrong passwords.
    #[error("too many wrong passwords, nothing is tried for {} seconds", after.as_secs_f64().ceil())]
    TooManyAttempts {
        /// For how long attempts are rejected.
        after: Duration,
    },
    /// It was not answered in time, for another reason than a missing leader.
    #[error("the deadline has passed, nothing was changed")]
    Timeout,
    /// The account makes requests above its rate.
    #[error("the account makes too many requests at once, this attempt changed nothing")]
    TooManyRequests {
        /// When there is room.
        after: Duration,
    },
    /// The recipient has to delete messages first.
    #[error("the recipient's inbox is full, this attempt changed nothing")]
    InboxFull,
    /// The leader's disk is nearly full.
    #[error("the servers have no room left, this attempt changed nothing; deleting is possible")]
    StorageFull,
    /// No leader could be found in time.
    #[error("no leader was found in time, nothing was changed")]
    NoLeader,
    /// The leader did not append it.
    #[error("the leader did not accept the request in time, nothing was changed")]
    NotAppended,
    /// It may have been carried out. The same request may be repeated.
    #[error("the outcome is unknown; repeat the same request to learn it")]
    OutcomeUnknown,
    /// This node is shutting down.
    #[error("the node is stopping, nothing was changed")]
    Stopping,
    /// An internal error; the node's log has the details.
    #[error("internal error, see the node's log")]
    Internal,
}

/// The current leader, so that the client can send the next request there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderHint {
    /// The node.
    pub id: u64,
    /// Where clients connect to it.
    pub address: String,
}

impl RequestError {
    /// The code, and the `reason` of `ErrorInfo`.
    fn row(&self) -> (Code, &'static str) {
        match self {
            Self::Invalid(_) => (Code::InvalidArgument, "INVALID_REQUEST"),
            Self::Unauthenticated => (Code::Unauthenticated, "UNAUTHENTICATED"),
            Self::PermissionDenied { .. } => (Code::PermissionDenied, "NOT_YOURS"),
            Self::Overloaded => (Code::ResourceExhausted, "OVERLOADED"),
            Self::TooManyAttempts { .. } => (Code::ResourceExhausted, "TOO_MANY_ATTEMPTS"),
            Self::TooManyRequests { .. } => (Code::ResourceExhausted, "TOO_MANY_REQUESTS"),
            Self::StorageFull => (Code::ResourceExhausted, "STORAGE_FULL"),
            Self::InboxFull => (Code::ResourceExhausted, "INBOX_FULL"),
            Self::Timeout => (Code::DeadlineExceeded, "TIMEOUT"),
            Self::NoLeader => (Code::Unavailable, "NO_LEADER"),
            Self::NotAppended => (Code::Unavailable, "NOT_APPENDED"),
            Self::OutcomeUnknown => (Code::Unavailable, "OUTCOME_UNKNOWN"),
            Self::Stopping => (Code::Unavailable, "STOPPING"),
            Self::Internal => (Code::Internal, "INTERNAL"),
        }
    }

    /// The error for tables that cannot be read: all readers are busy, or reading failed. Only a failure
    /// is logged.
    pub(crate) fn log_read_error(error: &StateError) -> Self {
        if error.is_busy() {
            return Self::Overloaded;
        }
        let source = std::error::Error::source(error);
        tracing::error!(%error, ?source, "the state cannot be read");
        Self::Internal
    }

    /// The status that the client sees.
    pub fn into_status(self, leader: Option<LeaderHint>) -> Status {
        let (code, reason) = self.row();
        let mut metadata = HashMap::new();
        if let (Code::Unavailable, Some(leader)) = (code, leader) {
            metadata.insert("leader_id".to_owned(), leader.id.to_string());
            metadata.insert("leader_address".to_owned(), leader.address);
        }
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
        match &self {
            Self::Invalid(invalid) => {
                details.add_bad_request_violation(&invalid.field, &invalid.problem);
            }
            Self::Overloaded => {
                details.set_retry_info(Some(RETRY_DELAY));
            }
            Self::StorageFull | Self::InboxFull => {
                details.set_retry_info(Some(STORAGE_RETRY_DELAY));
            }
            Self::TooManyAttempts { after } | Self::TooManyRequests { after } => {
                details.set_retry_info(Some(*after));
            }
            _ => {}
        }
        Status::with_error_details(code, self.to_string(), details)
    }
}

impl From<ProposeError> for RequestError {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::NoLeader => Self::NoLeader,
            ProposeError::NotAppended { .. } => Self::NotAppended,
            ProposeError::Overloaded => Self::Overloaded,
            ProposeError::Stopped => Self::Stopping,
            // The edge's limits are below the log's.
            ProposeError::TooLarge { .. } => Self::Internal,
            // A variant that is unknown here must not be reported as harmless.
            _ => Self::OutcomeUnknown,
        }
    }
}

impl From<ReadError> for RequestError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Overloaded => Self::Overloaded,
            ReadError::Stopped => Self::Stopping,
            // A leader is there; the tables are behind.
            ReadError::NotApplied => Self::Timeout,
            _ => Self::NoLeader,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chat_replication::{ProposeError, ReadError};
    use chat_store::{ChatState, StateError};
    use expect_test::expect;
    use tonic_types::StatusExt;

    use super::{LeaderHint, RequestError};
    use crate::api::request::ChatRequest;

    fn leader() -> Option<LeaderHint> {
        Some(LeaderHint {
            id: 2,
            address: "127.0.0.1:7402".to_owned(),
        })
    }

    #[test]
    fn every_error_has_a_status() {
        let errors = [
            RequestError::Invalid(ChatRequest::parse("{}").unwrap_err()),
            RequestError::Unauthenticated,
            RequestError::PermissionDenied { field: "username" },
            RequestError::Overloaded,
            RequestError::TooManyAttempts {
                after: Duration::from_millis(1_500),
            },
            RequestError::TooManyRequests {
                after: Duration::from_millis(15),
            },
            RequestError::StorageFull,
            RequestError::InboxFull,
            RequestError::Timeout,
            RequestError::NoLeader,
            RequestError::NotAppended,
            RequestError::OutcomeUnknown,
            RequestError::Stopping,
            RequestError::Internal,
        ];
        let rows: Vec<String> = errors
            .into_iter()
            .map(|error| {
                let status = error.into_status(leader());
                let info = status.get_details_error_info().unwrap();
                let named = info
                    .metadata
                    .get("leader_address")
                    .map_or("-", String::as_str);
                format!(
                    "{:?} {} {named}: {}",
                    status.code(),
                    info.reason,
                    status.message()
                )
            })
            .collect();
        expect![[r#"
            InvalidArgument INVALID_REQUEST -: request: missing field `request_type` at line 1 column 2
            Unauthenticated UNAUTHENTICATED -: a valid session token is needed
            PermissionDenied NOT_YOURS -: username: must be the account of the session
            ResourceExhausted OVERLOADED -: the node is overloaded, nothing was changed
            ResourceExhausted TOO_MANY_ATTEMPTS -: too many wrong passwords, nothing is tried for 2 seconds
            ResourceExhausted TOO_MANY_REQUESTS -: the account makes too many requests at once, this attempt changed nothing
            ResourceExhausted STORAGE_FULL -: the servers have no room left, this attempt changed nothing; deleting is possible
            ResourceExhausted INBOX_FULL -: the recipient's inbox is full, this attempt changed nothing
            DeadlineExceeded TIMEOUT -: the deadline has passed, nothing was changed
            Unavailable NO_LEADER 127.0.0.1:7402: no leader was found in time, nothing was changed
            Unavailable NOT_APPENDED 127.0.0.1:7402: the leader did not accept the request in time, nothing was changed
            Unavailable OUTCOME_UNKNOWN 127.0.0.1:7402: the outcome is unknown; repeat the same request to learn it
            Unavailable STOPPING 127.0.0.1:7402: the node is stopping, nothing was changed
            Internal INTERNAL -: internal error, see the node's log"#]].assert_eq(&rows.join("\n"));
    }

    #[tokio::test]
    async fn busy_readers_are_reported_as_overload() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let opening = tokio::task::spawn_blocking(move || ChatState::open(&path));
        let (_state, reader) = opening.await.unwrap().unwrap();
        let mut reading = Vec::new();
        let error = loop {
            match reader.begin().await {
                Ok(transaction) => reading.push(transaction),
                Err(error) => break error,
            }
            assert!(reading.len() < 1_000, "readers have a limit");
        };
        assert_eq!(
            RequestError::log_read_error(&error),
            RequestError::Overloaded
        );
        let damaged = StateError::Damaged { table: "messages" };
        assert_eq!(
            RequestError::log_read_error(&damaged),
            RequestError::Internal
        );
    }

    #[test]
    fn status_has_field_violations_and_retry_delay() {
        let invalid =
            RequestError::Invalid(ChatRequest::parse("{}").unwrap_err()).into_status(None);
        let violations = invalid.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations.len(), 1);
        let overloaded = RequestError::Overloaded.into_status(None);
        assert!(
            overloaded
                .get_details_retry_info()
                .unwrap()
                .retry_delay
                .is_some()
        );
    }

    // E-11: a slow state machine is not reported as a missing leader.
    #[test]
    fn read_that_is_not_applied_in_time_is_a_timeout() {
        assert_eq!(
            RequestError::from(ReadError::NotApplied),
            RequestError::Timeout
        );
        assert_eq!(
            RequestError::from(ReadError::NoLeader),
            RequestError::NoLeader
        );
        assert_eq!(
            RequestError::from(ReadError::Overloaded),
            RequestError::Overloaded
        );
        assert_eq!(
            RequestError::from(ReadError::Stopped),
            RequestError::Stopping
        );
    }

    #[test]
    fn only_an_unknown_outcome_is_reported_as_unknown() {
        let request_error = |error| RequestError::from(error);
        assert_eq!(
            request_error(ProposeError::Unknown),
            RequestError::OutcomeUnknown
        );
        assert_eq!(
            request_error(ProposeError::NoLeader),
            RequestError::NoLeader
        );
        assert_eq!(
            request_error(ProposeError::NotAppended { leader_id: Some(1) }),
            RequestError::NotAppended
        );
        assert_eq!(
            request_error(ProposeError::Overloaded),
            RequestError::Overloaded
        );
        assert_eq!(request_error(ProposeError::Stopped), RequestError::Stopping);
    }
}
