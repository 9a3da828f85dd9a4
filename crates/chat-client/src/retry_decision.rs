//! What the outcome of a failed attempt means: whether the request is tried again, and whether the
//! attempt may have changed something.

use std::error::Error;
use std::time::Duration;

use tonic::{Code, ConnectError, Status};
use tonic_types::StatusExt;

use crate::error::ClientError;
use crate::status_code::FieldViolation;

/// What follows from a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RetryDecision {
    /// Another attempt would fail in the same way.
    Final(ClientError),
    /// Another attempt may succeed.
    Retry(AttemptFailure),
}

/// An attempt that failed and may be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttemptFailure {
    /// Whether this attempt may have changed something.
    pub(crate) side_effect: SideEffect,
    /// Whether a node of the chat reported the failure itself.
    pub(crate) answered: bool,
    /// The leader's address, if the node knows it.
    pub(crate) leader: Option<String>,
    /// How long the client has to wait, as the node requests.
    pub(crate) delay: Duration,
    /// For people.
    pub(crate) what: String,
}

/// Whether an attempt without a reply took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SideEffect {
    /// Certainly not.
    None,
    /// This cannot be known.
    Possible,
}

impl RetryDecision {
    /// The same decision about a call that cannot change anything.
    pub(crate) fn without_side_effect(self) -> Self {
        match self {
            Self::Retry(failure) => Self::Retry(AttemptFailure {
                side_effect: SideEffect::None,
                ..failure
            }),
            last @ Self::Final(_) => last,
        }
    }
}

impl AttemptFailure {
    /// An attempt without a reply within its time limit.
    pub(crate) fn timed_out(time_limit: Duration) -> Self {
        Self {
            side_effect: SideEffect::Possible,
            answered: false,
            leader: None,
            delay: Duration::ZERO,
            what: format!("no answer within {} ms", time_limit.as_millis()),
        }
    }

    /// An attempt that ended without having changed anything.
    pub(crate) fn without_side_effect(what: &str) -> Self {
        Self {
            side_effect: SideEffect::None,
            answered: true,
            leader: None,
            delay: Duration::ZERO,
            what: what.to_owned(),
        }
    }
}

impl From<&Status> for RetryDecision {
    fn from(status: &Status) -> Self {
        match status.get_details_error_info() {
            Some(info) => {
                classify_server_status(status, &info.reason, info.metadata.get("leader_address"))
            }
            None => classify_transport_status(status),
        }
    }
}

/// A status that the node itself made, with its reason.
fn classify_server_status(status: &Status, reason: &str, leader: Option<&String>) -> RetryDecision {
    let side_effect = match (status.code(), reason) {
        (Code::Unavailable, "NO_LEADER" | "NOT_APPENDED" | "STOPPING") => SideEffect::None,
        // It stays so until copies are deleted, on every node.
        (Code::ResourceExhausted, "COPIES_FULL") => {
            let what = status.message().to_owned();
            return RetryDecision::Final(ClientError::CopiesFull(what));
        }
        (Code::ResourceExhausted, _) | (Code::DeadlineExceeded, "TIMEOUT") => SideEffect::None,
        // Also a reason that only a newer server knows.
        (Code::Unavailable, _) => SideEffect::Possible,
        _ => return rejected(status),
    };
    let delay = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    RetryDecision::Retry(AttemptFailure {
        side_effect,
        answered: true,
        leader: leader.cloned(),
        delay: delay.unwrap_or_default(),
        what: status.message().to_owned(),
    })
}

/// A status that no node of the chat made: it comes from the connection, or from the gRPC library on
/// either side.
fn classify_transport_status(status: &Status) -> RetryDecision {
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented => rejected(status),
        _ => RetryDecision::Retry(AttemptFailure {
            side_effect: if is_connect_error(status) {
                SideEffect::None
            } else {
                SideEffect::Possible
            },
            answered: false,
            leader: None,
            delay: Duration::ZERO,
            what: innermost_message(status),
        }),
    }
}

fn rejected(status: &Status) -> RetryDecision {
    RetryDecision::Final(ClientError::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        violations: violations(status),
    })
}

