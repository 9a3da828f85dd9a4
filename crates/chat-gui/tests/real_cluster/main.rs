//! The whole window against real servers: three processes of `chat-server`, killed and paused, and
//! the window used as a person would, by labels and keys.
//!
//! Deliberately absent: pixels. What is read is what a screen reader is told, and the model.

mod account;
mod convergence;
mod delivery;
mod ledger;
mod other_cluster;
mod restart;
mod sign_in;
mod window;
