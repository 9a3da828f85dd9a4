//! The duties of a driver with snapshots and compaction (R24): each takes a while, and the process may
//! die before it, or after it and before the replica knows.

use chat_consensus::{LogBase, LogIndex, Membership, Position, Snapshot};
use chat_replication::{Effect, Event};

use crate::checker::{Checked, Violation, ensure, snapshots};
use crate::simulation::World;
use crate::simulation::faults::FaultKind;
use crate::simulation::process::Machine;
use crate::simulation::queue::SimEvent;
use crate::simulation::reply_maker::ReplyMaker;
use crate::simulation::snapshot_files::digest;
use crate::simulation::snapshot_job::SnapshotWork;

impl World {
    /// Begins what an effect of R24 asks for.
    pub(super) fn begin_snapshot_effect(&mut self, node: usize, effect: Effect) -> Checked {
        let (work, most) = match effect {
            Effect::TakeSnapshot {
                position,
                membership,
            } => (self.copy_state(node, position, membership)?, 60_000),
            Effect::Compact { through, rolls } => {
                let most = 5_000;
                (SnapshotWork::Compact { through, rolls }, most)
            }
            Effect::ReadPiece {
                id,
                snapshot,
                offset,
                bytes_max,
            } => {
                let work = SnapshotWork::Read {
                    id,
                    snapshot,
                    offset,
                    bytes_max: bytes_max.min(self.settings.piece_max),
                };
                (work, 3_000)
            }
            Effect::StorePiece {
                snapshot,
                offset,
                bytes,
            } => {
                let work = SnapshotWork::Store {
                    snapshot,
                    offset,
                    bytes,
                };
                (work, 2_000)
            }
            Effect::FinishDownload(snapshot) => (SnapshotWork::Finish(snapshot), 20_000),
            Effect::InstallState(snapshot) => {
                let process = &mut self.processes[node];
                let busy = process.applying.is_some() || process.publishing || process.installing;
                ensure(!busy, "apply-order", || {
                    format!("node {} installs a state while it is busy", process.id)
                })?;
                process.installing = true;
                (SnapshotWork::Install(snapshot), 20_000)
            }
            Effect::DropSnapshot(id) => {
                self.processes[node].files.remove(id);
                return Ok(());
            }
            Effect::DropDownload(id) => {
                self.processes[node].files.drop_partial(id);
                return Ok(());
            }
            other => unreachable!("{other:?} has nothing to do with snapshots"),
        };
        let most = if self.settings.faults.is_some() {
            self.random.u64(20..most * self.settings.slow_snapshots)
        } else {
            500
        };
        let run = self.processes[node].run;
        let work = Box::new(work);
        let what = SimEvent::Snapshot { node, run, work };
        self.queue.push(self.now + most, what);
        Ok(())
    }

    /// Does what was begun, unless the process is killed before or after.
    pub(super) fn end_snapshot_work(&mut self, node: usize, work: SnapshotWork) -> Checked {
        let chance = self.mix.as_ref().map_or(0, |mix| mix.kill_during_snapshots);
        let killed = self.chance(chance);
        if killed {
            self.faults.add(FaultKind::KillDuringSnapshot);
            if self.random.bool() {
                return self.kill(node);
            }
        }
        let event = self.do_snapshot_work(node, work)?;
        if killed {
            return self.kill(node);
        }
        self.handle(node, event)
    }

