//! Messages between the nodes: sent over the simulated network, checked before they leave (R1) and
//! after they have arrived (R4), and how calls fail.

use chat_consensus::{Envelope, GetCommitsReply, GetSnapshotReply, Reply, Request, RequestId};
use chat_replication::{Event, PeerReply, PeerRequest};

use crate::checker::{Checked, durability, matched};
use crate::message::{Message, PeerMessage};
use crate::simulation::World;
use crate::simulation::faults::FaultKind;
use crate::simulation::message_line::message_line;
use crate::simulation::network::Fate;
use crate::simulation::process::ProcessState;
use crate::simulation::queue::{SimEvent, node_number};
use crate::simulation::reply_maker::ReplyMaker;

/// A call that is not answered after this long has failed, in microseconds.
const CALL_TIMEOUT: u64 = 500_000;
/// A message that is queued for so long on a link counts as delayed, in microseconds.
const LINK_DELAY_COUNTED: u64 = 5_000;
/// What a message takes besides its entries, and each entry besides its payload, in bytes.
const MESSAGE_OVERHEAD: u64 = 96;
const ENTRY_OVERHEAD: u64 = 24;

impl World {
    pub(super) fn send(&mut self, node: usize, message: PeerMessage) -> Checked {
        self.check_message(node, &message)?;
        let header = *message.header();
        let to = node_number(header.to);
        self.trace.note(header.request.number << 8 | node as u64);
        self.trace.record(self.now, || {
            format!("    {} -> {}: {:?}", header.from, header.to, message)
        });
        if !message.is_reply() {
            let process = &mut self.processes[node];
            let until = self.now + CALL_TIMEOUT;
            process.calls.insert(header.request, (to, until));
            if !process.calls_watched {
                process.calls_watched = true;
                let run = process.run;
                self.queue.push(until, SimEvent::CallsDue { node, run });
            }
            if self.processes[to].state == ProcessState::Killed && self.network.connects(node, to) {
                return self.find_closed_port(node, to, header.request);
            }
        }
        // The network never duplicates a unary call; it may duplicate the protocol's messages.
        let may_double = message.of_protocol().is_some();
        let mut copies = self.network.copies(node, to, may_double, &mut self.random);
        let bytes = size_on_wire(&message);
        match self.network.carry((node, to), bytes, self.now) {
            Some(queued) => {
                if queued > LINK_DELAY_COUNTED {
                    self.faults.add(FaultKind::NarrowLink);
                }
                for copy in copies.iter_mut().flatten() {
                    copy.delay += queued;
                }
            }
            None => copies = [None, None],
        }
        if copies[0].is_none() && self.network.reaches(node, to) {
            self.faults.add(FaultKind::Loss);
        }
        let [first, second] = copies;
        for copy in second.into_iter() {
            self.faults.add(FaultKind::Duplicate);
            let what = SimEvent::Deliver {
                message: Box::new(message.clone()),
                connection: copy.connection,
            };
            self.queue.push(self.now + copy.delay, what);
        }
        if let Some(copy) = first {
            if copy.fate == Fate::Late {
                self.faults.add(FaultKind::Late);
            }
            let what = SimEvent::Deliver {
                message: Box::new(message),
                connection: copy.connection,
            };
            self.queue.push(self.now + copy.delay, what);
        }
        Ok(())
    }

    /// The port is closed: the call fails after a round trip, and the redial is refused (R17).
    pub(super) fn find_closed_port(
        &mut self,
        node: usize,
        to: usize,
        request: RequestId,
    ) -> Checked {
        let run = self.processes[node].run;
        let at = self.now + 2 * self.network.delay(&mut self.random);
        self.queue
            .push(at, SimEvent::CallFails { node, run, request });
        let peer = to;
        self.queue.push(at, SimEvent::Refused { node, run, peer });
        Ok(())
    }

    fn check_message(&mut self, node: usize, message: &PeerMessage) -> Checked {
        let durable = self.disks[node].durable();
        let boot_count = self.processes[node].boot_count;
        let is_request = !message.is_reply();
        durability::started(message.header(), boot_count, is_request, durable)?;
        if let Some(envelope) = message.of_protocol() {
            durability::sent(&envelope, durable)?;
            durability::block(&envelope, self.disks[node].synced_block())?;
            if let Message::Reply(Reply::GetCommits(GetCommitsReply::Snapshot(offered))) =
                &envelope.message
            {
                self.check_base(&offered.base)?;
            }
            self.checkers.votes.sent(&envelope)?;
            self.print_message(&envelope);
        }
        if self.shows_messages {
            self.print(|_| message_line(message));
        }
        Ok(())
    }

