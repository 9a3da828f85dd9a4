//! One node of the chat: configuration, two listeners, and requests from JSON to reply.
//!
//! Thin on purpose: `chat-replication` decides what is replicated and in which order, `chat-store` has
//! the tables. A request is checked on the node that the client reached ([`api::request`]), prepared
//! on the leader ([`app::preparation`]: clock, random numbers, passwords), applied on every node
//! ([`app::state_machine`]), and answered by the node that the client reached (`api::execute`).
//! Applied changes are sent to open watches (`api::watch`).
//! The program is [`config::load`], then [`node::run`].

pub mod api;
pub mod app;
pub mod auth;
pub mod config;
pub mod error;
mod limits;
pub mod net;
pub mod node;
