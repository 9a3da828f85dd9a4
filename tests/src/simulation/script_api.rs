//! The interface for scenarios: what they do to a world, and what they read from it.
//!
//! Nothing here is drawn at random; what a node decides and when is the node's own.

use std::time::Duration;

use chat_consensus::{
    BlockNumber, Candidacy, Election, FollowerState, GetCommits, GetCommitsReply, Header,
    Heartbeat, LogIndex, Payload, Position, Reply, Request, RequestId, StorageId, TERM_MAX, Term,
};
use chat_replication::Event;

use crate::checker::Checked;
use crate::message::Message;
use crate::simulation::World;
use crate::simulation::command::Command;
use crate::simulation::disk::WriteFate;
use crate::simulation::message_line::voters_line;
use crate::simulation::process::{ProcessState, RequestKind};
use crate::simulation::queue::{SimEvent, node_id};

/// A message that its named sender never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forged {
    /// `Resign` that names the receiver as successor.
    Resign,
    /// `Heartbeat` in the receiver's term.
    Heartbeat,
    /// The response `diverging` at 0@0 to the receiver's last fetch.
    Diverging,
    /// A fetch of the sender that names an index and a term as synced.
    Fetch(u64, u64),
    /// The same, with the header of the previous term.
    OldFetch(u64, u64),
    /// `Coordinator` in the receiver's term, from a disk that the log does not admit.
    ForeignClaim,
    /// `Coordinator` in the greatest term, without a cluster id.
    LastTerm,
    /// A pre-vote in a term too far ahead, from the admitted disk.
    FarTerm,
    /// A pre-vote in the next term, from a disk that the log does not admit.
    NextTerm,
    /// The first fetch of a disk that the log does not admit.
    ForeignFetch,
}

/// A fetch that names `synced`.
fn fetch(synced: Position) -> Message {
    Message::Request(Request::GetCommits(GetCommits {
        has_base: true,
        synced,
        commit_index: LogIndex::ZERO,
        bytes_max: u32::MAX,
        repair_through: LogIndex::ZERO,
        state: FollowerState::Whole,
        behind_hole: false,
        synced_block: BlockNumber::UNKNOWN,
    }))
}

/// A request number that no node has used.
const FORGED_REQUEST: u64 = 1_000_000;
/// How long a cluster of a scenario has for its bootstrap, in microseconds.
const BOOTSTRAP_MICROS: u64 = 2_000_000;

impl World {
    /// Starts all nodes and waits until the cluster has bootstrapped.
    pub(crate) fn bootstrap(&mut self) -> Checked {
        self.begin()?;
        self.run_until(self.now + BOOTSTRAP_MICROS)
    }

    pub(crate) fn tick(&mut self, duration: Duration) -> Checked {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.run_until(self.now + micros)
    }

    /// From now on every message and every sync is printed, or no longer.
    pub(crate) fn show_messages(&mut self, shown: bool) {
        self.shows_messages = shown;
    }

    pub(crate) fn start_node(&mut self, node: usize) -> Checked {
        self.start(node)
    }

    pub(crate) fn propose(&mut self, node: usize, text: &str) -> Result<(), String> {
        let known = self.names.iter().position(|name| name == text);
        let place = known.unwrap_or_else(|| {
            self.names.push(text.to_owned());
            self.names.len() - 1
        });
        let operation = place as u64 + 1;
        if known.is_none() {
            self.checkers.history.begins(operation);
        }
        self.submit_to_running(node, RequestKind::Operation(operation))
    }

    /// How long the clients of the next requests wait.
    pub(crate) fn set_client_timeout(&mut self, timeout: Duration) {
        let micros = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
        self.settings.script_deadline = micros;
    }

    pub(crate) fn read(&mut self, node: usize) -> Result<(), String> {
        let shown_before = self.checkers.history.shown();
        self.submit_to_running(node, RequestKind::Read { shown_before })
    }

    pub(crate) fn request_leadership_transfer(&mut self, node: usize) -> Result<(), String> {
        self.handle(node, Event::TransferLeadership)
            .map_err(|violation| violation.to_string())
    }

    pub(crate) fn refuse_connection(&mut self, node: usize, peer: usize) -> Result<(), String> {
        self.handle(node, Event::ConnectionRefused(node_id(peer)))
            .map_err(|violation| violation.to_string())
    }

    pub(crate) fn crash_node(&mut self, node: usize, fate: WriteFate) -> Checked {
        self.write_fate = Some(fate);
        self.kill(node)
    }

    pub(crate) fn power_off_node(&mut self, node: usize) -> Checked {
        self.write_fate = Some(WriteFate::Lost);
        self.power_off(node)
    }

