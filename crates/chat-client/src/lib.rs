//! A client of the chat that finds its way: to the node that leads, past nodes that do not answer,
//! and through fail-overs, without doing anything twice.
//!
//! ```no_run
//! # async fn example() -> Result<(), chat_client::ClientError> {
//! let client = chat_client::ChatClient::new(["127.0.0.1:7401", "127.0.0.1:7402"])?;
//! let alice = client.sign_up("alice", "a password").await?;
//! client.send(&alice, "bob", "Hello!").await?;
//! let page = client.inbox(&alice, &chat_client::InboxQuery::default()).await?;
//! println!("{} of {} are new", page.unread, page.messages.len());
//! # Ok(())
//! # }
//! ```
//!
//! # The contract of use
//!
//! 1. Make one [`ChatClient`] and clone it: clones share one connection to each node, made when it
//!    is first needed. It must live inside a tokio runtime with time and network enabled.
//! 2. A request is tried on one node after the other, under one request id, until a node answers or
//!    the deadline passes. Every request is idempotent by its ids, so a try that was carried out and
//!    whose answer was lost changes nothing when it is repeated.
//! 3. `Ok` means durable on a majority. [`ClientError::Application`] and [`ClientError::Status`] are
//!    final: repeating the same changes nothing. After [`ClientError::Unavailable`] nothing was
//!    changed. After [`ClientError::OutcomeUnknown`] the request may have been carried out or may
//!    still be: repeat it with the same ids to learn which, for a message with
//!    [`ChatClient::send_message`].
//! 4. [`ChatClient::watch`] tells what happens to an inbox, in order, without a gap and without a
//!    repetition, whichever node serves it. Keep its [`Cursor`] to go on after a restart; after
//!    [`WatchEvent::Resync`] fetch the inbox again.
//! 5. A request can be abandoned by dropping its future; that leaves its outcome unknown.
//! 6. A [`Session`] that knows its cluster ([`Session::of_cluster`]) is sent only to nodes that say
//!    they are of it; keep [`ChatClient::cluster_id`] beside the token.
//! 7. Addresses that nobody named come from a file that only this user can have written:
//!    [`ClusterFile::nearest`].
//! 8. Passwords leave this library as their SHA-256 only, which is as good as the password to
//!    whoever sees it: connect over networks that you trust.

mod accounts;
mod client;
mod cluster_file;
mod connection;
mod error;
mod messages;
mod node_list;
mod node_pool;
mod node_selector;
mod node_status;
mod password;
mod requests;
mod retry_budget;
mod retry_decision;
mod search;
mod session;
mod status;
mod status_code;
mod watch;

pub use client::ChatClient;
pub use cluster_file::{ClusterFile, TrustProblem, UntrustedClusterFile};
pub use error::ClientError;
pub use messages::OutgoingMessage;
pub use node_list::{KnownNode, NodeList, NodeListError, NodeListOrigin};
pub use node_status::{FollowerStatus, NodeStatus};
pub use requests::{Commit, InboxPage, InboxQuery, Message, Sent, UsersPage, UsersQuery};
pub use session::{LoggedIn, Session};
pub use status::NodeReport;
pub use status_code::{FieldViolation, StatusCode};
pub use watch::{Cursor, Watch, WatchEvent, WatchState, WatchUpdate};
