//! What a node has decided to send.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::entry::Entry;
use crate::message::{
    Envelope, GetCommitsReply, GetSnapshot, GetSnapshotReply, Header, Reply, Request,
};
use crate::types::{LogIndex, NodeId};

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outgoing {
    /// A request. It must in the end be answered, or reported by
    /// [`Input::CallFailed`](crate::Input::CallFailed).
    Request(Envelope<Request>),
    /// A reply that is complete.
    Reply(Envelope<Reply>),
    /// A reply to a fetch that still lacks its entries.
    Entries(EntriesReply),
    /// A reply to a request for a piece of a snapshot that still lacks it (R24).
    Piece(PieceReply),
}

/// A [`GetCommitsReply::Entries`] into which the caller first puts the entries that follow
/// [`Self::after`], as many as it wants to send at once.
///
/// They are those of this leader's log as long as [`Node::leads`](crate::Node::leads) the header's
/// term; afterwards [`Self::not_leading`] is sent instead.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntriesReply {
    pub(crate) header: Header,
    pub(crate) after: LogIndex,
    pub(crate) commit_index: LogIndex,
    pub(crate) bytes_max: u32,
}

/// A [`GetSnapshotReply`] into which the caller first puts the piece, if it has the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PieceReply {
    pub(crate) header: Header,
    pub(crate) wanted: GetSnapshot,
    pub(crate) leads: bool,
}

impl Outgoing {
    /// The header of the message.
    pub fn header(&self) -> &Header {
        match self {
            Self::Request(request) => &request.header,
            Self::Reply(reply) => &reply.header,
            Self::Entries(entries) => &entries.header,
            Self::Piece(piece) => &piece.header,
        }
    }
}

impl EntriesReply {
    /// The header of the reply.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The follower that receives it.
    pub fn follower(&self) -> NodeId {
        self.header.to
    }

    /// The index before the first entry that is wanted.
    pub fn after(&self) -> LogIndex {
        self.after
    }

    /// How much payload the follower wants at most, in bytes; one entry is sent in any case (R8).
    pub fn bytes_max(&self) -> u32 {
        self.bytes_max
    }

    /// The complete reply. `entries` may be empty: then it carries the commit index alone.
    pub fn with_entries(self, entries: Vec<Entry>) -> Envelope<Reply> {
        let reply = GetCommitsReply::Entries {
            after: self.after,
            commit_index: self.commit_index,
            entries,
        };
        self.reply(reply)
    }

    /// The reply of a node that has stopped leading meanwhile.
    pub fn not_leading(self) -> Envelope<Reply> {
        self.reply(GetCommitsReply::NotLeading { leader: None })
    }

    fn reply(self, reply: GetCommitsReply) -> Envelope<Reply> {
        Envelope {
            header: self.header,
            message: Reply::GetCommits(reply),
        }
    }
}

impl PieceReply {
    /// The node that receives it.
    pub fn follower(&self) -> NodeId {
        self.header.to
    }

    /// What is wanted.
    pub fn wanted(&self) -> GetSnapshot {
        self.wanted
    }

    /// The complete reply, with what the file has at the wanted offset.
    pub fn with_piece(self, bytes: Bytes) -> Envelope<Reply> {
        let (offset, leads) = (self.wanted.offset, self.leads);
        self.reply(GetSnapshotReply::Piece {
            offset,
            bytes,
            leads,
        })
    }

    /// The reply of a node that does not have the snapshot.
    pub fn gone(self) -> Envelope<Reply> {
        self.reply(GetSnapshotReply::Gone)
    }

    fn reply(self, reply: GetSnapshotReply) -> Envelope<Reply> {
        Envelope {
            header: self.header,
            message: Reply::GetSnapshot(reply),
        }
    }
}
