//! How the reply to a proposal is made of the state machine's answer.

use std::fmt;

use bytes::Bytes;
use chat_consensus::LogIndex;
use chat_replication::MakeReply;

use crate::simulation::command::PREFIX_BYTES;

/// Makes the reply of a service from the service's part of the answer; without one, the answer is the
/// reply.
pub struct ReplyMaker(Option<Make>);

type Make = Box<dyn FnOnce(LogIndex, Bytes) -> Bytes + Send>;

impl ReplyMaker {
    /// The answer is the reply.
    pub fn answer() -> Self {
        Self(None)
    }

    /// The reply is what `make` returns.
    pub fn new(make: impl FnOnce(LogIndex, Bytes) -> Bytes + Send + 'static) -> Self {
        Self(Some(Box::new(make)))
    }
}

impl MakeReply for ReplyMaker {
    fn make_reply(self, index: LogIndex, answer: Bytes) -> Bytes {
        let Some(make) = self.0 else {
            return answer;
        };
        let reply = make(index, answer.slice(PREFIX_BYTES..));
        Bytes::from([&answer[..PREFIX_BYTES], &reply].concat())
    }
}

impl fmt::Debug for ReplyMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReplyMaker")
            .field(&self.0.is_some())
            .finish()
    }
}
