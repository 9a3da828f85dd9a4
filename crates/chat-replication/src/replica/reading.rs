//! The whole life of a linearizable read: confirmed by the leader, wherever that is, and completed
//! when this node has applied and published enough (R14).

use chat_consensus::{Envelope, Fault, Header, Input, LogIndex, NodeId, ReadId, RequestId, Time};

use crate::error::ReadError;
use crate::event::{Effect, MakeReply, ReadTicket};
use crate::peer_message::{PeerReply, PeerRequest};
use crate::replica::Replica;
use crate::replica::leadership::Leadership;
use crate::replica::reads::{ClientRead, Phase, Reader};

impl<F: MakeReply> Replica<F> {
    pub(super) fn handle_read(&mut self, ticket: ReadTicket, deadline: Time) -> Result<(), Fault> {
        if !self.has_room_for_read() {
            let overloaded = Err(ReadError::Overloaded);
            self.effects.push(Effect::CompleteRead(ticket, overloaded));
            return Ok(());
        }
        let client = ClientRead {
            deadline,
            phase: Phase::Confirming,
        };
        self.reads.clients.insert(ticket, client);
        self.reads.deadlines.insert(deadline, ticket);
        if self.now >= deadline {
            self.fire_read_timers()?;
            return Ok(());
        }
        self.attempt_read(ticket)
    }

    pub(super) fn abandon_read(&mut self, ticket: ReadTicket) {
        self.take_read(ticket);
    }

    /// A follower asks, for a client of its own.
    pub(super) fn handle_read_index(&mut self, header: &Header) -> Result<(), Fault> {
        if self.is_leading() && self.is_from_own_cluster(header) && self.has_room_for_read() {
            self.reads.confirming_for_peers += 1;
            return self.confirm_read(Reader::Peer(*header));
        }
        self.reply(header, PeerReply::ReadIndex(None));
        Ok(())
    }

    pub(super) fn handle_read_index_reply(&mut self, request: RequestId, index: Option<LogIndex>) {
        if let Some(ticket) = self.reads.forwarded.remove(&request) {
            match index {
                Some(index) => self.wait_for_publishing(ticket, index),
                None => self.queue_read(ticket),
            }
        }
    }

    pub(super) fn fail_forwarded_read(&mut self, request: RequestId) {
        self.handle_read_index_reply(request, None);
    }

    pub(super) fn handle_read_confirmed(&mut self, id: ReadId, index: LogIndex) {
        let reader = self.reads.confirming.remove(&id);
        match reader.expect("the node confirms only what it was asked") {
            Reader::Client(ticket) => self.wait_for_publishing(ticket, index),
            Reader::Peer(header) => {
                self.reads.confirming_for_peers -= 1;
                self.reply(&header, PeerReply::ReadIndex(Some(index)));
            }
        }
    }

    pub(super) fn handle_read_refused(&mut self, id: ReadId) {
        let reader = self.reads.confirming.remove(&id);
        match reader.expect("the node refuses only what it was asked") {
            Reader::Client(ticket) => self.queue_read(ticket),
            Reader::Peer(header) => {
                self.reads.confirming_for_peers -= 1;
                self.reply(&header, PeerReply::ReadIndex(None));
            }
        }
    }

    /// Completes the reads whose index is published here.
    pub(super) fn complete_ready_reads(&mut self) {
        let published = self.publishing.published();
        while let Some(first) = self.reads.confirmed.first_entry() {
            let (index, _) = *first.key();
            if index > published {
                break;
            }
            let ticket = first.remove();
            if self.take_read(ticket).is_some() {
                self.effects.push(Effect::CompleteRead(ticket, Ok(index)));
            }
        }
    }

    /// Leadership, as this node knows it, has changed: what waits for a leader is tried again.
    pub(super) fn retry_reads(&mut self, now_known: Leadership) -> Result<(), Fault> {
        let differs = |client: &ClientRead| matches!(client.phase, Phase::Queued { known, .. } if known != now_known);
        let clients = self.reads.clients.iter();
        let queued = clients.filter(|(_, client)| differs(client));
        let queued: Vec<ReadTicket> = queued.map(|(ticket, _)| *ticket).collect();
        for ticket in queued {
            self.attempt_read(ticket)?;
        }
        Ok(())
    }

    pub(super) fn fire_read_timers(&mut self) -> Result<(), Fault> {
        while let Some(ticket) = self.reads.retries.pop_due(self.now) {
            self.attempt_read(ticket)?;
        }
        while let Some(ticket) = self.reads.deadlines.pop_due(self.now) {
            if let Some(client) = self.take_read(ticket) {
                let error = match client.phase {
                    Phase::Queued { .. } | Phase::Confirming => ReadError::NoLeader,
                    Phase::Confirmed => ReadError::NotApplied,
                };
                self.effects.push(Effect::CompleteRead(ticket, Err(error)));
            }
        }
        Ok(())
    }

    fn attempt_read(&mut self, ticket: ReadTicket) -> Result<(), Fault> {
        let Some(client) = self.reads.clients.get_mut(&ticket) else {
            return Ok(());
        };
        if let Phase::Queued { retry_at, .. } = client.phase {
            self.reads.retries.remove(retry_at, ticket);
        }
        client.phase = Phase::Confirming;
        if self.is_leading() {
            return self.confirm_read(Reader::Client(ticket));
        }
        if let Some(leader) = self.other_leader()
            && self.node.has_started()
        {
            self.forward_read(ticket, leader);
        } else {
            self.queue_read(ticket);
        }
        Ok(())
    }

    fn confirm_read(&mut self, reader: Reader) -> Result<(), Fault> {
        self.reads.made += 1;
        let id = ReadId(self.reads.made);
        self.reads.confirming.insert(id, reader);
        self.step(Input::ReadRequested(id))
    }

    fn forward_read(&mut self, ticket: ReadTicket, leader: NodeId) {
        let header = self.node.new_request_header(leader);
        self.reads.forwarded.insert(header.request, ticket);
        let message = PeerRequest::ReadIndex;
        self.effects
            .push(Effect::Call(Envelope { header, message }));
    }

    /// It was not confirmed: it waits until leadership changes, or a moment if a leader is known.
    fn queue_read(&mut self, ticket: ReadTicket) {
        let known = self.leadership();
        let Some(client) = self.reads.clients.get_mut(&ticket) else {
            return;
        };
        let retry_at = known.retry_at(self.now);
        client.phase = Phase::Queued { known, retry_at };
        self.reads.retries.insert(retry_at, ticket);
    }

    fn wait_for_publishing(&mut self, ticket: ReadTicket, index: LogIndex) {
        if let Some(client) = self.reads.clients.get_mut(&ticket) {
            client.phase = Phase::Confirmed;
            self.reads.made += 1;
            self.reads
                .confirmed
                .insert((index, self.reads.made), ticket);
        }
    }

    fn take_read(&mut self, ticket: ReadTicket) -> Option<ClientRead> {
        let client = self.reads.clients.remove(&ticket)?;
        self.reads.deadlines.remove(client.deadline, ticket);
        if let Phase::Queued { retry_at, .. } = client.phase {
            self.reads.retries.remove(retry_at, ticket);
        }
        Some(client)
    }

    fn has_room_for_read(&self) -> bool {
        let waiting = self.reads.clients.len() + self.reads.confirming_for_peers;
        waiting < self.limits.waiting_requests_max
    }
}
