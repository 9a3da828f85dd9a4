//! An embeddable replicated log.
//!
//! (The contract of use comes with the runner.)

mod event;
mod peer_message;
mod replica;

pub use event::{Effect, EntriesReadId, Event, Origin, ProposalTicket, ReadTicket, ReplicaStatus};
pub use peer_message::{PeerBody, PeerMessage, ProposeOutcome, Refusal};
pub use replica::{Limits, Replica, Start};
