//! Conditions that must be reached once there are no faults any more.

use chat_consensus::{LogIndex, RoleName};

use crate::checker::{Checked, Violation};
use crate::simulation::World;

/// How often a condition is checked, in microseconds.
const CHECK_INTERVAL: u64 = 5_000;

impl World {
    /// Lets time pass until `holds`.
    ///
    /// # Errors
    ///
    /// A property that does not hold, or the condition is not reached in time.
    pub(super) fn wait_until(
        &mut self,
        within: u64,
        what: &str,
        holds: impl Fn(&Self) -> bool,
    ) -> Checked {
        if self.comes_to_hold(within, holds)? {
            return Ok(());
        }
        let what = format!(
            "not {what} within {} ms\n{}",
            within / 1_000,
            self.summary()
        );
        Err(Violation::new("progress", what))
    }

    /// Goes on until something holds, or the time is over; whether it holds.
    pub(super) fn comes_to_hold(
        &mut self,
        within: u64,
        holds: impl Fn(&Self) -> bool,
    ) -> Result<bool, Violation> {
        let limit = self.now + within;
        while !holds(self) {
            if self.now >= limit {
                return Ok(false);
            }
            self.run_until((self.now + CHECK_INTERVAL).min(limit))?;
        }
        Ok(true)
    }

    /// All running nodes follow one leader, which has committed everything it holds up to now.
    pub(super) fn agrees_on_leader(&self) -> bool {
        let Some(leader) = self.leader() else {
            return false;
        };
        let leader = &self.processes[leader];
        let running = self.processes.iter().filter(|p| p.is_running());
        let mut others = running.filter(|p| p.id != leader.id);
        others.all(|p| {
            let follows = matches!(p.seen.role, RoleName::Follower | RoleName::Learner);
            follows && p.seen.term == leader.seen.term && p.seen.leader == Some(leader.id)
        })
    }

    /// All running nodes hold, have committed and have applied the same.
    pub(super) fn has_converged(&self) -> bool {
        let end = self.checkers.committed.last().index;
        let all = |of: &dyn Fn(&crate::simulation::process::Process) -> LogIndex| {
            self.processes
                .iter()
                .filter(|p| p.is_running())
                .all(|p| of(p) == end)
        };
        self.agrees_on_leader()
            && all(&|p| p.seen.last)
            && all(&|p| p.seen.commit_index)
            && all(&|p| p.machine.applied)
    }

    /// Every client has ended an operation that it began after `since`.
    pub(super) fn clients_were_served_since(&self, since: u64) -> bool {
        self.clients
            .iter()
            .all(|client| client.last_ended.is_some() && client.last_began >= since)
    }

    pub(super) fn clients_are_idle(&self) -> bool {
        self.clients.iter().all(super::client::Client::is_idle)
    }

    /// No request to a running node is unanswered since before `moment`.
    pub(super) fn check_pending_requests(&self, moment: u64) -> Checked {
        for process in self.processes.iter().filter(|p| p.is_running()) {
            let overdue = process
                .tickets
                .values()
                .find(|waiting| waiting.since < moment);
            if let Some(waiting) = overdue {
                let what = format!(
                    "node {} has not answered {waiting:?} at {}\n{}",
                    process.id,
                    self.now,
                    self.summary()
                );
                return Err(Violation::new("pending-requests", what));
            }
        }
        Ok(())
    }

    /// One line for each node.
    pub fn summary(&self) -> String {
        let mut lines = Vec::new();
        for process in &self.processes {
            let seen = process.seen;
            let state = format!("{:?}", process.state).to_lowercase();
            let leader = seen
                .leader
                .map_or_else(|| "-".to_owned(), |leader| leader.to_string());
            lines.push(format!(
                "{}: {state} {:?} term {} leader {leader} last {} committed {} applied {}",
                process.id,
                seen.role,
                seen.term,
                seen.last,
                seen.commit_index,
                process.machine.applied
            ));
        }
        lines.join("\n")
    }
}
