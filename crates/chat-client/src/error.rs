//! Why a request failed, and what its caller may assume afterwards.

use crate::status_code::{FieldViolation, StatusCode};

/// Why a request failed. What may be assumed afterwards depends on the variant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The chat rejected the request: the name is taken, the recipient does not exist. Nothing was
    /// changed.
    #[error("{message}")]
    Application {
        /// For programs, such as `username_taken`.
        code: String,
        /// For people.
        message: String,
    },
    /// The server did not try the request: it is malformed, or the session is not valid (any more).
    /// Nothing was changed.
    #[error("{message}")]
    Status {
        /// The code of the gRPC status.
        code: StatusCode,
        /// For people.
        message: String,
        /// The fields that were not accepted; empty unless the code is
        /// [`StatusCode::InvalidArgument`].
        violations: Vec<FieldViolation>,
    },
    /// The account has as many copies of sent messages as it may: delete some, or send without a copy.
    /// This attempt changed nothing; an earlier one with the same ids may have been carried out.
    #[error("{0}")]
    CopiesFull(String),
    /// No node carried the request out before the deadline. Nothing was changed.
    #[error("no node could serve the request: {last}")]
    Unavailable {
        /// Whether any node answered. If one did, the cluster has no leader, or is overloaded.
        answered: bool,
        /// What the last node replied, or what happened to its connection.
        last: String,
    },
    /// The request may have been carried out, may still be, or may never be: repeat it with the same
    /// ids.
    #[error("the outcome is unknown: {last}")]
    OutcomeUnknown {
        /// What the last node replied, or what happened to its connection.
        last: String,
    },
    /// A node sent a reply that this version cannot decode.
    #[error("cannot decode the reply: {0}")]
    Decode(String),
    /// A node belongs to another cluster than the session. The token was not sent to it.
    #[error(
        "the node at {address} belongs to another cluster ({found}) than this session ({expected}); \
         the session was not sent to it"
    )]
    OtherCluster {
        /// The node's address.
        address: String,
        /// The cluster of the session.
        expected: String,
        /// The cluster of the node.
        found: String,
    },
    /// An address or a token cannot be used.
    #[error("{0}")]
    InvalidInput(String),
}

impl ClientError {
    /// Whether the session is not valid, or not valid any more.
    pub fn is_unauthenticated(&self) -> bool {
        matches!(
            self,
            Self::Status {
                code: StatusCode::Unauthenticated,
                ..
            }
        )
    }

    /// What is wrong with this field of the request, if the server rejected it.
    pub fn violation(&self, field: &str) -> Option<&FieldViolation> {
        match self {
            Self::Status { violations, .. } => {
                violations.iter().find(|violation| violation.field == field)
            }
            _ => None,
        }
    }
}
