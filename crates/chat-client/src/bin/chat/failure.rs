//! Why a command failed, and the exit code that says so.

use std::process::ExitCode;

use chat_client::ClientError;

/// The server said no.
const REFUSED: u8 = 1;
/// The command or its settings are wrong.
pub(crate) const USAGE: u8 = 2;
/// No node could serve the request.
pub(crate) const UNAVAILABLE: u8 = 3;
/// It may have been done.
const OUTCOME_UNKNOWN: u8 = 4;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What somebody typed, or a file says, cannot be used.
    #[error("{0}")]
    Usage(String),
    /// An operator's call did not work.
    #[error("{0}")]
    Unavailable(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Client(ClientError::Refused { .. } | ClientError::Rejected { .. }) => REFUSED,
            Self::Client(ClientError::Unusable(_)) | Self::Usage(_) => USAGE,
            Self::Client(ClientError::OutcomeUnknown { .. } | ClientError::NotUnderstood(_)) => {
                OUTCOME_UNKNOWN
            }
            Self::Client(_) | Self::Unavailable(_) => UNAVAILABLE,
        })
    }
}

#[cfg(test)]
mod tests {
    use chat_client::ClientError;
    use std::process::ExitCode;

    use super::Failure;

    fn check(failure: impl Into<Failure>, code: u8) {
        let failure = failure.into();
        assert_eq!(failure.exit_code(), ExitCode::from(code), "{failure:?}");
    }

    #[test]
    fn exit_codes_are_as_documented() {
        let text = || "x".to_owned();
        check(
            ClientError::Refused {
                code: text(),
                message: text(),
            },
            1,
        );
        check(
            ClientError::Rejected {
                code: tonic::Code::Unauthenticated,
                message: text(),
            },
            1,
        );
        check(ClientError::Unusable(text()), 2);
        check(Failure::Usage(text()), 2);
        check(ClientError::Unavailable { last: text() }, 3);
        check(Failure::Unavailable(text()), 3);
        check(ClientError::OutcomeUnknown { last: text() }, 4);
    }
}
