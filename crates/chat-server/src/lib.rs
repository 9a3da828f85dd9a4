//! One node of the chat: configuration, two listeners, and requests from JSON to reply.
//!
//! Thin on purpose: what is replicated and in which order is `chat-replication`'s business, what the
//! tables hold is `chat-store`'s. A request is checked on the node that the client reached
//! ([`request`]), prepared on the leader ([`preparation`]: clock, random numbers, passwords), applied
//! everywhere ([`state_machine`]), and answered where it came in (`execute`). What is applied is told to
//! those who watch (`watch`).
//! The program is [`config::load`], then [`node::run`].

mod admission;
mod authorize;
mod chat_service;
mod cluster_service;
pub mod config;
mod connection_limit;
mod deadline;
mod execute;
mod file_limit;
mod health;
mod housekeeping;
mod identity;
mod inbox_room;
mod listener;
mod listings;
mod log_clock;
pub mod node;
pub mod origin;
mod password_places;
pub mod passwords;
mod peer_socket;
pub mod preparation;
mod private_directory;
mod quotas;
mod rarely;
mod read_turns;
mod recent;
pub mod refusal;
pub mod reply;
pub mod request;
mod reset;
mod session_lookup;
mod sessions;
pub mod state_machine;
pub mod token;
mod token_bucket;
mod watch;
