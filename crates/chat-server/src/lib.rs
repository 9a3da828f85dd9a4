//! One node of the chat: configuration, two listeners, and requests from JSON to reply.
//!
//! Thin on purpose: what is replicated and in which order is `chat-replication`'s business, what the
//! tables hold is `chat-store`'s. A request is checked on the node that the client reached
//! ([`api::request`]), prepared on the leader ([`app::preparation`]: clock, random numbers, passwords), applied
//! everywhere ([`app::state_machine`]), and answered where it came in (`api::execute`). What is applied is told to
//! those who watch (`api::watch`).
//! The program is [`config::load`], then [`node::run`].

pub mod api;
pub mod app;
pub mod auth;
pub mod config;
pub mod error;
mod limits;
pub mod net;
pub mod node;
