//! Nodes join and leave, at the request of an operator who repeats what has no outcome, while leaders die and are
//! isolated; and dead voters are demoted (R19, R20, R21).

use chat_consensus::{Membership, MembershipEdit, NodeAddresses, RoleName, StorageId};
use chat_replication::{Autopilot, Event, MembersTicket};

use crate::checker::{Checked, Violation, ensure};
use crate::simulation::World;
use crate::simulation::clock::{Clock, EVEN_RATE};
use crate::simulation::operator::{Answer, JOINERS_MAX};
use crate::simulation::process::Process;
use crate::simulation::queue::{node_id, node_number};
use crate::simulation::run::{PROGRESS_WITHIN, READMITTED_WITHIN_TIMEOUTS};
use crate::simulation::world::new_disk;

/// An operator repeats a request so often at most; an election takes some of them.
const ATTEMPTS_MAX: usize = 60;
/// ... and waits so long for an answer, and before the next one, in microseconds.
const ANSWER_WITHIN: u64 = 2_000_000;
const REPEATED_AFTER: u64 = 300_000;

/// A node that was removed knows it after this long: it asks again after 10 s.
const KNOWS_REMOVAL_WITHIN: u64 = 15_000_000;

/// A voter is dead after so many election timeouts.
const DEAD_AFTER_TIMEOUTS: u32 = 15;

impl World {
    /// Two nodes join, and after each another one leaves: the leader, or any.
    pub(super) fn resize(&mut self) -> Checked {
        for _ in 0..JOINERS_MAX {
            let node = self.add_machine();
            if !self.join(node)? {
                return Ok(());
            }
            self.recover("well after a node joined")?;
            self.leave()?;
            self.recover("well after a node left")?;
        }
        Ok(())
    }

    /// Of five voters two die at once, and later a third; all of them return.
    pub(super) fn lose_three_of_five(&mut self) -> Checked {
        let timeout = self.settings.timing.election_timeout;
        self.autopilot = Some(Autopilot {
            dead_after: timeout * DEAD_AFTER_TIMEOUTS,
            min_voters: 3,
        });
        // A node that runs does not know of it yet.
        for node in 0..self.settings.nodes {
            self.kill(node)?;
            self.start(node)?;
        }
        self.recover("well after a restart")?;
        let leader = self.leader().expect("recovery saw one");
        let nodes = self.settings.nodes;
        let dead = [1, 2].map(|next| (leader + next) % nodes);
        for node in dead {
            self.kill(node)?;
        }
        let within = u64::from(4 * DEAD_AFTER_TIMEOUTS) * self.election_timeout() + PROGRESS_WITHIN;
        self.wait_until(within, "dead voters demoted", |world| {
            world
                .members()
                .is_some_and(|members| members.voters.len() == 3)
        })?;
        let third = self.leader().expect("three of three run");
        self.kill(third)?;
        let end = self.checkers.committed.last().index;
        self.wait_until(PROGRESS_WITHIN, "going on with two of five", |world| {
            world.checkers.committed.last().index.0 > end.0 + 1
        })?;
        for node in 0..self.settings.nodes {
            self.start(node)?;
        }
        let within = READMITTED_WITHIN_TIMEOUTS * self.election_timeout() + 2 * PROGRESS_WITHIN;
        self.wait_until(within, "every voter returned", |world| {
            (0..world.settings.nodes).all(|node| world.is_admitted(node))
        })?;
        self.count("two of five lost at once, and a third later");
        self.recover("well after three voters returned")
    }

    /// One more machine with an empty disk.
    fn add_machine(&mut self) -> usize {
        let node = self.settings.nodes;
        self.settings.nodes += 1;
        let clock = Clock::new(node as u64 * 1_000, EVEN_RATE);
        let mut process = Process::new(node_id(node), clock);
        process.may_bootstrap = false;
        self.processes.push(process);
        let storage = StorageId(self.random.u128(1..));
        self.disks.push(new_disk(&self.settings, node, storage));
        self.last_fetch.push(None);
        self.copies.push(None);
        node
    }