    pub(crate) fn wipe_disk_of(&mut self, node: usize) -> Checked {
        self.write_fate = Some(WriteFate::Lost);
        self.wipe(node)
    }

    /// Removes the newest transactions from the disk of a dead process, although they were synced.
    /// The state machine is rolled back with them, as in a restored older copy.
    pub(crate) fn roll_back_disk(&mut self, node: usize, count: usize) -> Result<(), String> {
        if self.is_alive(node) {
            return Err("it runs".to_owned());
        }
        self.former_disks.push(self.disks[node].copy());
        self.disks[node].roll_back(count)?;
        let end = self.disks[node].durable().last().index;
        self.processes[node].machine.roll_back(end);
        self.note_rolled_back(node);
        Ok(())
    }

    /// Changes the configuration of a node, as its next start reads it.
    pub(crate) fn set_may_bootstrap(&mut self, node: usize, may: bool) {
        self.processes[node].may_bootstrap = may;
    }

    /// Copies what a stopped node has on its disk.
    pub(crate) fn copy_disk(&mut self, node: usize) -> Result<(), String> {
        if self.is_alive(node) {
            return Err("it runs".to_owned());
        }
        self.copies[node] = Some(self.copy_of(node));
        Ok(())
    }

    /// A stopped node gets the copy of its disk that was made before.
    pub(crate) fn restore_disk(&mut self, node: usize) -> Result<(), String> {
        if self.is_alive(node) {
            return Err("it runs".to_owned());
        }
        let copy = self.copies[node].take().ok_or("there is no copy")?;
        self.restore(node, copy);
        self.note_rolled_back(node);
        Ok(())
    }

    /// The state of a stopped node is gone.
    pub(crate) fn lose_state_of(&mut self, node: usize) -> Result<(), String> {
        if self.is_alive(node) {
            return Err("it runs".to_owned());
        }
        self.processes[node].machine.roll_back(LogIndex::ZERO);
        Ok(())
    }

    /// The snapshots of a stopped node are gone.
    pub(crate) fn lose_snapshots_of(&mut self, node: usize) -> Result<(), String> {
        if self.is_alive(node) {
            return Err("it runs".to_owned());
        }
        self.processes[node].files.lose_complete(false);
        Ok(())
    }

    pub(crate) fn pause_node(&mut self, node: usize) {
        self.pause(node, u64::MAX / 2);
    }

    pub(crate) fn resume_node(&mut self, node: usize) -> Checked {
        let run = self.processes[node].run;
        self.resume(node, run)
    }

    pub(crate) fn isolate(&mut self, node: usize) {
        for peer in (0..self.settings.nodes).filter(|peer| *peer != node) {
            self.network.partition(node, peer);
            self.network.partition(peer, node);
        }
    }

    pub(crate) fn partition_link(&mut self, (from, to): (usize, usize)) {
        self.network.partition(from, to);
    }

    pub(crate) fn heal_links(&mut self) {
        self.network.heal_all();
        self.network.slow.clear();
    }

    pub(crate) fn slow_link(&mut self, link: (usize, usize), delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.network.slow.insert(link, micros);
    }

    pub(crate) fn limit_bandwidth(&mut self, bytes_per_second: u64) {
        self.network.mix.bytes_per_second = bytes_per_second;
    }

    pub(crate) fn hold_disk(&mut self, node: usize) {
        self.processes[node].disk_held = true;
    }

    pub(crate) fn hold_machine(&mut self, node: usize) {
        self.processes[node].machine_held = true;
    }

    pub(crate) fn release_machine(&mut self, node: usize) {
        let process = &mut self.processes[node];
        process.machine_held = false;
        let run = process.run;
        if process.applying.is_some() {
            self.queue.push(self.now, SimEvent::ApplyEnds { node, run });
        }
    }

    pub(crate) fn release_disk(&mut self, node: usize) {
        let process = &mut self.processes[node];
        process.disk_held = false;
        let run = process.run;
        if process.writing.is_some() {
            self.queue.push(self.now, SimEvent::SyncEnds { node, run });
        }
    }

