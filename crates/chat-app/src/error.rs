//! Why a request was not carried out, and the one table from the store's and the leader's codes to
//! what the client sees.

use std::time::Duration;

use chat_proto::storage::v1 as storage;
use chat_replication::{ProposeError, ReadError};
use chat_store::StateError;
use storage::ErrorCode;

use crate::host::PasswordError;
use crate::request::InvalidRequest;

/// The retry delay of an overloaded node. Clients add their own jitter.
pub const RETRY_DELAY: Duration = Duration::from_millis(50);

/// How long a full disk or inbox stays full at least: something has to be deleted first.
const STORAGE_RETRY_DELAY: Duration = Duration::from_secs(10);

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Another account has that name.
    #[error("Username already exists.")]
    UsernameTaken,
    /// No such account, or not its password.
    #[error("Invalid username or password.")]
    InvalidCredentials,
    /// No account has that name.
    #[error("Recipient does not exist.")]
    RecipientNotFound,
    /// Another message has that id.
    #[error("Another message has this id already.")]
    DuplicateMessage,
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
    /// The sender has to delete copies first, or to send without one.
    #[error("the sender has too many copies of sent messages, this attempt changed nothing")]
    CopiesFull,
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

/// How a client sees an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A reply of the chat, with the exercise's text: [`RequestError`] as text.
    Reply {
        /// What programs compare.
        error_code: &'static str,
    },
    /// A gRPC status.
    Status {
        /// Its code.
        code: StatusCode,
        /// The `reason` of `ErrorInfo`.
        reason: &'static str,
    },
}

/// The gRPC status codes that are used, with their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum StatusCode {
    /// The request is malformed.
    InvalidArgument = 3,
    /// It took too long.
    DeadlineExceeded = 4,
    /// The session may not do this.
    PermissionDenied = 7,
    /// A limit is reached.
    ResourceExhausted = 8,
    /// The node has a fault.
    Internal = 13,
    /// Another attempt, perhaps on another node, may succeed.
    Unavailable = 14,
    /// There is no valid session.
    Unauthenticated = 16,
}

impl RequestError {
    /// The table: what the leader sends for it, if it can be the leader's, and what the client sees.
    fn row(&self) -> (Option<ErrorCode>, Shown) {
        let reply = |error_code| Shown::Reply { error_code };
        let status = |code, reason| Shown::Status { code, reason };
        use StatusCode as Code;
        match self {
            Self::UsernameTaken => (Some(ErrorCode::UsernameTaken), reply("username_taken")),
            Self::InvalidCredentials => (
                Some(ErrorCode::InvalidCredentials),
                reply("invalid_credentials"),
            ),
            Self::RecipientNotFound => (
                Some(ErrorCode::RecipientNotFound),
                reply("recipient_not_found"),
            ),
            Self::DuplicateMessage => (
                Some(ErrorCode::DuplicateMessage),
                reply("duplicate_message"),
            ),
            Self::Invalid(_) => (None, status(Code::InvalidArgument, "INVALID_REQUEST")),
            Self::Unauthenticated => (
                Some(ErrorCode::Unauthenticated),
                status(Code::Unauthenticated, "UNAUTHENTICATED"),
            ),
            Self::PermissionDenied { .. } => (None, status(Code::PermissionDenied, "NOT_YOURS")),
            Self::Overloaded => (
                Some(ErrorCode::Overloaded),
                status(Code::ResourceExhausted, "OVERLOADED"),
            ),
            Self::TooManyAttempts { .. } => (
                Some(ErrorCode::TooManyAttempts),
                status(Code::ResourceExhausted, "TOO_MANY_ATTEMPTS"),
            ),
            Self::TooManyRequests { .. } => (
                Some(ErrorCode::TooManyRequests),
                status(Code::ResourceExhausted, "TOO_MANY_REQUESTS"),
            ),
            Self::StorageFull => (
                Some(ErrorCode::StorageFull),
                status(Code::ResourceExhausted, "STORAGE_FULL"),
            ),
            Self::InboxFull => (
                Some(ErrorCode::InboxFull),
                status(Code::ResourceExhausted, "INBOX_FULL"),
            ),
            Self::CopiesFull => (
                Some(ErrorCode::CopiesFull),
                status(Code::ResourceExhausted, "COPIES_FULL"),
            ),
            Self::Timeout => (
                Some(ErrorCode::Timeout),
                status(Code::DeadlineExceeded, "TIMEOUT"),
            ),
            Self::NoLeader => (
                Some(ErrorCode::NoLeader),
                status(Code::Unavailable, "NO_LEADER"),
            ),
            Self::NotAppended => (None, status(Code::Unavailable, "NOT_APPENDED")),
            Self::OutcomeUnknown => (None, status(Code::Unavailable, "OUTCOME_UNKNOWN")),
            Self::Stopping => (None, status(Code::Unavailable, "STOPPING")),
            Self::Internal => (
                Some(ErrorCode::Internal),
                status(Code::Internal, "INTERNAL"),
            ),
        }
    }

