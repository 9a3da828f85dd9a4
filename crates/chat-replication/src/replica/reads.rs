//! Linearizable reads: confirmed by the leader, begun when this node has applied enough (R14).

use std::collections::BTreeMap;

use chat_consensus::{Envelope, Fault, Header, Input, LogIndex, ReadId, RequestId};

use crate::event::{Effect, ReadTicket};
use crate::peer_message::{PeerReply, PeerRequest};
use crate::replica::Replica;

/// The reads that somebody waits for.
#[derive(Debug, Default)]
pub(super) struct Reads {
    made: u64,
    /// At the node, until a majority confirms that we lead.
    confirming: BTreeMap<ReadId, Reader>,
    /// Asked of the leader.
    forwarded: BTreeMap<RequestId, ReadTicket>,
    /// Confirmed: each begins when its index is applied here. Ordered by index.
    applying: BTreeMap<(LogIndex, u64), ReadTicket>,
}

#[derive(Debug)]
enum Reader {
    Client(ReadTicket),
    Peer(Header),
}

impl Reads {
    /// Whether a confirmed read waits for its index to be applied here.
    pub(super) fn has_reads_awaiting_apply(&self) -> bool {
        !self.applying.is_empty()
    }
}

impl Replica {
    pub(super) fn handle_read(&mut self, ticket: ReadTicket) -> Result<(), Fault> {
        if self.is_leading() && self.has_room_for_read() {
            return self.confirm_read(Reader::Client(ticket));
        }
        let leader = self
            .node
            .leader()
            .filter(|leader| *leader != self.node.id());
        let (Some(leader), true, true) =
            (leader, self.node.has_started(), self.has_room_for_read())
        else {
            self.refuse_read(ticket);
            return Ok(());
        };
        let header = self.node.new_request_header(leader);
        self.reads.forwarded.insert(header.request, ticket);
        let message = PeerRequest::ReadIndex;
        self.effects
            .push(Effect::Call(Envelope { header, message }));
        Ok(())
    }

    pub(super) fn handle_read_index(&mut self, header: &Header) -> Result<(), Fault> {
        if self.is_leading() && self.is_from_own_cluster(header) && self.has_room_for_read() {
            return self.confirm_read(Reader::Peer(*header));
        }
        self.reply(header, PeerReply::ReadIndex(None));
        Ok(())
    }

    pub(super) fn handle_read_index_reply(&mut self, request: RequestId, index: Option<LogIndex>) {
        let Some(ticket) = self.reads.forwarded.remove(&request) else {
            return;
        };
        match index {
            Some(index) => self.wait_for_apply(ticket, index),
            None => self.refuse_read(ticket),
        }
    }

    pub(super) fn fail_forwarded_read(&mut self, request: RequestId) {
        self.handle_read_index_reply(request, None);
    }

    pub(super) fn handle_read_confirmed(&mut self, id: ReadId, index: LogIndex) {
        match self.reads.confirming.remove(&id) {
            Some(Reader::Client(ticket)) => self.wait_for_apply(ticket, index),
            Some(Reader::Peer(header)) => {
                self.reply(&header, PeerReply::ReadIndex(Some(index)));
            }
            None => unreachable!("the node confirms only what it was asked"),
        }
    }

    pub(super) fn handle_read_refused(&mut self, id: ReadId) {
        match self.reads.confirming.remove(&id) {
            Some(Reader::Client(ticket)) => self.refuse_read(ticket),
            Some(Reader::Peer(header)) => self.reply(&header, PeerReply::ReadIndex(None)),
            None => unreachable!("the node refuses only what it was asked"),
        }
    }

    /// Lets the reads begin whose index the state machine has passed.
    pub(super) fn complete_ready_reads(&mut self) {
        let applied = self.applied_index();
        while let Some(first) = self.reads.applying.first_entry() {
            let (index, _) = *first.key();
            if index > applied {
                break;
            }
            self.effects.push(Effect::ReadReady(first.remove(), index));
        }
    }

    fn confirm_read(&mut self, reader: Reader) -> Result<(), Fault> {
        self.reads.made += 1;
        let id = ReadId(self.reads.made);
        self.reads.confirming.insert(id, reader);
        self.step(Input::ReadRequested(id))
    }

    fn wait_for_apply(&mut self, ticket: ReadTicket, index: LogIndex) {
        if index > self.applied_index() {
            self.effects.push(Effect::ReadConfirmed(ticket));
        }
        self.reads.made += 1;
        self.reads.applying.insert((index, self.reads.made), ticket);
    }

    fn has_room_for_read(&self) -> bool {
        let reads = &self.reads;
        let waiting = reads.confirming.len() + reads.forwarded.len() + reads.applying.len();
        waiting < self.limits.waiting_requests_max
    }
}
