//! The messages between replicas, generated from `proto/replication`.
//!
//! Nothing is written by hand here: `chat-replication` converts to types that cannot be wrong.

#![expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "the generator decides how its code looks, and there is no other code here"
)]

/// Package `replication.v1`; peer listener only.
pub mod v1 {
    include!("generated/replication.v1.rs");
}