    /// Whether the node is level, and a voter.
    fn join(&mut self, node: usize) -> Result<bool, Violation> {
        let id = node_id(node);
        self.print(|_| format!("{id}: joins"));
        // Before or after it is a member.
        let starts_first = self.random.bool();
        if starts_first {
            self.start(node)?;
        }
        let addresses = NodeAddresses {
            peer: format!("peer-{id}").into(),
            client: "".into(),
        };
        let edit = MembershipEdit::Add(id, addresses);
        self.change_members(&edit, |members| members.names(id))?;
        self.start(node)?;
        let is_level = self.comes_to_hold(2 * PROGRESS_WITHIN, |world| {
            world.processes[node].seen.last >= world.checkers.committed.last().index
        })?;
        if !is_level {
            // The load is as fast as this node can fetch.
            self.count("joining node stays behind");
            return Ok(false);
        }
        self.wait_until(PROGRESS_WITHIN, "a node that joins admitted", |world| {
            world.is_admitted(node)
        })?;
        self.count("node joined");
        Ok(true)
    }

    /// The leader, or any member, leaves, if enough voters are left.
    fn leave(&mut self) -> Checked {
        let members = self.members().expect("there is a cluster").clone();
        if members.voters.len() < 3 {
            return Ok(());
        }
        let leader = self.leader().expect("recovery saw one");
        let nodes: Vec<usize> = members.nodes().map(node_number).collect();
        let node = match self.random.bool() {
            true => leader,
            false => *self.random.choice(&nodes).expect("not empty"),
        };
        let id = node_id(node);
        self.print(|_| format!("{id}: is removed"));
        let edit = MembershipEdit::Remove(id);
        self.change_members(&edit, |members| members.has_removed(id))?;
        self.start(node)?;
        self.wait_until(
            KNOWS_REMOVAL_WITHIN,
            "known to the node that left",
            |world| world.processes[node].seen.role == RoleName::Removed,
        )?;
        self.kill(node)?;
        self.retired.insert(node);
        self.count(if node == leader {
            "leader removed"
        } else {
            "node removed"
        });
        Ok(())
    }

    /// Requests an edit of a leader until one says that it is committed, which must be true then.
    fn change_members(
        &mut self,
        edit: &MembershipEdit,
        is_done: impl Fn(&Membership) -> bool,
    ) -> Checked {
        for _ in 0..ATTEMPTS_MAX {
            if let Some(leader) = self.leader()
                && let Some(answer) = self.request_change(leader, edit)?
                && let Ok(index) = answer
            {
                let committed = &self.checkers.committed;
                let index = index.unwrap_or(committed.last().index);
                let members = committed.members_at(index).or_else(|| self.members());
                return ensure(members.is_some_and(&is_done), "members", || {
                    format!("{edit:?} is answered at {index}, where the members are {members:?}")
                });
            }
            self.run_until(self.now + REPEATED_AFTER)?;
        }
        let what = format!("{edit:?} has no outcome\n{}", self.summary());
        Err(Violation::new("progress", what))
    }

    /// One request; what answers it may die, or be isolated, before it does.
    fn request_change(
        &mut self,
        leader: usize,
        edit: &MembershipEdit,
    ) -> Result<Option<Answer>, Violation> {
        self.changes_made += 1;
        let ticket = self.changes_made;
        self.handle(
            leader,
            Event::ChangeMembers(MembersTicket(ticket), edit.clone()),
        )?;
        let disturbance = self.random.u32(0..4);
        match disturbance {
            0 => {
                self.run_until(self.now + self.settings.sync.1)?;
                self.count("leader killed while it changes the members");
                self.kill(leader)?;
            }
            1 => {
                self.count("leader isolated while it changes the members");
                for peer in (0..self.settings.nodes).filter(|peer| *peer != leader) {
                    self.network.partition(leader, peer);
                    self.network.partition(peer, leader);
                }
            }
            _ => {}
        }
        self.comes_to_hold(ANSWER_WITHIN, |world| world.answers.contains_key(&ticket))?;
        if disturbance == 0 {
            self.start(leader)?;
        }
        self.network.heal_all();
        Ok(self.answers.remove(&ticket))
    }
}
