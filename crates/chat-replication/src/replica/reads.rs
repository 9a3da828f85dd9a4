//! The linearizable reads that a replica has not completed, and what each of them waits for (R14).

use std::collections::BTreeMap;

use chat_consensus::{Header, LogIndex, ReadId, RequestId, Time};

use crate::event::ReadTicket;
use crate::replica::deadlines::Deadlines;
use crate::replica::leadership::Leadership;

/// The reads that are not completed.
#[derive(Debug, Default)]
pub(super) struct Reads {
    pub(super) made: u64,
    /// Those of this node's clients.
    pub(super) clients: BTreeMap<ReadTicket, ClientRead>,
    /// When their clients give up.
    pub(super) deadlines: Deadlines<ReadTicket>,
    /// When those are tried again that a known leader did not confirm.
    pub(super) retries: Deadlines<ReadTicket>,
    /// At the node, until a majority confirms that it leads.
    pub(super) confirming: BTreeMap<ReadId, Reader>,
    /// How many of those are of other nodes' clients.
    pub(super) confirming_for_peers: usize,
    /// Sent to the leader.
    pub(super) forwarded: BTreeMap<RequestId, ReadTicket>,
    /// Confirmed: each is completed when its index is published here. Ordered by index.
    pub(super) confirmed: BTreeMap<(LogIndex, u64), ReadTicket>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ClientRead {
    pub(super) deadline: Time,
    pub(super) phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Until leadership differs from this, or until the pause is over.
    Queued { known: Leadership, retry_at: Time },
    /// Here or at the leader.
    Confirming,
    /// Waits for this node's state machine alone.
    Confirmed,
}

#[derive(Debug)]
pub(super) enum Reader {
    Client(ReadTicket),
    Peer(Header),
}

impl Reads {
    /// The lowest index that a confirmed read waits for here.
    pub(super) fn first_confirmed(&self) -> Option<LogIndex> {
        self.confirmed
            .first_key_value()
            .map(|((index, _), _)| *index)
    }

    /// When something is due: a client gives up, or a read is tried again.
    pub(super) fn next_deadline(&self) -> Time {
        self.deadlines.next().min(self.retries.next())
    }
}
