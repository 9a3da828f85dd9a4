//! The leader's part of every change, as the replica calls it.

use std::sync::Arc;

use bytes::Bytes;
use chat_app::preparation::{LeaderPreparation, Preparing, ReplyBuilder};
use chat_replication::{LeaderContext, MakeReply as _, Preparation, Prepare, Prepared, ReplyMaker};
use chat_store::LogIndex;

use crate::app::host::{LeadingReplica, Machine};
use crate::auth::passwords::Passwords;

/// Prepares requests in the event loop where that needs nothing that waits, and in a task otherwise.
#[derive(Debug)]
pub(crate) struct ChatPreparation(pub(crate) LeaderPreparation<Passwords, Machine>);

impl Prepare for ChatPreparation {
    fn prepare(self: Arc<Self>, request: Bytes, leader: &LeaderContext) -> Preparation {
        match self.0.begin(request) {
            Preparing::Ready(prepared) => Preparation::Ready(boxed(prepared)),
            Preparing::Unfinished(unfinished) => {
                let leader = LeadingReplica(leader.clone());
                Preparation::Later(Box::pin(async move {
                    boxed(self.0.finish(unfinished, &leader).await)
                }))
            }
        }
    }
}

fn boxed(prepared: Prepared<ReplyBuilder>) -> Prepared<ReplyMaker> {
    match prepared {
        Prepared::Append {
            command,
            make_reply,
        } => Prepared::Append {
            command,
            make_reply: match make_reply {
                ReplyBuilder::Outcome => ReplyMaker::answer(),
                session @ ReplyBuilder::Session { .. } => ReplyMaker::new(move |index, outcome| {
                    session.make_reply(LogIndex(index), outcome)
                }),
            },
        },
        Prepared::Reply(reply) => Prepared::Reply(reply),
        Prepared::Failed => Prepared::Failed,
    }
}