fn violations(status: &Status) -> Vec<FieldViolation> {
    let details = status.get_details_bad_request();
    let violations = details.into_iter().flat_map(|it| it.field_violations);
    violations
        .map(|violation| FieldViolation {
            field: violation.field,
            description: violation.description,
        })
        .collect()
}

fn is_connect_error(status: &Status) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The message of the innermost cause, which is the clearest: "Connection refused".
pub(crate) fn innermost_message(status: &Status) -> String {
    let mut cause: Option<&(dyn Error + 'static)> = status.source();
    let mut message = status.message().to_owned();
    while let Some(error) = cause {
        message = error.to_string();
        cause = error.source();
    }
    if message.is_empty() {
        status.code().description().to_owned()
    } else {
        message
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt};

    use super::{RetryDecision, SideEffect};

    fn server_status(code: Code, reason: &str) -> RetryDecision {
        let mut details = ErrorDetails::with_error_info(
            reason,
            "chat.v1",
            HashMap::from([("leader_address".to_owned(), "b:1".to_owned())]),
        );
        details.set_retry_info(Some(Duration::from_millis(7)));
        RetryDecision::from(&Status::with_error_details(code, "message", details))
    }

    fn check(decision: RetryDecision, expected: Option<SideEffect>) {
        let side_effect = match &decision {
            RetryDecision::Final(_) => None,
            RetryDecision::Retry(failure) => Some(failure.side_effect),
        };
        assert_eq!(side_effect, expected, "{decision:?}");
    }

    #[test]
    fn server_reason_decides_about_the_retry() {
        check(
            server_status(Code::Unavailable, "NO_LEADER"),
            Some(SideEffect::None),
        );
        check(
            server_status(Code::Unavailable, "NOT_APPENDED"),
            Some(SideEffect::None),
        );
        check(
            server_status(Code::Unavailable, "STOPPING"),
            Some(SideEffect::None),
        );
        check(
            server_status(Code::Unavailable, "OUTCOME_UNKNOWN"),
            Some(SideEffect::Possible),
        );
        check(
            server_status(Code::Unavailable, "SOMETHING_NEW"),
            Some(SideEffect::Possible),
        );
        check(
            server_status(Code::ResourceExhausted, "OVERLOADED"),
            Some(SideEffect::None),
        );
        check(server_status(Code::ResourceExhausted, "COPIES_FULL"), None);
        check(
            server_status(Code::DeadlineExceeded, "TIMEOUT"),
            Some(SideEffect::None),
        );
        check(server_status(Code::DeadlineExceeded, "DEADLINE"), None);
        check(
            server_status(Code::InvalidArgument, "INVALID_REQUEST"),
            None,
        );
        check(
            server_status(Code::Unauthenticated, "UNAUTHENTICATED"),
            None,
        );
        check(server_status(Code::Internal, "INTERNAL"), None);
        let RetryDecision::Retry(failure) = server_status(Code::Unavailable, "NO_LEADER") else {
            panic!("it can be repeated");
        };
        assert_eq!(failure.leader.as_deref(), Some("b:1"));
        assert_eq!(failure.delay, Duration::from_millis(7));
    }

    #[test]
    fn broken_connection_leaves_the_outcome_unknown() {
        let status = |code| RetryDecision::from(&Status::new(code, "h2"));
        check(status(Code::Unavailable), Some(SideEffect::Possible));
        check(status(Code::Unknown), Some(SideEffect::Possible));
        check(status(Code::Cancelled), Some(SideEffect::Possible));
        check(status(Code::Internal), Some(SideEffect::Possible));
        check(status(Code::OutOfRange), None);
        check(status(Code::Unimplemented), None);
    }

    #[test]
    fn field_violations_are_kept() {
        let mut details =
            ErrorDetails::with_error_info("INVALID_REQUEST", "chat.v1", HashMap::new());
        details.add_bad_request_violation("username", "must be short");
        let status = Status::with_error_details(Code::InvalidArgument, "no", details);
        let RetryDecision::Final(error) = RetryDecision::from(&status) else {
            panic!("a rejection is final");
        };
        let violation = error.violation("username").map(ToString::to_string);
        assert_eq!(violation.as_deref(), Some("username: must be short"));
        assert_eq!(error.violation("password"), None);
        assert!(!error.is_unauthenticated());
    }
}