    pub(super) fn deliver(&mut self, message: PeerMessage, connection: u32) -> Checked {
        let header = *message.header();
        let (from, to) = (node_number(header.from), node_number(header.to));
        let arrives = self.network.reaches(from, to) && self.network.is_open(from, to, connection);
        if !arrives || !self.is_alive(to) {
            return Ok(());
        }
        let is_fetch = matches!(
            &message,
            PeerMessage::Request(Envelope {
                message: PeerRequest::Consensus(Request::GetCommits(_)),
                ..
            })
        );
        if message.is_reply() {
            self.processes[to].calls.remove(&header.request);
        }
        self.handle(to, event_of(message))?;
        if is_fetch {
            self.check_progress(to)?;
        }
        Ok(())
    }

    fn check_progress(&self, leader: usize) -> Checked {
        let Some(replica) = &self.processes[leader].replica else {
            return Ok(());
        };
        let node = replica.node();
        let named = (node.id(), node.term());
        for follower in node.followers().unwrap_or_default() {
            let disk = &self.disks[node_number(follower.node)];
            let admitted = node
                .membership()
                .is_some_and(|f| f.admits(follower.node, disk.storage()));
            let rolled_back = self.rolled_back == Some(node_number(follower.node));
            if follower.voter && admitted && !rolled_back {
                matched::match_index_is_durable(named, &follower, node.log(), disk.durable())?;
            }
        }
        Ok(())
    }

    pub(super) fn fail_call(&mut self, node: usize, request: RequestId) -> Checked {
        let Some((peer, _)) = self.processes[node].calls.remove(&request) else {
            return Ok(());
        };
        let peer = self.processes[peer].id;
        self.handle(node, Event::CallFailed(peer, request))
    }

    pub(super) fn refuse_dial(&mut self, node: usize, peer: usize) -> Checked {
        let dead = self.processes[peer].state == ProcessState::Killed;
        if !dead || !self.network.connects(node, peer) {
            return Ok(());
        }
        self.faults.add(FaultKind::ConnectionRefused);
        let peer = self.processes[peer].id;
        self.handle(node, Event::ConnectionRefused(peer))
    }

    pub(super) fn fail_overdue_calls(&mut self, node: usize) -> Checked {
        self.processes[node].calls_watched = false;
        let run = self.processes[node].run;
        while let Some((request, (_, until))) = self.processes[node].calls.first_key_value() {
            let (request, until) = (*request, *until);
            if until > self.now {
                let process = &mut self.processes[node];
                if !process.calls_watched {
                    process.calls_watched = true;
                    self.queue.push(until, SimEvent::CallsDue { node, run });
                }
                return Ok(());
            }
            self.fail_call(node, request)?;
            if self.processes[node].run != run {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// How many bytes a message takes on the wire, about.
fn size_on_wire(message: &PeerMessage) -> u64 {
    let payload = match message {
        PeerMessage::Reply(reply) => match &reply.message {
            PeerReply::Consensus(Reply::GetCommits(GetCommitsReply::Entries {
                entries, ..
            })) => entries
                .iter()
                .map(|entry| entry.size() as u64 + ENTRY_OVERHEAD)
                .sum(),
            PeerReply::Consensus(Reply::GetSnapshot(GetSnapshotReply::Piece { bytes, .. })) => {
                bytes.len() as u64
            }
            _ => 0,
        },
        PeerMessage::Request(request) => match &request.message {
            PeerRequest::Propose { request } => request.len() as u64,
            PeerRequest::Consensus(_) | PeerRequest::ReadIndex => 0,
        },
    };
    MESSAGE_OVERHEAD + payload
}

fn event_of(message: PeerMessage) -> Event<ReplyMaker> {
    match message {
        PeerMessage::Request(request) => Event::Request(request),
        PeerMessage::Reply(reply) => Event::Reply(reply),
    }
}
