//! A window's model with a clock that is advanced by hand, and without a backend: what the model
//! requests of the servers is answered here, at once and with success.
//!
//! Deliberately absent: what is played on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::demo::fixtures::{START, index_at, people};
use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::chaos::{Process, ProcessCondition};
use crate::model::cluster::{NodeRole, NodeStatus, Snapshots};
use crate::model::command::Command;
use crate::model::event::{BackendEvent, Link, NodeReport, Started, StoredPlace};
use crate::model::message::{Direction, StoredMessage};
use crate::model::names::{Commit, IdSource, LogIndex, MessageId, Name, NodeId, Term};
use crate::model::sign_in::LocalCluster;
use crate::model::time::{Moment, Now, Timestamp, Zone};

/// The made-up cluster.
pub(super) const CLUSTER_ID: &str = "5f0c2a9e41d84b7f9b6b7a1f35d0c8e2";
/// Where the made-up servers are.
pub(super) const ADDRESSES: [&str; 3] = ["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"];
/// Where the one is that is added later.
const ADDED_ADDRESS: &str = "127.0.0.1:7404";
/// The number of that one.
const ADDED: u64 = 4;

/// What a node is that was added to the three servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddedNode {
    /// It has so many entries, and does not vote yet.
    Learner(u64),
    /// It was removed again.
    Left,
}

/// A model and its clock.
#[derive(Debug)]
pub(super) struct DemoWorld {
    /// What is shown.
    pub(super) model: Model,
    milliseconds: u64,
    /// The end of the made-up log.
    pub(super) index: u64,
    /// The made-up leader and its term.
    pub(super) leader: Option<(u64, u64)>,
    /// Which node campaigns, and in which term.
    pub(super) candidate: Option<(u64, u64)>,
    /// Which of the three servers answer.
    pub(super) up: [bool; 3],
    /// The node that was added to them.
    pub(super) added: Option<AddedNode>,
    /// Which server reaches no other one.
    pub(super) isolated: Option<u64>,
    /// The last leader's term.
    pub(super) last_term: u64,
    /// Whether searches of people are answered.
    pub(super) answers_people: bool,
    /// How long they have been running at the start, in seconds.
    started: [u64; 3],
}

impl DemoWorld {
    /// A window that was just opened; a cluster runs on this machine.
    pub(super) fn new() -> Self {
        let now = Now {
            moment: Moment(0),
            wall: Timestamp(START),
        };
        let mut world = Self {
            model: Model::new(now, Zone::utc(), IdSource::counting()),
            milliseconds: 0,
            index: 1_180,
            leader: Some((1, 7)),
            candidate: None,
            up: [true; 3],
            added: None,
            isolated: None,
            last_term: 7,
            answers_people: true,
            started: [15_200, 15_200, 15_199],
        };
        world.receive(BackendEvent::Started(Started::default()));
        world.receive(BackendEvent::LocalCluster(LocalCluster::Running {
            addresses: addresses(),
        }));
        world
    }

    /// The same, and these servers are in use.
    pub(super) fn with_servers() -> Self {
        let mut world = Self::new();
        world.receive(BackendEvent::ServersChosen(addresses()));
        world
    }

    /// What time it is.
    pub(super) fn now(&self) -> Now {
        let passed = Duration::from_millis(self.milliseconds);
        Now {
            moment: Moment(self.milliseconds),
            wall: Timestamp(START + passed.as_secs_f64()),
        }
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, milliseconds: u64) {
        self.milliseconds += milliseconds;
        self.index += milliseconds / 700;
        let commands = self.model.run_timers(self.now());
        self.answer(commands);
    }

    /// Something happened outside.
    pub(super) fn receive(&mut self, event: BackendEvent) {
        let commands = self.model.receive(event, self.now());
        self.answer(commands);
    }

    /// The person wants something.
    pub(super) fn act(&mut self, action: UserAction) {
        let commands = self.model.act(action, self.now());
        self.answer(commands);
    }

