//! Why a request is invalid: which field, and what it must be.

/// A request that no server would carry out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidRequest {
    /// Where, in the request's own names: `message.body`.
    pub field: String,
    /// What it must be. Never what it was: it may be a secret.
    pub problem: String,
}

impl InvalidRequest {
    pub(crate) fn new(field: &str, problem: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            problem: problem.into(),
        }
    }
}
