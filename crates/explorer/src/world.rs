//! All nodes, their disks, and the messages under way; what can happen to them, and what it leads to.

use std::sync::Arc;

use chat_consensus::{
    ClusterId, Envelope, Header, Input, LogBase, Membership, MembershipEdit, NodeAddresses, NodeId,
    ProposalId, Report, Request, RequestId, RoleName, StorageId, Voter,
};

use crate::action::{Action, Budget};
use crate::history::History;
use crate::machine::{Machine, Message, Step, fingerprint};

const CLUSTER: ClusterId = ClusterId(0xC1);

/// One state of everything. Copies share what they have in common.
#[derive(Clone, Debug)]
pub struct World {
    machines: Vec<(Arc<Machine>, u64)>,
    /// The messages under way, in the order in which they were sent, and that in which they arrive.
    network: Vec<(u64, Arc<Message>)>,
    /// Those that arrive at any later time, or never; in the order of their fingerprints.
    late: Vec<(u64, Arc<Message>)>,
    /// The nodes that no message reaches or leaves at the moment.
    isolated: Vec<bool>,
    /// The leaders whose log is not synced before something else happens.
    slow: Vec<bool>,
    history: Arc<History>,
    budget: Budget,
    disks_made: u8,
}

/// A step that the protocol forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl World {
    /// A cluster of `voters`, of which node 1 leads and all have what it has, and nodes that are no members
    /// up to `nodes`.
    ///
    /// # Panics
    ///
    /// If it does not come so far: the core is broken.
    pub fn settled(nodes: u64, voters: u64, budget: Budget) -> Self {
        let ids: Arc<[NodeId]> = (1..=nodes).map(NodeId).collect();
        let disk = |node: u64| StorageId(u128::from(node) * 16);
        let named = (1..=voters).map(|node| Voter {
            node: NodeId(node),
            storage: disk(node),
        });
        let base = LogBase::first(Membership::of_voters(CLUSTER, named.collect()));
        let machine = |id: &NodeId| {
            let disk = match id.0 <= voters {
                true => crate::disk::Disk::bootstrapped(disk(id.0), base.clone()),
                false => crate::disk::Disk::new(disk(id.0)),
            };
            let machine = Arc::new(Machine::start(*id, Arc::clone(&ids), disk));
            let print = fingerprint(&*machine);
            (machine, print)
        };
        let mut world = Self {
            machines: ids.iter().map(machine).collect(),
            network: Vec::new(),
            late: Vec::new(),
            isolated: vec![false; ids.len()],
            slow: vec![false; ids.len()],
            history: Arc::default(),
            budget: Budget {
                campaigns: 1,
                ..Budget::default()
            },
            disks_made: 0,
        };
        world = world.after(&Action::Campaign(0)).expect("an election");
        loop {
            let next = match world.machines[0].0.has_unsynced_entries() {
                true => Action::Sync(0),
                false if world.network.is_empty() => break,
                false => Action::Deliver,
            };
            world = world.after(&next).expect("nothing happens to it");
        }
        assert!(world.machines[0].0.leads(), "node 1 leads");
        world.budget = budget;
        world
    }

    /// The same for equal states, in this run of the program.
    pub fn fingerprint(&self) -> u64 {
        let machines: Vec<u64> = self.machines.iter().map(|(_, print)| *print).collect();
        let network: Vec<u64> = self.network.iter().map(|(print, _)| *print).collect();
        let late: Vec<u64> = self.late.iter().map(|(print, _)| *print).collect();
        let messages = (network, late, &self.isolated);
        fingerprint(&(machines, messages, &self.slow, &*self.history, self.budget))
    }

    /// Everything that can happen next.
    pub fn actions(&self) -> Vec<Action> {
        let unsynced = |number: &usize| self.machines[*number].0.has_unsynced_entries();
        let hurried = |number: &usize| unsynced(number) && !self.slow[*number];
        if let Some(number) = (0..self.machines.len()).find(hurried) {
            let mut actions = vec![Action::Sync(number)];
            if self.budget.slow_syncs > 0 {
                actions.push(Action::Slow(number));
            }
            return actions;
        }
        let mut actions: Vec<Action> = Vec::new();
        if self.next_message().is_some() {
            actions.push(Action::Deliver);
            if self.budget.delays > 0 {
                actions.push(Action::Delay);
            }
        }
        for (place, (_, message)) in self.late.iter().enumerate() {
            if self.is_open(message) {
                actions.push(Action::DeliverLate(place));
            }
        }
        for (number, (machine, _)) in self.machines.iter().enumerate() {
            self.add_actions_of(number, machine, &mut actions);
        }
        actions
    }

    /// The place of the message that arrives next.
    fn next_message(&self) -> Option<usize> {
        self.network
            .iter()
            .position(|(_, message)| self.is_open(message))
    }

    /// Whether neither end of a message's way is isolated.
    fn is_open(&self, message: &Message) -> bool {
        let isolated = |node: NodeId| self.isolated[place_of(node)];
        !isolated(message.from()) && !isolated(message.to())
    }

    fn add_actions_of(&self, number: usize, machine: &Machine, actions: &mut Vec<Action>) {
        let budget = self.budget;
        let mut add = |allowed: bool, action: Action| {
            if allowed {
                actions.push(action);
            }
        };
        let leads = machine.leads();
        add(machine.has_unsynced_entries(), Action::Sync(number));
        let isolated = self.isolated[number];
        add(
            isolated || budget.isolations > 0,
            match isolated {
                true => Action::Connect(number),
                false => Action::Isolate(number),
            },
        );
        add(budget.restarts > 0, Action::Restart(number));
        add(budget.wipes > 0, Action::Wipe(number));
        add(
            budget.returns > 0 && machine.has_spare(),
            Action::Return(number),
        );
        if !leads {
            let belongs = machine.node.role() != RoleName::Uninitialized;
            add(budget.campaigns > 0 && belongs, Action::Campaign(number));
            add(budget.retries > 0, Action::Retry(number));
            return;
        }
        add(budget.proposals > 0, Action::Propose(number));
        add(budget.notices > 0, Action::Notice(number));
        if budget.announcements > 0 {
            for (other, (follower, _)) in self.machines.iter().enumerate() {
                let follows = follower.node.leader() == Some(machine.node.id());
                add(other != number && !follows, Action::Announce(number, other));
            }
        }
        let members = machine.node.membership().into_iter();
        for node in members.flat_map(Membership::nodes) {
            add(budget.removals > 0, Action::Remove(number, node));
        }
        if budget.changes > 0
            && let Some(newest) = machine.node.membership()
        {
            for next in self.changes(newest) {
                add(true, Action::Change(number, Box::new(next)));
            }
        }
    }

    /// The members that may be requested: each voter becomes a learner, each disk of a voter is replaced by
    /// that which its node has, in one entry (which is refused: R20), and each node that never was a member
    /// joins.
    fn changes(&self, newest: &Membership) -> Vec<Membership> {
        let mut changes = Vec::new();
        for (machine, _) in &self.machines {
            let (node, storage) = (machine.node.id(), machine.disk.storage);
            match newest.voter(node) {
                Some(voter) => {
                    changes.extend(edited(newest, &MembershipEdit::Demote(node)));
                    if voter.storage != storage {
                        let mut next = newest.clone();
                        next.voters.retain(|other| *other != voter);
                        next.voters.push(Voter { node, storage });
                        next.voters.sort_unstable();
                        changes.push(next);
                    }
                }
                // Only one that never was a member joins; a learner votes by itself (R20).
                None => changes.extend(edited(newest, &MembershipEdit::Add(node, addresses()))),
            }
        }
        changes
    }

    /// What an action leads to.
    ///
    /// # Errors
    ///
    /// The protocol forbids it, or a node stops.
    pub fn after(&self, action: &Action) -> Result<Self, Violation> {
        let mut next = self.clone();
        next.take(action).map_err(Violation)?;
        Ok(next)
    }

    fn take(&mut self, action: &Action) -> Result<(), String> {
        self.spend(action);
        match action {
            Action::Deliver => {
                let next = self.next_message().ok_or("no message is under way")?;
                let (_, message) = self.network.remove(next);
                self.deliver(&message)
            }
            Action::DeliverLate(place) => {
                let (_, message) = self.late.remove(*place);
                self.deliver(&message)
            }
            Action::Delay => self.delay(),
            Action::Isolate(number) | Action::Connect(number) => {
                self.isolated[*number] = matches!(action, Action::Isolate(_));
                Ok(())
            }
            Action::Slow(number) => {
                self.slow[*number] = true;
                Ok(())
            }
            Action::Sync(number) => {
                self.slow[*number] = false;
                self.step(*number, |machine| Ok(machine.sync_log()))
            }
            Action::Restart(number) => self.restart(*number, Machine::restart),
            Action::Wipe(number) => {
                self.disks_made += 1;
                let storage = StorageId(1_000 + u128::from(self.disks_made));
                self.restart(*number, |machine| machine.wipe(storage))
            }
            Action::Return(number) => self.restart(*number, Machine::put_spare_in),
            Action::Change(number, members) => {
                if self.change(*number, members)? {
                    self.budget.changes -= 1;
                }
                Ok(())
            }
            Action::Remove(number, node) => {
                let newest = self.machines[*number].0.node.membership();
                let next = newest.and_then(|newest| edited(newest, &MembershipEdit::Remove(*node)));
                if let Some(next) = next
                    && self.change(*number, &next)?
                {
                    self.budget.removals -= 1;
                }
                Ok(())
            }
            Action::Notice(number) | Action::Retry(number) => {
                self.step(*number, Machine::pass_deadline)
            }
            Action::Campaign(number) => {
                let input = self.last_resignation(*number);
                let input = input.unwrap_or(Input::DeadlinePassed);
                self.step(*number, |machine| machine.handle(input))
            }
            Action::Propose(number) => {
                let id = ProposalId(u64::from(self.budget.proposals));
                let command = [self.budget.proposals].to_vec().into();
                self.step(*number, |machine| {
                    machine.handle(Input::Proposed(id, command))
                })
            }
            Action::Announce(leader, number) => {
                let input = self.announcement(*leader, *number);
                self.step(*number, |machine| machine.handle(input))
            }
        }
    }

    /// Takes an action from the budget.
    fn spend(&mut self, action: &Action) {
        let budget = &mut self.budget;
        match action {
            Action::Isolate(_) => budget.isolations -= 1,
            Action::Slow(_) => budget.slow_syncs -= 1,
            Action::Delay => budget.delays -= 1,
            Action::Campaign(_) => budget.campaigns -= 1,
            Action::Restart(_) => budget.restarts -= 1,
            Action::Wipe(_) => budget.wipes -= 1,
            Action::Return(_) => budget.returns -= 1,
            Action::Propose(_) => budget.proposals -= 1,
            Action::Announce(..) => budget.announcements -= 1,
            Action::Notice(_) => budget.notices -= 1,
            Action::Retry(_) => budget.retries -= 1,
            // Counted once it is appended.
            Action::Change(..)
            | Action::Remove(..)
            | Action::Deliver
            | Action::DeliverLate(_)
            | Action::Connect(_)
            | Action::Sync(_) => {}
        }
    }

    fn delay(&mut self) -> Result<(), String> {
        let next = self.next_message().ok_or("no message is under way")?;
        let delayed = self.network.remove(next);
        let place = self.late.partition_point(|(other, _)| *other < delayed.0);
        self.late.insert(place, delayed);
        Ok(())
    }

    /// Whether the change was appended; otherwise it was refused, and nothing has changed.
    fn change(&mut self, number: usize, members: &Membership) -> Result<bool, String> {
        let input = Input::MembershipRequested(Box::new(members.clone()));
        self.step(number, |machine| machine.handle(input))?;
        Ok(self.machines[number].0.node.membership() == Some(members))
    }

    fn deliver(&mut self, message: &Message) -> Result<(), String> {
        let number = place_of(message.to());
        self.step(number, |machine| machine.receive(message.clone()))
    }

    fn restart(&mut self, number: usize, restart: impl FnOnce(&mut Machine)) -> Result<(), String> {
        self.step(number, |machine| {
            restart(machine);
            Ok(machine.sync_log())
        })
    }

    /// One node does something; what it sends is under way then.
    fn step(
        &mut self,
        number: usize,
        act: impl FnOnce(&mut Machine) -> Result<Step, String>,
    ) -> Result<(), String> {
        let (machine, print) = &mut self.machines[number];
        let machine = Arc::make_mut(machine);
        let Step { sent, reports } = act(machine)?;
        for report in reports {
            if let Report::FollowerRolledBack(..) | Report::RolledBack { .. } = report {
                return Err(format!(
                    "an honest disk is said to be rolled back: {report:?}"
                ));
            }
        }
        *print = fingerprint(&*machine);
        if let Some(history) = self.history.after(&machine.node)? {
            self.history = Arc::new(history);
        }
        for message in sent {
            self.send(message);
        }
        let node = &self.machines[number].0.node;
        let (id, term, run) = (node.id(), node.term(), node.run());
        let is_of_use = |(_, message): &(u64, Arc<Message>)| match &**message {
            // It would change nothing at any later time: its request is forgotten.
            Message::Reply(reply) if reply.header.to == id => {
                reply.header.term >= term && reply.header.request.start == run
            }
            Message::Reply(_) | Message::Request(_) => true,
        };
        self.network.retain(is_of_use);
        self.late.retain(is_of_use);
        Ok(())
    }

    /// A reply that only ends a call is not needed: no node waits for it.
    fn send(&mut self, message: Message) {
        use chat_consensus::Reply;
        if let Message::Reply(reply) = &message
            && matches!(reply.message, Reply::Coordinator | Reply::Resign)
        {
            return;
        }
        let print = fingerprint(&message);
        self.network.push((print, Arc::new(message)));
    }

    /// The request with which a leader steps down in favour of this node, from the leader that it knows or
    /// from another voter.
    fn last_resignation(&self, number: usize) -> Option<Input> {
        let node = &self.machines[number].0.node;
        let members = node.membership()?;
        let others = members
            .voters
            .iter()
            .filter(|voter| voter.node != node.id());
        let known = others
            .clone()
            .find(|voter| node.leader() == Some(voter.node));
        let from = known.or_else(|| others.clone().next())?;
        let successor = Some(node.id());
        Some(Input::Request(Envelope {
            header: self.header(*from, number),
            message: Request::Resign { successor },
        }))
    }

    /// A leader's repeated announcement.
    fn announcement(&self, leader: usize, to: usize) -> Input {
        let node = &self.machines[leader].0.node;
        let members = node.membership();
        let receiver = self.machines[to].0.node.id();
        let voter = members.and_then(|members| members.voter(receiver));
        let from = Voter {
            node: node.id(),
            storage: node.storage(),
        };
        let header = Header {
            term: node.term(),
            to_storage: voter.map(|voter| voter.storage),
            ..self.header(from, to)
        };
        Input::Request(Envelope {
            header,
            message: Request::Coordinator,
        })
    }

    fn header(&self, from: Voter, to: usize) -> Header {
        let receiver = &self.machines[to].0.node;
        Header {
            cluster: Some(CLUSTER),
            term: receiver.term(),
            from: from.node,
            to: receiver.id(),
            storage: from.storage,
            to_storage: None,
            request: RequestId::default(),
        }
    }
}

fn place_of(node: NodeId) -> usize {
    usize::try_from(node.0 - 1).expect("few nodes")
}

/// The members after an edit, if it is possible and changes something.
fn edited(newest: &Membership, edit: &MembershipEdit) -> Option<Membership> {
    newest.edited(edit).ok().flatten()
}

/// Of every node that joins: no rule reads them.
fn addresses() -> NodeAddresses {
    NodeAddresses {
        peer: "x".into(),
        client: "".into(),
    }
}
