//! A client of the chat. It finds the leader, skips nodes that do not answer, and retries a request
//! through a fail-over so that it is carried out at most once.
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
//! 1. Create one [`ChatClient`] and clone it: clones share one connection to each node, which is
//!    opened when it is first needed. Use it inside a tokio runtime with time and network enabled.
//! 2. A request is tried on one node after the other, with one request id, until a node replies or
//!    the deadline passes. Every request is idempotent by its ids: an attempt that was carried out
//!    and whose reply was lost changes nothing when it is repeated.
//! 3. `Ok` means durable on a majority. [`ClientError::Application`] and [`ClientError::Status`] are
//!    final: a repetition fails in the same way. After [`ClientError::Unavailable`] nothing was
//!    changed. After [`ClientError::OutcomeUnknown`] the request may have been carried out or may
//!    still be: repeat it with the same ids to learn which, for a message with
//!    [`ChatClient::send_message`].
//! 4. [`ChatClient::watch`] delivers the events of an inbox in order, without a gap and without a
//!    repetition, whichever node serves it. Keep its [`Cursor`] to resume after a restart; after
//!    [`WatchEvent::Resync`] fetch the inbox again.
//! 5. A request is abandoned by dropping its future; its outcome is unknown then.
//! 6. A [`Session`] that knows its cluster ([`Session::of_cluster`]) is sent only to nodes that report
//!    this cluster; keep [`ChatClient::cluster_id`] beside the token.
//! 7. [`NodeList::find`] finds the nodes. Addresses that were not named come from a file that only
//!    this user or root can have written ([`UntrustedClusterFile`]), or are the default addresses.
//! 8. [`ChatClient::finding_members`] finds the other nodes from those that were named. Keep the
//!    [`NodeStatus::members`] of a cluster beside its id, and pass them to
//!    [`ChatClient::add_members`] after a restart.
//! 9. A password leaves this library only as its SHA-256. A person who sees the digest can use it
//!    like the password: connect over networks that you trust.

mod accounts;
mod client;
mod connection;
mod error;
mod leadership_transfer;
mod members;
mod messages;
mod node_list;
mod node_pool;
mod node_selector;
mod node_status;
mod operator;
mod password;
mod requests;
mod retry_budget;
mod retry_decision;
mod search;
mod session;
mod status;
mod status_code;
mod stored_on;
mod watch;

pub use client::ChatClient;
pub use devcluster_api::UntrustedClusterFile;
pub use error::ClientError;
pub use leadership_transfer::{TransferError, transfer_leadership};
pub use messages::{OutgoingMessage, SendOptions};
pub use node_list::{KnownNode, NodeList, NodeListError, NodeListOrigin};
pub use node_status::{
    FollowerStatus, Member, MemberReport, NodeStatus, SnapshotDownload, SnapshotStatus,
};
pub use operator::{MemberAddresses, MembersChange, Operator, OperatorError};
pub use requests::{
    Commit, Direction, DirectionFilter, InboxPage, InboxQuery, Message, Sent, StoredMessage,
    UsersPage, UsersQuery,
};
pub use session::{LoggedIn, Session};
pub use status::NodeReport;
pub use status_code::{FieldViolation, StatusCode};
pub use stored_on::{LogReport, StoredOn};
pub use watch::{Cursor, Watch, WatchEvent, WatchState, WatchUpdate};
