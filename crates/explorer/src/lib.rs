//! Explores everything that a few nodes can do within bounds, on the shipped protocol core, with isolated nodes,
//! late messages, crashes, replaced disks, old disks that return, elections at any moment and changes of the
//! members. The simulator takes random paths through far more; this takes all paths through a little.
//!
//! Messages arrive in the order in which they were sent, but for so many that are late (delay-bounded
//! scheduling: Emmi, Qadeer, Rakamarić, 2011), and those of nodes that are isolated.
//!
//! What is not explored: time. No node's clock moves but by a few milliseconds, so that all that is
//! decided by time (pre-votes, check-quorum, who is silent) is left out, or is an action that may be taken at
//! any moment. Nor are snapshots, and a message is never delivered twice.

pub mod action;
mod disk;
mod history;
mod machine;
mod search;
pub mod world;

pub use search::{Found, Report, explore};

#[cfg(test)]
mod tests;
