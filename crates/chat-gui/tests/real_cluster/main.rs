//! The whole window against real servers: three processes of `chat-server`, killed and paused, and
//! the window used as a person would, by labels and keys.
//!
//! Deliberately absent: pixels. Tests read what a screen reader reads, and the model.

mod account;
mod banner;
mod convergence;
mod delivery;
mod fake_server;
mod fixture;
mod history;
mod ledger;
mod other_cluster;
mod restart;
mod sign_in;
mod window;
