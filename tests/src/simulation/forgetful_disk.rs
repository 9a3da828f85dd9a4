//! The disk of a follower returns to an earlier state, of all its files: what it had synced and
//! acknowledged since is lost. The others notice that (R18).

use chat_consensus::{LogIndex, StorageId};

use crate::checker::{Checked, Violation, ensure};
use crate::simulation::World;
use crate::simulation::disk_copy::DiskCopy;
use crate::simulation::faults::FaultKind;
use crate::simulation::queue::SimEvent;
use crate::simulation::service_api::Tables;

/// A disk that lost what it acknowledged counts again, or its node is a learner, within this time.
const NOTICED_WITHIN: u64 = 3_000_000;
/// A node that was restarted holds new entries within this time.
const FOLLOWS_WITHIN: u64 = 3_000_000;

impl World {
    /// A follower dies, and at its restart its disk has lost the newest of what it had synced and
    /// acknowledged, or is an older copy of all its files. The leader remains.
    ///
    /// With block numbers the disk counts as one that forgot. Without them the leader does not count it
    /// before it holds that again.
    pub(super) fn make_follower_disk_forget(&mut self) -> Checked {
        let leader = self.leader().expect("recovery saw one");
        let term = self.processes[leader].seen.term;
        let mut others = (0..self.settings.nodes).filter(|node| *node != leader);
        let Some(follower) = others.find(|node| self.is_admitted(*node)) else {
            return Ok(());
        };
        if self.settings.block_numbers.of_node(follower) && !self.is_survivable_without(follower) {
            return Ok(());
        }
        let old_copy = self.random.bool();
        let end = if old_copy {
            self.replace_disk_by_older_copy(leader, follower)?
        } else {
            self.lose_newest_transactions(follower)?
        };
        let Some(end) = end else {
            return Ok(());
        };
        self.note_rolled_back(follower);
        self.start(follower)?;
        let what = "noticed after its disk was rolled back";
        let has_block_numbers = self.settings.block_numbers.of_node(follower);
        self.wait_until(NOTICED_WITHIN, what, |world| {
            let held = world.processes[follower].seen.last >= end;
            let forgot = !world.is_admitted(follower);
            let counts = world.counts_for(leader, follower, end);
            // The leader had been sent the number of every block that the copy lacks.
            held && (forgot || counts && !(old_copy && has_block_numbers))
        })?;
        self.rolled_back = None;
        ensure(
            self.processes[leader].seen.term == term,
            "stability",
            || "the leader changed because a follower's disk was rolled back".to_owned(),
        )
    }

    /// The newest flushes of the disk are lost. Returns how far it had acknowledged at most; `None` if
    /// even the base is lost, which is the case of a wiped disk.
    fn lose_newest_transactions(&mut self, follower: usize) -> Result<Option<LogIndex>, Violation> {
        self.print(|_| "the disk of a follower is rolled back".to_owned());
        self.kill(follower)?;
        self.former_disks.push(self.disks[follower].copy());
        let end = self.disks[follower].durable().last().index;
        let count = self.random.usize(1..16);
        let rolled_back = self.disks[follower].roll_back(count);
        rolled_back.map_err(|why| Violation::new("disk", why))?;
        let left = self.disks[follower].durable().last().index;
        if self.disks[follower].durable().base().is_none() {
            return Ok(None);
        }
        if left < end {
            self.faults.add(FaultKind::SyncedLost);
        }
        // State and log are rolled back together, as in a copy: otherwise the node would not start.
        self.processes[follower].machine.roll_back(left);
        if let Some(service) = &mut self.service {
            service.stop(follower, Tables::Lost);
        }
        Ok(Some(end))
    }

    /// The disk is copied, used by one or two more runs, and replaced by the copy, boot count included.
    /// Returns how far it had acknowledged.
    fn replace_disk_by_older_copy(
        &mut self,
        leader: usize,
        follower: usize,
    ) -> Result<Option<LogIndex>, Violation> {
        self.print(|_| "the disk of a follower is replaced by an older copy".to_owned());
        self.kill(follower)?;
        let copy = self.copy_of(follower);
        for _ in 0..self.random.u32(1..=2) {
            self.start(follower)?;
            // The copy has this, too: a start syncs what the page cache has, and may acknowledge no more.
            let end = self.disks[follower].durable().last().index;
            self.wait_until(FOLLOWS_WITHIN, "followed by a restarted node", |world| {
                world.counts_for(leader, follower, end.next())
            })?;
            self.kill(follower)?;
        }
        let end = self.disks[follower].durable().last().index;
        self.faults.add(FaultKind::OldCopy);
        self.restore(follower, copy);
        Ok(Some(end))
    }

    /// What a disk had acknowledged is lost: its leader may not count it, and others may answer that it has
    /// forgotten.
    pub(super) fn note_rolled_back(&mut self, node: usize) {
        self.rolled_back = Some(node);
        self.ever_rolled_back.insert(self.disks[node].storage());
    }

    /// A copy of what a node that does not run has on its disk.
    pub(super) fn copy_of(&self, node: usize) -> DiskCopy {
        let process = &self.processes[node];
        DiskCopy {
            disk: self.disks[node].copy(),
            machine: process.machine.clone(),
            files: process.files.clone(),
        }
    }

    /// A node that does not run has the copy on its disk from now on.
    pub(super) fn restore(&mut self, node: usize, copy: DiskCopy) {
        let former = std::mem::replace(&mut self.disks[node], copy.disk);
        self.former_disks.push(former);
        let process = &mut self.processes[node];
        (process.machine, process.files) = (copy.machine, copy.files);
        if let Some(service) = &mut self.service {
            service.stop(node, Tables::Lost);
        }
    }

    /// A node was answered that its disk has forgotten: the disk gets a new storage id, and its next start
    /// is that of a learner.
    pub(super) fn begin_amnesia(&mut self, node: usize, why: &str) -> Checked {
        self.count("disk forgot, as others remembered");
        self.former_disks.push(self.disks[node].copy());
        // A batch that was not begun is never written.
        self.processes[node].writing = None;
        let storage = StorageId(self.random.u128(1..));
        let begun = self.disks[node].begin_amnesia(storage, why);
        begun.map_err(|why| Violation::new("disk", why))?;
        let id = self.processes[node].id;
        if !self.wiped.contains(&id) {
            self.wiped.push(id);
        }
        self.kill(node)?;
        if self.settings.faults.is_some() && self.mix.is_none() {
            // All faults have ended, and it is started as every other was.
            let run = self.processes[node].run;
            let at = self.now + 1_000;
            self.queue.push(at, SimEvent::Restart { node, run });
        }
        Ok(())
    }

    pub(super) fn is_admitted(&self, node: usize) -> bool {
        let storage = self.disks[node].storage();
        let membership = self.members();
        membership.is_some_and(|membership| membership.admits(super::queue::node_id(node), storage))
    }

    /// Whether `leader` counts `follower` as holding the log through `index`.
    fn counts_for(&self, leader: usize, follower: usize, index: LogIndex) -> bool {
        let replica = self.processes[leader].replica.as_ref();
        let followers = replica.and_then(|replica| replica.node().followers());
        let id = super::queue::node_id(follower);
        let known = followers
            .into_iter()
            .flatten()
            .find(|known| known.node == id);
        known.is_some_and(|known| known.voter && known.match_index >= index)
    }
}
