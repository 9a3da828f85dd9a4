//! The desktop window of the chat, as a library so that tests can drive it.
//!
//! State, picture, action: [`model`] holds everything that is shown and decides what happens; views
//! draw it and return what the person wants ([`model::action`]); [`backend`] talks to servers and
//! disk on a thread of its own. Only commands and events cross between the two.
//!
//! Deliberately absent: the protocol, retries within one request and the search for the leader, all
//! of which are the client library's.

pub mod app;
pub mod backend;
pub mod demo;
pub mod local_store;
pub mod message_list;
pub mod model;
pub mod shortcuts;
pub mod theme;
pub mod views;
