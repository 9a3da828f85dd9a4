//! What the log hands to the tables.

use bytes::Bytes;
use chat_consensus::{LogIndex, Term};

/// A committed entry of the log, as the chat sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedEntry {
    /// Its place in the log.
    pub index: LogIndex,
    /// The term in which it was appended.
    pub term: Term,
    /// An encoded `storage.v1.Command`; `None` for an entry that is not the chat's.
    pub command: Option<Bytes>,
}