    /// Delivers a message that its named sender never sent.
    pub(crate) fn forge(
        &mut self,
        forged: Forged,
        (from, to): (usize, usize),
    ) -> Result<(), String> {
        let sender = self.processes[from].replica.as_ref();
        let receiver = self.processes[to].replica.as_ref();
        let (Some(sender), Some(receiver)) = (sender, receiver) else {
            return Err("both nodes must run".to_owned());
        };
        let request = match forged {
            Forged::Diverging => {
                let fetch = self.last_fetch[to].ok_or("it has not fetched")?;
                fetch.request
            }
            _ => RequestId {
                start: sender.node().run(),
                number: FORGED_REQUEST,
            },
        };
        let header = Header {
            cluster: match forged {
                Forged::LastTerm => None,
                _ => sender.node().cluster(),
            },
            term: match forged {
                Forged::OldFetch(..) => Term(receiver.node().term().0 - 1),
                Forged::LastTerm => TERM_MAX,
                Forged::FarTerm => Term(receiver.node().term().0 + (1 << 20) + 1),
                Forged::NextTerm => receiver.node().term().next(),
                _ => receiver.node().term(),
            },
            from: node_id(from),
            to: node_id(to),
            storage: match forged {
                Forged::ForeignClaim
                | Forged::LastTerm
                | Forged::NextTerm
                | Forged::ForeignFetch => StorageId(u128::MAX),
                _ => self.disks[from].storage(),
            },
            // A candidate names the disk that it asks; other senders do not know it.
            to_storage: match forged {
                Forged::FarTerm => Some(receiver.node().storage()),
                _ => None,
            },
            request,
        };
        let message = match forged {
            Forged::Resign => Message::Request(Request::Resign {
                successor: Some(node_id(to)),
            }),
            Forged::Heartbeat => Message::Request(Request::Heartbeat(Heartbeat {
                commit_index: LogIndex::ZERO,
                round: 1,
                uncounted: Vec::new(),
                leader_address: None,
            })),
            Forged::ForeignClaim | Forged::LastTerm => Message::Request(Request::Coordinator),
            Forged::FarTerm | Forged::NextTerm => {
                Message::Request(Request::Election(Election::PreVote(Candidacy {
                    last: Position::new(1 << 40, 1 << 40),
                    synced_block: BlockNumber::UNKNOWN,
                })))
            }
            Forged::Diverging => Message::Reply(Reply::GetCommits(GetCommitsReply::Diverging(
                Position::ZERO,
            ))),
            Forged::ForeignFetch => fetch(Position::ZERO),
            Forged::Fetch(index, term) | Forged::OldFetch(index, term) => {
                fetch(Position::new(index, term))
            }
        };
        self.handle(to, Message::event(header, message))
            .map_err(|violation| violation.to_string())
    }

    /// One line for each node.
    pub(crate) fn status(&self) -> Vec<String> {
        let line = |process: &crate::simulation::process::Process| {
            let id = process.id;
            let seen = process.seen;
            match process.state {
                ProcessState::Running => {}
                ProcessState::NotStarted => return format!("{id}: not started"),
                ProcessState::Killed | ProcessState::PowerLost => return format!("{id}: down"),
            }
            let leader = match seen.leader {
                Some(leader) if leader == id => String::new(),
                Some(leader) => format!(", {leader} leads"),
                None => ", no leader".to_owned(),
            };
            format!(
                "{id}: {} in term {}{leader}; log to {}, committed {}, applied {}",
                seen.role.name(),
                seen.term,
                seen.last,
                seen.commit_index,
                process.machine.applied
            )
        };
        self.processes.iter().map(line).collect()
    }

    /// The entries that are durable on a disk.
    pub(crate) fn log_line(&self, node: usize) -> String {
        let durable = self.disks[node].durable();
        let entries = durable.entries().iter().map(|entry| {
            let what = match &entry.payload {
                Payload::Empty => "no-op".to_owned(),
                Payload::Membership(members) => voters_line(members),
                Payload::Command(bytes) => Command::decode(bytes)
                    .map_or_else(String::new, |command| {
                        self.operation_name(command.operation)
                    }),
            };
            format!("{:?} {what}", entry.position)
        });
        let base = durable.base();
        let base = base.map(|base| format!("base {:?}", base.position));
        let all: Vec<String> = base.into_iter().chain(entries).collect();
        format!("{}: {}", node_id(node), all.join(", "))
    }

    /// The lines printed since the last call, with the time of each.
    pub(crate) fn take_output(&mut self) -> Vec<(u64, String)> {
        std::mem::take(&mut self.output)
    }

    /// The name that a scenario gave an operation, or its number.
    pub(super) fn operation_name(&self, operation: u64) -> String {
        if let Some(service) = &self.service {
            return service.describe(operation);
        }
        let number = usize::try_from(operation).ok();
        let name = number.and_then(|number| self.names.get(number.checked_sub(1)?));
        name.map_or_else(
            || format!("operation {operation:x}"),
            |name| format!("\"{name}\""),
        )
    }

    fn submit_to_running(&mut self, node: usize, what: RequestKind) -> Result<(), String> {
        if !self.is_alive(node) {
            return Err("it does not run".to_owned());
        }
        self.attempts_made += 1;
        let attempt = self.attempts_made;
        self.submit(node, None, attempt, what)
            .map_err(|violation| violation.to_string())
    }
}
