//! What the tests of several crates need; only `[dev-dependencies]` name this crate.
//!
//! Deliberately absent: what one crate alone needs, which stays in its tests, and everything that
//! runs several nodes, which is in `chat-tests`. Every function panics when the machine refuses what
//! it needs, because the test cannot go on then.

mod local_cluster;
mod server;

pub use local_cluster::{cluster_state, write_cluster_file};
pub use server::{serve, unused_address};
