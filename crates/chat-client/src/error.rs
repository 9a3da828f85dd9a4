//! Why a request has no answer that its caller wanted.

/// Why a request failed; what may be assumed afterwards differs, see the variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The chat said no: the name is taken, the recipient does not exist. Nothing was changed.
    #[error("{message}")]
    Application {
        /// For programs, such as `username_taken`.
        code: String,
        /// For people.
        message: String,
    },
    /// The server would not even try: the request is malformed, or the session not valid (any
    /// more). Nothing was changed.
    #[error("{message}")]
    Status {
        /// Why, in gRPC's terms.
        code: tonic::Code,
        /// For people.
        message: String,
    },
    /// Nobody carried it out before the deadline. Nothing was changed.
    #[error("no node could serve the request: {last}")]
    Unavailable {
        /// Whether a node has answered at all, if only to say that it cannot do it now: the cluster
        /// has no leader then, or too much to do.
        answered: bool,
        /// What the last node that was tried said, or what happened to the connection.
        last: String,
    },
    /// It may have been carried out, may still be, or may never: repeat it under the same ids.
    #[error("the outcome is unknown: {last}")]
    OutcomeUnknown {
        /// What the last node that was tried said, or what happened to the connection.
        last: String,
    },
    /// A node answered what this version cannot decode.
    #[error("the reply is not understood: {0}")]
    Decode(String),
    /// A node is of another cluster than the session, whose token it was not sent.
    #[error(
        "the node at {address} is of another cluster ({found}) than this session ({expected}); it \
         was not sent the session"
    )]
    OtherCluster {
        /// Where the node was asked.
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
