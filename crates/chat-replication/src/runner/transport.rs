//! How a replica reaches the others, as an embedder may write it.

use std::future::Future;

use chat_consensus::Envelope;

use crate::peer_message::{PeerReply, PeerRequest};
use crate::runner::group_name::GroupName;
use crate::runner::state_machine::BoxError;

/// What a message takes at most, in bytes: larger than the largest answer to a fetch, a full batch and
/// one entry over it.
pub const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// How a replica reaches the others. What they send to it is delivered to its
/// [`PeerReceiver`](crate::PeerReceiver).
pub trait Transport: Send + 'static {
    /// The way to one node.
    type Link: PeerLink;

    /// Prepares to send to the replica of `group` at `address`; does not wait for a connection.
    ///
    /// # Errors
    ///
    /// When nothing can be sent to such an address, whatever the network looks like.
    fn connect(&self, address: &str, group: &GroupName) -> Result<Self::Link, BoxError>;
}

/// The way to one node. A message may be lost, delayed and reordered; it must never be changed,
/// delivered to another node's replica, or delivered to another group's.
pub trait PeerLink: Send + Sync + 'static {
    /// Sends a request, once, and returns the reply to it. Many may be under way; the caller drops one
    /// that takes too long.
    ///
    /// # Errors
    ///
    /// There will be no reply. The request may have been delivered.
    fn call(
        &self,
        request: Envelope<PeerRequest>,
    ) -> impl Future<Output = Result<Envelope<PeerReply>, BoxError>> + Send;

    /// Whether the node is certainly gone, because it refuses a new connection right now; `false` when
    /// that is not known. Asked when a call has failed, so that a leader whose process ended is
    /// replaced at once (R17).
    fn is_refused(&self) -> impl Future<Output = bool> + Send {
        std::future::ready(false)
    }
}
