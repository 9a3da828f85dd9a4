//! Requests and replies as one type, for the code that handles all messages: the simulated network
//! and the checkers.

use chat_consensus::{Envelope, Header, Input, Reply, Request};
use chat_replication::{Event, PeerReply, PeerRequest};

use crate::simulation::reply_maker::ReplyMaker;

/// A message of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A reply.
    Reply(Reply),
}

/// A message between replicas.
#[derive(Clone, Debug)]
pub enum PeerMessage {
    /// A request.
    Request(Envelope<PeerRequest>),
    /// A reply.
    Reply(Envelope<PeerReply>),
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl From<Reply> for Message {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl Message {
    /// The arrival of a message at a node.
    pub fn input(header: Header, message: impl Into<Self>) -> Input {
        match message.into() {
            Self::Request(message) => Input::Request(Envelope { header, message }),
            Self::Reply(message) => Input::Reply(Envelope { header, message }),
        }
    }

    /// The arrival of a message at a replica.
    pub fn event(header: Header, message: impl Into<Self>) -> Event<ReplyMaker> {
        match message.into() {
            Self::Request(message) => Event::Request(Envelope {
                header,
                message: PeerRequest::Consensus(message),
            }),
            Self::Reply(message) => Event::Reply(Envelope {
                header,
                message: PeerReply::Consensus(message),
            }),
        }
    }
}

impl PeerMessage {
    /// The header of either.
    pub fn header(&self) -> &Header {
        match self {
            Self::Request(request) => &request.header,
            Self::Reply(reply) => &reply.header,
        }
    }

    /// Whether it answers a request.
    pub fn is_reply(&self) -> bool {
        matches!(self, Self::Reply(_))
    }

    /// The protocol's message in it; `None` for what replicas forward.
    pub fn of_protocol(&self) -> Option<Envelope<Message>> {
        let header = *self.header();
        let message = match self {
            Self::Request(request) => match &request.message {
                PeerRequest::Consensus(message) => Message::Request(message.clone()),
                PeerRequest::Propose { .. } | PeerRequest::ReadIndex => return None,
            },
            Self::Reply(reply) => match &reply.message {
                PeerReply::Consensus(message) => Message::Reply(message.clone()),
                PeerReply::Propose(_) | PeerReply::ReadIndex(_) => return None,
            },
        };
        Some(Envelope { header, message })
    }
}