    /// How the client sees it.
    pub fn shown(&self) -> Shown {
        self.row().1
    }

    /// After how long another attempt makes sense, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded => Some(RETRY_DELAY),
            Self::StorageFull | Self::InboxFull | Self::CopiesFull => Some(STORAGE_RETRY_DELAY),
            Self::TooManyAttempts { after } | Self::TooManyRequests { after } => Some(*after),
            _ => None,
        }
    }

    /// The message in which the leader reports it.
    pub(crate) fn to_proto(&self) -> storage::Error {
        let after = match self {
            Self::TooManyAttempts { after } | Self::TooManyRequests { after } => *after,
            _ => Duration::ZERO,
        };
        storage::Error {
            code: self.row().0.unwrap_or(ErrorCode::Internal).into(),
            // Rounded up: a client that retries after exactly this time is not too early.
            retry_after_ms: u32::try_from(after.as_micros().div_ceil(1_000)).unwrap_or(u32::MAX),
        }
    }

    /// From the message of the leader.
    pub(crate) fn from_proto(error: storage::Error) -> Self {
        let after = Duration::from_millis(error.retry_after_ms.into());
        match error.code() {
            ErrorCode::UsernameTaken => Self::UsernameTaken,
            ErrorCode::RecipientNotFound => Self::RecipientNotFound,
            ErrorCode::DuplicateMessage => Self::DuplicateMessage,
            ErrorCode::Unauthenticated => Self::Unauthenticated,
            ErrorCode::InvalidCredentials => Self::InvalidCredentials,
            ErrorCode::Overloaded => Self::Overloaded,
            ErrorCode::TooManyAttempts => Self::TooManyAttempts { after },
            ErrorCode::TooManyRequests => Self::TooManyRequests { after },
            ErrorCode::StorageFull => Self::StorageFull,
            ErrorCode::InboxFull => Self::InboxFull,
            ErrorCode::CopiesFull => Self::CopiesFull,
            ErrorCode::Timeout => Self::Timeout,
            ErrorCode::NoLeader => Self::NoLeader,
            ErrorCode::Internal => Self::Internal,
            // The edge looks closer when it gets one of these. If that shows the same again, another
            // attempt of the request is on its way.
            ErrorCode::AlreadyCreatedByThisRequest | ErrorCode::AlreadyChangedByThisRequest => {
                Self::OutcomeUnknown
            }
            // Of a newer node: nothing is known about it.
            ErrorCode::Unspecified => Self::OutcomeUnknown,
        }
    }

    /// The error for tables that cannot be read: all readers are busy, or reading failed. Only a failure
    /// is logged.
    pub fn log_read_error(error: &StateError) -> Self {
        if error.is_busy() {
            return Self::Overloaded;
        }
        let source = std::error::Error::source(error);
        tracing::error!(%error, ?source, "the state cannot be read");
        Self::Internal
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

impl From<PasswordError> for RequestError {
    /// Logs what is a fault of the node.
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Overloaded => Self::Overloaded,
            PasswordError::TooManyAttempts { after } => Self::TooManyAttempts { after },
            PasswordError::Hash(_) => {
                tracing::error!(%error, "a password cannot be checked");
                Self::Internal
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chat_proto::storage::v1 as storage;
    use chat_replication::{ProposeError, ReadError};
    use chat_store::StateError;
    use expect_test::expect;
    use storage::ErrorCode;

    use super::{RequestError, Shown};

    /// Every code that the leader may send.
    fn codes() -> Vec<ErrorCode> {
        (1..)
            .map_while(|number| ErrorCode::try_from(number).ok())
            .collect()
    }

    #[test]
    fn every_code_has_one_meaning_for_the_client() {
        let rows: Vec<String> = codes()
            .into_iter()
            .map(|code| {
                let error = RequestError::from_proto(storage::Error {
                    code: code.into(),
                    retry_after_ms: 1_500,
                });
                let shown = match error.shown() {
                    Shown::Reply { error_code } => format!("reply {error_code}"),
                    Shown::Status { code, reason } => format!("{code:?} {reason}"),
                };
                format!("{}: {shown}", code.as_str_name())
            })
            .collect();
        expect![[r#"
            ERROR_CODE_USERNAME_TAKEN: reply username_taken
            ERROR_CODE_ALREADY_CREATED_BY_THIS_REQUEST: Unavailable OUTCOME_UNKNOWN
            ERROR_CODE_RECIPIENT_NOT_FOUND: reply recipient_not_found
            ERROR_CODE_DUPLICATE_MESSAGE: reply duplicate_message
            ERROR_CODE_UNAUTHENTICATED: Unauthenticated UNAUTHENTICATED
            ERROR_CODE_ALREADY_CHANGED_BY_THIS_REQUEST: Unavailable OUTCOME_UNKNOWN
            ERROR_CODE_INVALID_CREDENTIALS: reply invalid_credentials
            ERROR_CODE_OVERLOADED: ResourceExhausted OVERLOADED
            ERROR_CODE_TOO_MANY_ATTEMPTS: ResourceExhausted TOO_MANY_ATTEMPTS
            ERROR_CODE_TOO_MANY_REQUESTS: ResourceExhausted TOO_MANY_REQUESTS
            ERROR_CODE_STORAGE_FULL: ResourceExhausted STORAGE_FULL
            ERROR_CODE_INBOX_FULL: ResourceExhausted INBOX_FULL
            ERROR_CODE_TIMEOUT: DeadlineExceeded TIMEOUT
            ERROR_CODE_NO_LEADER: Unavailable NO_LEADER
            ERROR_CODE_INTERNAL: Internal INTERNAL
            ERROR_CODE_COPIES_FULL: ResourceExhausted COPIES_FULL"#]]
        .assert_eq(&rows.join("\n"));
    }

    #[test]
    fn error_of_the_leader_reads_back_from_its_message() {
        for code in codes() {
            let sent = storage::Error {
                code: code.into(),
                retry_after_ms: 0,
            };
            let error = RequestError::from_proto(sent);
            let own = matches!(
                code,
                ErrorCode::AlreadyCreatedByThisRequest | ErrorCode::AlreadyChangedByThisRequest
            );
            assert_eq!(error.to_proto() == sent, !own, "{error:?}");
        }
        let after = Duration::from_micros(1_200);
        let sent = RequestError::TooManyRequests { after }.to_proto();
        assert_eq!(sent.retry_after_ms, 2, "rounded up");
    }

    // R15: an earlier attempt may have been carried out, whatever a newer leader reports.
    #[test]
    fn unknown_code_is_an_unknown_outcome() {
        for code in [0, 1_000, -1] {
            let sent = storage::Error {
                code,
                retry_after_ms: 0,
            };
            let error = RequestError::from_proto(sent);
            assert_eq!(error, RequestError::OutcomeUnknown, "{code}");
        }
    }

    #[test]
    fn damaged_table_is_an_internal_error() {
        let damaged = StateError::Damaged { table: "messages" };
        assert_eq!(
            RequestError::log_read_error(&damaged),
            RequestError::Internal
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
