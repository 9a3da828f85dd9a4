//! The chat's part in replication: preparation of requests on the leader, and application of
//! committed entries on every node.

pub(crate) mod host;
pub(crate) mod preparation;
pub(crate) mod state_machine;
