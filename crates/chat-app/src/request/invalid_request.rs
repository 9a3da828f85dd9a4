//! Why a request is invalid: which field, and what it must be.

/// A request that every node would reject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidRequest {
    /// The field, by its name in the request: `message.body`.
    pub field: String,
    /// What it must be. Never what it was: that may be a secret.
    pub problem: String,
}

impl InvalidRequest {
    /// `field` must be what `problem` says.
    pub fn new(field: &str, problem: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            problem: problem.into(),
        }
    }
}
