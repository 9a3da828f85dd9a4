//! What entries are read from the log for.

use chat_consensus::EntriesReply;

/// What entries are read from the log for.
#[derive(Debug)]
pub(super) enum LogRead {
    /// To be put into this answer to a follower.
    Serve(EntriesReply),
    /// To be applied.
    Apply,
}
