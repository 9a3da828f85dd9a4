//! Why a command failed, and its exit code.

use std::io;
use std::process::ExitCode;

use chat_client::{ClientError, NodeListError, StatusCode};
use serde_json::json;

use crate::arguments::Format;
use crate::stderr::warn;

/// The server rejected the request.
const REJECTED: u8 = 1;
/// The command or its settings are wrong.
pub(crate) const USAGE: u8 = 2;
/// No node could serve the request.
const UNAVAILABLE: u8 = 3;
/// It may have been done.
const OUTCOME_UNKNOWN: u8 = 4;
/// It was done, and the result could not be written.
const UNWRITABLE: u8 = 5;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    /// An argument, or the content of a file, cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The cluster rejected an operator's command.
    #[error("{0}")]
    Rejected(String),
    /// An operator's command failed.
    #[error("{0}")]
    Unavailable(String),
    /// An operator's command may have been done, or is not done yet.
    #[error("{0}")]
    OutcomeUnknown(String),
    /// The reader of standard output has closed it. This is not an error.
    #[error("output was closed")]
    OutputClosed,
    /// Writing to standard output failed.
    #[error("cannot write the result: {0}")]
    Unwritable(io::Error),
}

impl From<NodeListError> for Failure {
    fn from(error: NodeListError) -> Self {
        Self::Usage(match error {
            NodeListError::Untrusted(file) => {
                format!("{file} and is not used; name the nodes with --nodes or --config")
            }
            error => error.to_string(),
        })
    }
}

impl Failure {
    pub(crate) fn from_write(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::Unwritable(error)
        }
    }

    /// Writes the failure to standard error.
    pub(crate) fn report(&self, format: Format) {
        match format {
            _ if matches!(self, Self::OutputClosed) => {}
            Format::Table => warn(&format!("chat: {self}{}", self.advice())),
            Format::Json => {
                let (code, exit_code, message) = (self.code(), self.number(), self.to_string());
                let error = json!({"code": code, "message": message, "exit_code": exit_code});
                warn(&json!({"error": error}).to_string());
            }
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.number())
    }

    fn number(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Client(ClientError::Application { .. } | ClientError::Status { .. })
            | Self::Rejected(_) => REJECTED,
            Self::Client(ClientError::InvalidInput(_) | ClientError::OtherCluster { .. })
            | Self::Usage(_) => USAGE,
            Self::Client(ClientError::OutcomeUnknown { .. } | ClientError::Decode(_))
            | Self::OutcomeUnknown(_) => OUTCOME_UNKNOWN,
            Self::Client(_) | Self::Unavailable(_) => UNAVAILABLE,
            Self::Unwritable(_) => UNWRITABLE,
        }
    }

    /// For programs: the server's code, or the meaning of the exit code.
    fn code(&self) -> &str {
        match self {
            Self::Client(ClientError::Application { code, .. }) => code,
            Self::Client(ClientError::Status { code, .. }) => match code {
                StatusCode::Unauthenticated => "unauthenticated",
                StatusCode::PermissionDenied => "permission_denied",
                StatusCode::InvalidArgument => "invalid_argument",
                _ => "rejected",
            },
            Self::Client(ClientError::OtherCluster { .. }) => "other_cluster",
            _ => match self.number() {
                REJECTED => "rejected",
                USAGE => "usage",
                OUTCOME_UNKNOWN => "outcome_unknown",
                UNWRITABLE => "unwritable",
                _ => "unavailable",
            },
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Client(error) if error.is_unauthenticated() => {
                "; `chat login NAME` opens a new session"
            }
            Self::Client(ClientError::OtherCluster { .. }) => {
                "; to use that cluster, log in there with `chat login NAME`"
            }
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::process::ExitCode;

    use chat_client::{ClientError, StatusCode};

    use super::Failure;

    fn check(failure: impl Into<Failure>, code: &str, number: u8) {
        let failure = failure.into();
        assert_eq!(failure.exit_code(), ExitCode::from(number), "{failure:?}");
        assert_eq!((failure.code(), failure.number()), (code, number));
    }

    #[test]
    fn exit_codes_are_as_documented() {
        let text = || "x".to_owned();
        let rejected = ClientError::Application {
            code: "username_taken".to_owned(),
            message: text(),
        };
        check(rejected, "username_taken", 1);
        let unauthenticated = ClientError::Status {
            code: StatusCode::Unauthenticated,
            message: text(),
            violations: Vec::new(),
        };
        check(unauthenticated, "unauthenticated", 1);
        check(ClientError::InvalidInput(text()), "usage", 2);
        let other = ClientError::OtherCluster {
            address: text(),
            expected: text(),
            found: text(),
        };
        check(other, "other_cluster", 2);
        check(Failure::Usage(text()), "usage", 2);
        let unavailable = ClientError::Unavailable {
            answered: false,
            last: text(),
        };
        check(unavailable, "unavailable", 3);
        check(Failure::Unavailable(text()), "unavailable", 3);
        check(Failure::Rejected(text()), "rejected", 1);
        check(Failure::OutcomeUnknown(text()), "outcome_unknown", 4);
        let unknown = ClientError::OutcomeUnknown { last: text() };
        check(unknown, "outcome_unknown", 4);
        check(ClientError::Decode(text()), "outcome_unknown", 4);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        check(Failure::from_write(full), "unwritable", 5);
        let gone = Failure::from_write(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(gone.number(), 0);
    }
}
