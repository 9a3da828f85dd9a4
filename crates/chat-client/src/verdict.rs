//! What a failed try means: final, to be repeated, and whether it may have been carried out.

use std::error::Error;
use std::time::Duration;

use tonic::{Code, ConnectError, Status};
use tonic_types::StatusExt;

use crate::error::ClientError;

/// What to make of a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Another try would end the same.
    Final(ClientError),
    /// Worth another try.
    Again(Failure),
}

/// A try that is worth another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Whether this try may have changed something.
    pub(crate) carried_out: CarriedOut,
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
pub(crate) enum CarriedOut {
    /// Certainly not.
    No,
    /// Nobody knows.
    Maybe,
}

impl Verdict {
    /// The same of a try that asked for nothing but who is there.
    pub(crate) fn unsent(self) -> Self {
        match self {
            Self::Again(failure) => Self::Again(Failure {
                carried_out: CarriedOut::No,
                ..failure
            }),
            last @ Self::Final(_) => last,
        }
    }
}

impl Failure {
    /// A try whose time was up.
    pub(crate) fn late(timeout: Duration) -> Self {
        Self {
            carried_out: CarriedOut::Maybe,
            answered: false,
            leader: None,
            delay: Duration::ZERO,
            what: format!("no answer within {} ms", timeout.as_millis()),
        }
    }

    /// A try that ended without having changed anything.
    pub(crate) fn harmless(what: &str) -> Self {
        Self {
            carried_out: CarriedOut::No,
            answered: true,
            leader: None,
            delay: Duration::ZERO,
            what: what.to_owned(),
        }
    }
}

impl From<&Status> for Verdict {
    fn from(status: &Status) -> Self {
        match status.get_details_error_info() {
            Some(info) => server_said(status, &info.reason, info.metadata.get("leader_address")),
            None => connection_said(status),
        }
    }
}

/// The node answered, and says why it did not do what was asked.
fn server_said(status: &Status, reason: &str, leader: Option<&String>) -> Verdict {
    let carried_out = match (status.code(), reason) {
        (Code::Unavailable, "NO_LEADER" | "NOT_APPENDED" | "STOPPING") => CarriedOut::No,
        (Code::ResourceExhausted, _) | (Code::DeadlineExceeded, "TIMEOUT") => CarriedOut::No,
        // Also what a newer server may say.
        (Code::Unavailable, _) => CarriedOut::Maybe,
        _ => return rejected(status),
    };
    let delay = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    Verdict::Again(Failure {
        carried_out,
        answered: true,
        leader: leader.cloned(),
        delay: delay.unwrap_or_default(),
        what: status.message().to_owned(),
    })
}

/// No node of ours wrote this: the connection, or the library on either side, gave up.
fn connection_said(status: &Status) -> Verdict {
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented => rejected(status),
        _ => Verdict::Again(Failure {
            carried_out: if never_connected(status) {
                CarriedOut::No
            } else {
                CarriedOut::Maybe
            },
            answered: false,
            leader: None,
            delay: Duration::ZERO,
            what: explain(status),
        }),
    }
}

fn rejected(status: &Status) -> Verdict {
    Verdict::Final(ClientError::Rejected {
        code: status.code(),
        message: status.message().to_owned(),
    })
}

fn never_connected(status: &Status) -> bool {
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

    use super::{CarriedOut, Verdict};

    fn said(code: Code, reason: &str) -> Verdict {
        let mut details = ErrorDetails::with_error_info(
            reason,
            "chat.v1",
            HashMap::from([("leader_address".to_owned(), "b:1".to_owned())]),
        );
        details.set_retry_info(Some(Duration::from_millis(7)));
        Verdict::from(&Status::with_error_details(code, "said", details))
    }

    fn check(verdict: Verdict, expected: Option<CarriedOut>) {
        let carried_out = match &verdict {
            Verdict::Final(_) => None,
            Verdict::Again(failure) => Some(failure.carried_out),
        };
        assert_eq!(carried_out, expected, "{verdict:?}");
    }

    #[test]
    fn the_servers_reasons_are_understood() {
        check(said(Code::Unavailable, "NO_LEADER"), Some(CarriedOut::No));
        check(
            said(Code::Unavailable, "NOT_APPENDED"),
            Some(CarriedOut::No),
        );
        check(said(Code::Unavailable, "STOPPING"), Some(CarriedOut::No));
        check(
            said(Code::Unavailable, "OUTCOME_UNKNOWN"),
            Some(CarriedOut::Maybe),
        );
        check(
            said(Code::Unavailable, "SOMETHING_NEW"),
            Some(CarriedOut::Maybe),
        );
        check(
            said(Code::ResourceExhausted, "OVERLOADED"),
            Some(CarriedOut::No),
        );
        check(
            said(Code::DeadlineExceeded, "TIMEOUT"),
            Some(CarriedOut::No),
        );
        check(said(Code::DeadlineExceeded, "DEADLINE"), None);
        check(said(Code::InvalidArgument, "INVALID_REQUEST"), None);
        check(said(Code::Unauthenticated, "UNAUTHENTICATED"), None);
        check(said(Code::Internal, "INTERNAL"), None);
        let Verdict::Again(failure) = said(Code::Unavailable, "NO_LEADER") else {
            panic!("it is worth another try");
        };
        assert_eq!(failure.leader.as_deref(), Some("b:1"));
        assert_eq!(failure.delay, Duration::from_millis(7));
    }

    #[test]
    fn a_broken_connection_leaves_the_outcome_unknown() {
        let status = |code| Verdict::from(&Status::new(code, "h2"));
        check(status(Code::Unavailable), Some(CarriedOut::Maybe));
        check(status(Code::Unknown), Some(CarriedOut::Maybe));
        check(status(Code::Cancelled), Some(CarriedOut::Maybe));
        check(status(Code::Internal), Some(CarriedOut::Maybe));
        check(status(Code::OutOfRange), None);
        check(status(Code::Unimplemented), None);
    }
}
