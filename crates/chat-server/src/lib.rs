//! One node of the chat: configuration, two listeners, and requests from JSON to reply.
//!
//! Thin on purpose: `chat-replication` decides what is replicated and in which order, `chat-store` has
//! the tables, and `chat-app` the chat's logic. This crate gives them sockets (`net`, `api`), the
//! machine's clocks and randomness (`app`), threads that hash passwords (`auth`) and a configuration.
//! Applied changes are sent to open watches (`api::watch`).
//! The program is [`config::load`], then [`node::run`].

mod api;
mod app;
mod auth;
pub mod config;
mod limits;
mod net;
pub mod node;
mod status;
