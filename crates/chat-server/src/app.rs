//! What the chat's logic and the replica need of each other and of the machine.

pub(crate) mod host;
pub(crate) mod replication;