    fn do_snapshot_work(
        &mut self,
        node: usize,
        work: SnapshotWork,
    ) -> Result<Event<ReplyMaker>, Violation> {
        let fails = self.mix.as_ref().map_or(0, |mix| mix.full_disks);
        let id = self.processes[node].id;
        Ok(match work {
            SnapshotWork::Take(snapshot, bytes) => {
                if self.chance(fails) {
                    self.faults.add(FaultKind::SnapshotFailed);
                    return Ok(Event::SnapshotTaken(None));
                }
                let position = snapshot.base.position;
                self.print(|_| format!("{id}: has taken a snapshot at {position:?}"));
                self.count("snapshot taken");
                self.processes[node].files.add(snapshot.clone(), bytes);
                Event::SnapshotTaken(Some(snapshot))
            }
            SnapshotWork::Compact { through, rolls } => self.compact_log(node, through, rolls)?,
            SnapshotWork::Read {
                id,
                snapshot,
                offset,
                bytes_max,
            } => {
                let file = self.processes[node].files.read(snapshot);
                let piece = file.map(|bytes| {
                    let begin = usize::try_from(offset).unwrap_or(usize::MAX);
                    let begin = begin.min(bytes.len());
                    bytes.slice(begin..bytes.len().min(begin.saturating_add(bytes_max)))
                });
                Event::PieceRead(id, piece)
            }
            SnapshotWork::Store {
                snapshot,
                offset,
                bytes,
            } => {
                if self.chance(fails * 2) {
                    self.faults.add(FaultKind::PieceNotStored);
                    return Ok(Event::PieceStored(snapshot, None));
                }
                let files = &mut self.processes[node].files;
                Event::PieceStored(snapshot, files.store(snapshot, offset, &bytes))
            }
            SnapshotWork::Finish(snapshot) => {
                // Few downloads are finished, and each kind of end must be seen often enough.
                if self.chance(fails * 8) && self.processes[node].files.damage_partial(0) {
                    self.faults.add(FaultKind::DownloadDamaged);
                }
                let complete = self.processes[node].files.finish(&snapshot);
                let name = if complete {
                    "download complete"
                } else {
                    "download with a wrong digest"
                };
                self.count(name);
                let position = snapshot.base.position;
                self.print(|_| format!("{id}: {name}: {position:?}"));
                Event::DownloadFinished(snapshot, complete)
            }
            SnapshotWork::Install(snapshot) => {
                let installed = self.install_state(node, &snapshot)?;
                Event::StateInstalled(installed)
            }
        })
    }

    fn compact_log(
        &mut self,
        node: usize,
        through: LogIndex,
        rolls: bool,
    ) -> Result<Event<ReplyMaker>, Violation> {
        let id = self.processes[node].id;
        let disk = &mut self.disks[node];
        let rolled = if rolls { disk.roll() } else { Ok(()) };
        let base = rolled.and_then(|()| disk.compact(through));
        let base = base.map_err(|why| Violation::new("disk", why))?;
        if rolls {
            self.count("log compacted because of its age");
        }
        self.check_base(&base)?;
        self.count("log compacted");
        self.print(|_| format!("{id}: its log begins at {:?}", base.position));
        Ok(Event::Compacted(base))
    }

    /// The state as of now becomes a file, under a name that does not count yet.
    fn copy_state(
        &mut self,
        node: usize,
        position: Position,
        membership: Membership,
    ) -> Result<SnapshotWork, Violation> {
        let process = &self.processes[node];
        let machine = &process.machine;
        let exact = process.applying.is_none() && machine.applied == position.index;
        ensure(exact, "snapshot-content", || {
            format!(
                "node {} takes a snapshot at {position:?}, and has applied {}",
                process.id, machine.applied
            )
        })?;
        let bytes = machine.to_file(self.random.u64(..));
        let chain = self.disks[node].durable().chain_at(position.index);
        let chain = chain.ok_or_else(|| {
            let what = format!("the log of node {node} does not hold {position:?}");
            Violation::new("snapshot-content", what)
        })?;
        let snapshot = Snapshot {
            base: LogBase {
                position,
                chain,
                membership,
            },
            digest: digest(&bytes),
            size: bytes.len() as u64,
        };
        self.check_base(&snapshot.base)?;
        Ok(SnapshotWork::Take(snapshot, bytes))
    }