    /// Answers commands as servers do that succeed at once, as long as there is a leader.
    fn answer(&mut self, commands: Vec<Command>) {
        for command in commands {
            let event = match command {
                Command::Enqueue(outgoing) if self.leader.is_some() => {
                    self.index += 1;
                    BackendEvent::SendAcknowledged {
                        id: outgoing.id,
                        at: self.now().wall,
                        commit: self.commit(self.index),
                        copy: outgoing.copy,
                    }
                }
                Command::SearchPeople { .. } if !self.answers_people => continue,
                Command::SearchPeople { pattern, .. } => BackendEvent::People {
                    names: people(&pattern),
                    pattern,
                    next: None,
                    continued: false,
                },
                Command::CheckLedger { ids, .. } => {
                    self.answer_check(&ids);
                    continue;
                }
                Command::FindLocalCluster => continue,
                _ => continue,
            };
            self.receive(event);
        }
    }

    /// The servers have everything that was acknowledged.
    fn answer_check(&mut self, ids: &[MessageId]) {
        let conversations = self.model.conversations.values();
        let messages = conversations.flat_map(|conversation| &conversation.messages);
        let in_box: Vec<(MessageId, Commit)> = messages
            .filter_map(|message| Some((message.id, message.commit()?)))
            .collect();
        let sent = in_box.iter().filter(|(id, _)| ids.contains(id));
        let stored = sent.map(|(id, commit)| StoredPlace {
            id: *id,
            commit: *commit,
            in_box: true,
        });
        let stored = stored.collect();
        self.receive(BackendEvent::LedgerStored(stored));
        self.receive(BackendEvent::LedgerBox(in_box));
        self.receive(BackendEvent::LedgerEnded(Ok(())));
    }

    /// A place in the log, in the present term.
    pub(super) fn commit(&self, index: u64) -> Commit {
        Commit {
            index: LogIndex(index),
            term: Term(self.leader.map_or(7, |(_, term)| term)),
        }
    }

    /// A node sends us changes.
    pub(super) fn link_up(&mut self) {
        let node = self
            .leader
            .map_or(0, |(leader, _)| leader.saturating_sub(1));
        let address = usize::try_from(node)
            .ok()
            .and_then(|node| ADDRESSES.get(node));
        self.receive(BackendEvent::Link(Link::Up {
            address: address.unwrap_or(&ADDRESSES[0]).to_string(),
        }));
    }

    /// The status of all nodes is polled.
    pub(super) fn poll(&mut self, since_previous: u64) {
        let nodes = self.ids().map(|node| self.report(node)).collect();
        self.receive(BackendEvent::Status {
            nodes,
            since_previous: Some(Duration::from_millis(since_previous)),
        });
        let with_process = |node: &u64| *node != ADDED || self.added != Some(AddedNode::Left);
        let processes = self.ids().filter(with_process).map(|node: u64| {
            let runs = self.is_up(node);
            let condition = if runs {
                ProcessCondition::Running
            } else {
                ProcessCondition::Down
            };
            (
                NodeId(node),
                Process {
                    address: address(node),
                    condition,
                    isolated: self.isolated == Some(node),
                },
            )
        });
        let processes: BTreeMap<NodeId, Process> = processes.collect();
        self.receive(BackendEvent::Processes(Some(processes)));
    }

    /// The numbers of all nodes.
    fn ids(&self) -> std::ops::RangeInclusive<u64> {
        1..=self.added.map_or(ADDED - 1, |_| ADDED)
    }

    fn is_up(&self, node: u64) -> bool {
        if node == ADDED {
            return matches!(self.added, Some(AddedNode::Learner(_)));
        }
        usize::try_from(node - 1)
            .ok()
            .and_then(|place| self.up.get(place))
            .copied()
            .unwrap_or(false)
    }

    /// A node is restarted: it runs since now.
    pub(super) fn restarted(&mut self, node: usize) {
        self.up[node] = true;
        self.started[node] = 0;
    }

    fn report(&self, node: u64) -> NodeReport {
        let status = if self.is_up(node) {
            Ok(self.status(node))
        } else {
            Err("connection refused".to_owned())
        };
        NodeReport {
            address: address(node),
            id: Some(NodeId(node)),
            status,
            round_trip: Duration::from_micros(380 + 90 * node),
        }
    }

