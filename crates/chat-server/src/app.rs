//! The chat's part in replication: preparation of requests on the leader, and application of
//! committed entries on every node.

pub(crate) mod log_clock;
pub mod preparation;
pub mod state_machine;
