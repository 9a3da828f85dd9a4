//! Why the leader cannot prepare a request, and the error that the client's node gets for it.

use std::time::Duration;

use chat_proto::forwarded::v1::Refusal;
use chat_replication::ReadError;
use chat_store::StateError;

use crate::auth::passwords::PasswordError;
use crate::limits::quotas::Exceeded;

/// Why a request cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub(super) enum PreparationError {
    #[error("cannot decode the forwarded request")]
    Malformed,
    #[error("leadership cannot be confirmed")]
    Read(#[from] ReadError),
    #[error("an account cannot be read")]
    State(#[from] StateError),
    #[error("a password cannot be checked")]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    #[error("the operating system has no randomness")]
    Randomness(#[from] getrandom::Error),
}

impl PreparationError {
    pub(super) fn refusal(&self) -> Refusal {
        match self {
            Self::Password(PasswordError::Overloaded) | Self::Read(ReadError::Overloaded) => {
                Refusal::Overloaded
            }
            Self::Password(PasswordError::TooManyAttempts { .. }) => Refusal::TooManyAttempts,
            Self::Exceeded(Exceeded::Rate { .. }) => Refusal::TooManyRequests,
            Self::Exceeded(Exceeded::Storage) => Refusal::StorageFull,
            Self::Exceeded(Exceeded::Inbox) => Refusal::InboxFull,
            Self::Read(ReadError::NotApplied) => Refusal::Timeout,
            Self::Read(_) => Refusal::NoLeader,
            Self::Malformed | Self::State(_) | Self::Password(_) | Self::Randomness(_) => {
                Refusal::Internal
            }
        }
    }

    /// After how long another attempt makes sense, if that is known.
    pub(super) fn retry_after(&self) -> Duration {
        match self {
            Self::Password(PasswordError::TooManyAttempts { after })
            | Self::Exceeded(Exceeded::Rate { after }) => *after,
            _ => Duration::ZERO,
        }
    }
}