    pub(super) fn status(&self, node: u64) -> NodeStatus {
        let (role, term, leader) = match self.leader {
            Some((leader, term)) if leader == node => {
                (NodeRole::Leader, term, Some(NodeId(leader)))
            }
            Some((leader, term)) => (NodeRole::Follower, term, Some(NodeId(leader))),
            None => match self.candidate {
                Some((candidate, term)) if candidate == node => (NodeRole::Candidate, term, None),
                Some((_, term)) => (NodeRole::Follower, term.saturating_sub(1), None),
                None => (NodeRole::Follower, self.last_term, None),
            },
        };
        let role = match role {
            NodeRole::Follower if node == ADDED => NodeRole::Learner,
            role => role,
        };
        let others = self
            .ids()
            .filter(|other| role == NodeRole::Leader && *other != node);
        let followers = others.map(|other| (NodeId(other), self.held_by(other)));
        let started = usize::try_from(node - 1).ok();
        let started = started.and_then(|place| self.started.get(place));
        let ran = started.map_or(12, |before| before + self.milliseconds / 1000);
        let reachable =
            (1..ADDED).filter(|voter| self.is_up(*voter) && self.isolated != Some(*voter));
        let spare = u32::try_from(reachable.count())
            .unwrap_or(0)
            .saturating_sub(2);
        NodeStatus {
            id: NodeId(node),
            role,
            term: Term(term),
            leader,
            last_index: self.held_by(node),
            commit_index: self.held_by(node),
            applied_index: LogIndex(self.held_by(node).0 - u64::from(node == 3)),
            followers: followers.collect(),
            storage: "ok".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: Duration::from_secs(ran),
            cluster_id: CLUSTER_ID.to_owned(),
            storage_bytes: 1_310_720 + node * 4_096,
            voters: vec![NodeId(1), NodeId(2), NodeId(3)],
            quorum: 2,
            snapshots: Some(Snapshots {
                log_begins: LogIndex(self.index / 4_096 * 4_096),
                newest: Some(LogIndex(self.index - self.index % 1_000)),
                ..Snapshots::default()
            }),
            members: self.members(),
            highest_member: NodeId(*self.ids().end()),
            failures_tolerated: (role == NodeRole::Leader).then_some(spare),
        }
    }

    /// The last entry that a node has.
    fn held_by(&self, node: u64) -> LogIndex {
        LogIndex(match self.added {
            Some(AddedNode::Learner(held)) if node == ADDED => held,
            _ if self.is_up(node) => self.index,
            _ => self.index - 24,
        })
    }

    /// Who belongs to the cluster, and whether each votes.
    fn members(&self) -> BTreeMap<NodeId, Option<bool>> {
        let voters = (1..ADDED).map(|voter| (NodeId(voter), Some(true)));
        let is_learner = matches!(self.added, Some(AddedNode::Learner(_)));
        let learner = is_learner.then_some((NodeId(ADDED), Some(false)));
        voters.chain(learner).collect()
    }

    /// A message of the inbox that came so many minutes before the start.
    pub(super) fn received(
        &self,
        from: &str,
        text: &str,
        minutes: f64,
        read: bool,
        id: u128,
    ) -> StoredMessage {
        let at = Timestamp(START - minutes * 60.0);
        StoredMessage {
            id: MessageId(Uuid::from_u128(id)),
            direction: Direction::Received,
            peer: Name::new(from),
            peer_since: Some(LogIndex(1)),
            body: Arc::from(text),
            at,
            written_at: Some(Timestamp(at.0 - 0.4)),
            reply_to: None,
            read,
            commit: Commit {
                index: index_at(minutes),
                term: Term(if minutes > 600.0 { 6 } else { 7 }),
            },
        }
    }
}

/// Where a made-up server is.
fn address(node: u64) -> String {
    let place = usize::try_from(node - 1).ok();
    let address = place.and_then(|place| ADDRESSES.get(place));
    (*address.unwrap_or(&ADDED_ADDRESS)).to_owned()
}

/// Where the made-up servers are.
pub(super) fn addresses() -> Vec<String> {
    ADDRESSES.iter().map(ToString::to_string).collect()
}
