//! Any error of an embedder's.

/// Any error of an embedder's.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
