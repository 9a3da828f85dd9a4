//! Votes: a disk votes once a term, across restarts (R1, R5), and a term belongs to one run of one
//! node (R2). Checked by the messages that show it.

use std::collections::BTreeMap;

use chat_consensus::{
    Election, ElectionKind, Envelope, NodeId, Reply, Request, RunId, StorageId, Term,
};

use crate::checker::{Checked, ensure};
use crate::message::Message;

/// Every vote that any message ever showed.
#[derive(Debug, Default)]
pub struct Votes {
    given: BTreeMap<(Term, NodeId, StorageId), NodeId>,
    /// The run in which a node began a term.
    began: BTreeMap<(Term, NodeId), RunId>,
}

impl Votes {
    /// A message is sent.
    ///
    /// # Errors
    ///
    /// It shows a second vote in one term, or a term that an earlier run began.
    pub fn sent(&mut self, envelope: &Envelope<Message>) -> Checked {
        let header = &envelope.header;
        match &envelope.message {
            Message::Reply(Reply::Election(reply))
                if reply.kind == ElectionKind::Vote && reply.granted =>
            {
                self.voted(header.term, header.from, header.storage, header.to)
            }
            Message::Request(Request::Election(Election::Vote(_))) => {
                self.uses_term(header.term, header.from, header.request.start)?;
                self.voted(header.term, header.from, header.storage, header.from)
            }
            // Only a leader sends these; the term must be one that this run began (R2).
            Message::Request(Request::Coordinator | Request::Heartbeat(_)) => {
                self.uses_term(header.term, header.from, header.request.start)
            }
            _ => Ok(()),
        }
    }

    /// The vote that `node` gave with that disk.
    pub fn of(&self, node: NodeId, storage: StorageId, term: Term) -> Option<NodeId> {
        self.given.get(&(term, node, storage)).copied()
    }

    /// A single voter elects itself without a message; its own vote is read from its disk.
    ///
    /// # Errors
    ///
    /// The disk gave another vote before.
    pub fn voted(
        &mut self,
        term: Term,
        node: NodeId,
        storage: StorageId,
        candidate: NodeId,
    ) -> Checked {
        let first = *self.given.entry((term, node, storage)).or_insert(candidate);
        ensure(first == candidate, "vote-once", || {
            format!("node {node} voted for {first} and for {candidate} in term {term}")
        })
    }

    fn uses_term(&mut self, term: Term, node: NodeId, run: RunId) -> Checked {
        let first = *self.began.entry((term, node)).or_insert(run);
        ensure(first == run, "no-leadership-resume", || {
            format!("node {node} began term {term} in run {first:?} and uses it in run {run:?}")
        })
    }
}
