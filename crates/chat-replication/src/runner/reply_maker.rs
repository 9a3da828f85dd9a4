//! Makes the reply to a client once its command is applied.

use std::fmt;

use bytes::Bytes;
use chat_consensus::LogIndex;

use crate::event::MakeReply;

/// Makes the reply to a client from the index of its command's entry and the state machine's answer.
/// It stays on the leader, so it may hold what must not be in the log, such as a fresh token. It
/// must not panic: that would stop the replica.
pub struct ReplyMaker(Option<Closure>);

type Closure = Box<dyn FnOnce(u64, Bytes) -> Bytes + Send>;

impl ReplyMaker {
    /// The state machine's answer is the reply.
    pub fn answer() -> Self {
        Self(None)
    }

    /// The reply is what `make` returns.
    pub fn new(make: impl FnOnce(u64, Bytes) -> Bytes + Send + 'static) -> Self {
        Self(Some(Box::new(make)))
    }
}

impl MakeReply for ReplyMaker {
    fn make_reply(self, index: LogIndex, answer: Bytes) -> Bytes {
        match self.0 {
            Some(make) => make(index.0, answer),
            None => answer,
        }
    }
}

impl fmt::Debug for ReplyMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyMaker").finish_non_exhaustive()
    }
}
