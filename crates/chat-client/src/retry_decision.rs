//! What a failed try means: final, to be repeated, and whether it may have been carried out.

use std::error::Error;
use std::time::Duration;

use tonic::{Code, ConnectError, Status};
use tonic_types::StatusExt;

use crate::error::ClientError;

/// What to make of a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RetryDecision {
    /// Another try would end the same.
    Final(ClientError),
    /// Worth another try.
    Retry(AttemptFailure),
}

/// A try that is worth another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttemptFailure {
    /// Whether this try may have changed something.
    pub(crate) side_effect: SideEffect,
    /// Whether a node of ours has said so itself.
    pub(crate) answered: bool,
    /// Where the leader is, if the node knows.
    pub(crate) leader: Option<String>,
    /// How long the node asks to be left alone.
    pub(crate) delay: Duration,
    /// For people.
    pub(crate) what: String,
}

/// Whether a try that has no answer took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SideEffect {
    /// Certainly not.
    None,
    /// Nobody knows.
    Possible,
}

impl RetryDecision {
    /// The same of a try that asked for nothing but who is there.
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
    /// A try whose time was up.
    pub(crate) fn timed_out(time_limit: Duration) -> Self {
        Self {
            side_effect: SideEffect::Possible,
            answered: false,
            leader: None,
            delay: Duration::ZERO,
            what: format!("no answer within {} ms", time_limit.as_millis()),
        }
    }

    /// A try that ended without having changed anything.
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

/// The node answered, and says why it did not do what was requested.
fn classify_server_status(status: &Status, reason: &str, leader: Option<&String>) -> RetryDecision {
    let side_effect = match (status.code(), reason) {
        (Code::Unavailable, "NO_LEADER" | "NOT_APPENDED" | "STOPPING") => SideEffect::None,
        (Code::ResourceExhausted, _) | (Code::DeadlineExceeded, "TIMEOUT") => SideEffect::None,
        // Also what a newer server may say.
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

/// No node of ours wrote this: the connection, or the library on either side, gave up.
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
            what: explain(status),
        }),
    }
}

fn rejected(status: &Status) -> RetryDecision {
    RetryDecision::Final(ClientError::Status {
        code: status.code(),
        message: status.message().to_owned(),
    })
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

/// The innermost cause says it best: "Connection refused".
pub(crate) fn explain(status: &Status) -> String {
    let mut cause: Option<&(dyn Error + 'static)> = status.source();
    let mut said = status.message().to_owned();
    while let Some(error) = cause {
        said = error.to_string();
        cause = error.source();
    }
    if said.is_empty() {
        status.code().description().to_owned()
    } else {
        said
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt};

    use super::{RetryDecision, SideEffect};

    fn said(code: Code, reason: &str) -> RetryDecision {
        let mut details = ErrorDetails::with_error_info(
            reason,
            "chat.v1",
            HashMap::from([("leader_address".to_owned(), "b:1".to_owned())]),
        );
        details.set_retry_info(Some(Duration::from_millis(7)));
        RetryDecision::from(&Status::with_error_details(code, "said", details))
    }

    fn check(decision: RetryDecision, expected: Option<SideEffect>) {
        let side_effect = match &decision {
            RetryDecision::Final(_) => None,
            RetryDecision::Retry(failure) => Some(failure.side_effect),
        };
        assert_eq!(side_effect, expected, "{decision:?}");
    }

    #[test]
    fn the_servers_reasons_are_understood() {
        check(said(Code::Unavailable, "NO_LEADER"), Some(SideEffect::None));
        check(
            said(Code::Unavailable, "NOT_APPENDED"),
            Some(SideEffect::None),
        );
        check(said(Code::Unavailable, "STOPPING"), Some(SideEffect::None));
        check(
            said(Code::Unavailable, "OUTCOME_UNKNOWN"),
            Some(SideEffect::Possible),
        );
        check(
            said(Code::Unavailable, "SOMETHING_NEW"),
            Some(SideEffect::Possible),
        );
        check(
            said(Code::ResourceExhausted, "OVERLOADED"),
            Some(SideEffect::None),
        );
        check(
            said(Code::DeadlineExceeded, "TIMEOUT"),
            Some(SideEffect::None),
        );
        check(said(Code::DeadlineExceeded, "DEADLINE"), None);
        check(said(Code::InvalidArgument, "INVALID_REQUEST"), None);
        check(said(Code::Unauthenticated, "UNAUTHENTICATED"), None);
        check(said(Code::Internal, "INTERNAL"), None);
        let RetryDecision::Retry(failure) = said(Code::Unavailable, "NO_LEADER") else {
            panic!("it is worth another try");
        };
        assert_eq!(failure.leader.as_deref(), Some("b:1"));
        assert_eq!(failure.delay, Duration::from_millis(7));
    }

    #[test]
    fn a_broken_connection_leaves_the_outcome_unknown() {
        let status = |code| RetryDecision::from(&Status::new(code, "h2"));
        check(status(Code::Unavailable), Some(SideEffect::Possible));
        check(status(Code::Unknown), Some(SideEffect::Possible));
        check(status(Code::Cancelled), Some(SideEffect::Possible));
        check(status(Code::Internal), Some(SideEffect::Possible));
        check(status(Code::OutOfRange), None);
        check(status(Code::Unimplemented), None);
    }
}
