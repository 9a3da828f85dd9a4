//! The input of applying.

use bytes::Bytes;
use chat_consensus::{LogIndex, Term};

/// A committed entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedEntry {
    /// Its index in the log.
    pub index: LogIndex,
    /// The term in which it was appended.
    pub term: Term,
    /// An encoded `storage.v1.Command`; `None` for an entry that is not a command.
    pub command: Option<Bytes>,
}
