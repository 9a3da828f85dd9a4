//! The gRPC status of a request that was not carried out.

use std::collections::HashMap;

use chat_app::error::{RequestError, Shown};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The `domain` of `ErrorInfo`.
pub(crate) const DOMAIN: &str = "chat.v1";

/// The current leader, so that the client can send the next request there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaderHint {
    /// The node.
    pub(crate) id: u64,
    /// Where clients connect to it.
    pub(crate) address: String,
}

/// The status that the client sees.
pub(crate) fn into_status(error: RequestError, leader: Option<LeaderHint>) -> Status {
    let (code, reason) = match error.shown() {
        Shown::Status { code, reason } => (Code::from_i32(code as i32), reason),
        // It should have been sent as a reply.
        Shown::Reply { error_code } => (Code::Internal, error_code),
    };
    let mut metadata = HashMap::new();
    if let (Code::Unavailable, Some(leader)) = (code, leader) {
        metadata.insert("leader_id".to_owned(), leader.id.to_string());
        metadata.insert("leader_address".to_owned(), leader.address);
    }
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
    if let RequestError::Invalid(invalid) = &error {
        details.add_bad_request_violation(&invalid.field, &invalid.problem);
    }
    if let Some(after) = error.retry_after() {
        details.set_retry_info(Some(after));
    }
    Status::with_error_details(code, error.to_string(), details)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chat_app::error::RequestError;
    use chat_app::request::ChatRequest;
    use chat_store::ChatState;
    use expect_test::expect;
    use tonic_types::StatusExt;

    use super::{LeaderHint, into_status};

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
            RequestError::CopiesFull,
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
                let status = into_status(error, leader());
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
            ResourceExhausted COPIES_FULL -: the sender has too many copies of sent messages, this attempt changed nothing
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
    }

    #[test]
    fn status_has_field_violations_and_retry_delay() {
        let invalid = into_status(
            RequestError::Invalid(ChatRequest::parse("{}").unwrap_err()),
            None,
        );
        let violations = invalid.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations.len(), 1);
        let overloaded = into_status(RequestError::Overloaded, None);
        assert!(
            overloaded
                .get_details_retry_info()
                .unwrap()
                .retry_delay
                .is_some()
        );
    }
}