    fn install_state(&mut self, node: usize, snapshot: &Snapshot) -> Result<bool, Violation> {
        let process = &mut self.processes[node];
        process.installing = false;
        let id = process.id;
        let position = snapshot.base.position;
        let Some(bytes) = process.files.read(snapshot.id()) else {
            self.count("own snapshot found damaged");
            self.print(|_| format!("{id}: its snapshot at {position:?} is damaged"));
            return Ok(false);
        };
        let durable = self.disks[node].durable();
        // A second snapshot may have moved the base on meanwhile.
        let base = durable.base();
        let covered = base.is_some_and(|base| position.index < base.position.index);
        ensure(covered || durable.holds(position), "apply-synced", || {
            format!("node {id} installs the state at {position:?}, where its log is not")
        })?;
        self.check_base(&snapshot.base)?;
        let machine = Machine::from_file(&bytes, position.index)
            .ok_or_else(|| Violation::new("snapshot-content", "a file that is none"))?;
        snapshots::content(id, position.index, &machine.list, &self.checkers.committed)?;
        let process = &mut self.processes[node];
        let before = process.machine.applied;
        ensure(before < position.index, "snapshot-content", || {
            format!("node {id} goes back from {before} to {position:?}")
        })?;
        process.machine = machine;
        self.trace.note(position.index.0);
        self.count("state installed");
        self.print(|_| format!("{id}: has the state at {position:?}"));
        Ok(true)
    }

    pub(super) fn check_base(&self, base: &LogBase) -> Checked {
        snapshots::base(base, &self.checkers.committed)
    }

    /// Something happened that some run must have.
    pub(super) fn count(&mut self, situation: &'static str) {
        *self.situations.entry(situation).or_default() += 1;
    }

    /// Whether the state of `node` could not be restored from its own disk, if it was lost.
    pub(super) fn lacks_snapshot(&self, node: usize) -> bool {
        let base = self.disks[node].durable().base();
        let begins = base.map_or(LogIndex::ZERO, |base| base.position.index);
        begins > LogIndex::ZERO && self.processes[node].files.newest_intact() < begins
    }

    /// Whether most of the voters can have their state again by themselves, without `node`.
    pub(super) fn is_survivable_without(&self, node: usize) -> bool {
        let most = (self.settings.nodes - 1) / 2;
        let impaired = |other: usize| {
            let id = &self.processes[other].id;
            let gone = self.wiped.contains(id) || self.may_forget.contains(id);
            let forgot = self.ever_rolled_back.contains(&self.disks[other].storage());
            other == node || gone || forgot || self.lacks_snapshot(other)
        };
        (0..self.settings.nodes).filter(|n| impaired(*n)).count() <= most
    }

    /// The log of a node rots while it is without power, if the cluster survives it.
    pub(super) fn rot_log_if_survivable(&mut self, node: usize) -> Checked {
        if !self.is_survivable_without(node) {
            return Ok(());
        }
        self.power_off(node)?;
        let may_forget = self.survives_wiping(node);
        let before = self.disks[node].copy();
        let committed = &self.checkers.committed;
        let is_committed = |at: Position| committed.term_at(at.index) == Some(at.term);
        let rotten = self.disks[node].rot_in_the_middle(|at| may_forget || is_committed(at));
        if rotten.map_err(|why| Violation::new("disk", why))? {
            self.faults.add(FaultKind::LogRotten);
            self.former_disks.push(before);
            let begins = self.disks[node].durable().base().map(|base| base.position);
            let begins = begins.unwrap_or_default();
            let id = self.processes[node].id;
            self.print(|_| format!("{id}: its log is damaged before {begins:?}"));
            if self.processes[node].machine.applied < begins.index {
                self.count("log damaged beyond the state");
            }
            let is_committed = self.checkers.committed.term_at(begins.index) == Some(begins.term);
            if !is_committed && !self.may_forget.contains(&id) {
                self.may_forget.push(id);
            }
        }
        Ok(())
    }

    /// A dead node loses its snapshots, if the cluster survives it: most of the voters can have their
    /// state again by themselves.
    pub(super) fn lose_snapshots_if_survivable(&mut self, node: usize) -> Checked {
        let begins = self.disks[node].durable().base();
        let whole = begins.is_none_or(|base| base.position.index == LogIndex::ZERO);
        // A log from the beginning needs no snapshot, and a service has none here.
        if whole || !self.is_survivable_without(node) {
            return Ok(());
        }
        self.kill(node)?;
        self.faults.add(FaultKind::SnapshotsLost);
        let damaged = self.random.bool();
        self.processes[node].files.lose_complete(damaged);
        if self.random.bool() {
            let machine = &mut self.processes[node].machine;
            if machine.applied > LogIndex::ZERO {
                self.faults.add(FaultKind::StateGone);
            }
            machine.roll_back(LogIndex::ZERO);
        }
        Ok(())
    }
}
