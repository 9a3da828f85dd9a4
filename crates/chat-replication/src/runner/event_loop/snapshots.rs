//! The effects that are about snapshots (R24).

use chat_consensus::{Position, Snapshot, Writes};

use super::{EventLoop, apply_task_ended, into_error, log_ended};
use crate::event::{Effect, Event};
use crate::runner::loop_event::{LoopEvent, Taking};
use crate::runner::reply_maker::ReplyMaker;
use crate::runner::snapshot_task::{PieceJob, SnapshotTaskEnded};
use crate::runner::stop_reason::StopReason;
use crate::runner::transport::PeerLink;

impl<L: PeerLink> EventLoop<L> {
    /// Carries out an effect that is about snapshots; others are none of its business.
    pub(super) fn execute_snapshot_effect(&mut self, effect: Effect) -> Result<(), StopReason> {
        let snapshots = &self.workers.snapshots;
        match effect {
            Effect::TakeSnapshot { membership, .. } => {
                self.taking = Taking(true);
                let begun = self.workers.applier.begin_snapshot(membership);
                begun.map_err(apply_task_ended)
            }
            Effect::DropSnapshot(id) => snapshots.remove(id).map_err(ended),
            Effect::Compact { through, rolls } => {
                let begun = self.workers.log.compact(through, rolls);
                begun.map_err(log_ended)
            }
            Effect::ReadPiece {
                id,
                snapshot,
                offset,
                bytes_max,
            } => {
                let read = PieceJob::Read {
                    id,
                    snapshot,
                    offset,
                    bytes_max,
                };
                snapshots.begin(read).map_err(ended)
            }
            Effect::StorePiece {
                snapshot,
                offset,
                bytes,
            } => {
                let store = PieceJob::Store {
                    snapshot,
                    offset,
                    bytes,
                };
                snapshots.begin(store).map_err(ended)
            }
            Effect::FinishDownload(snapshot) => {
                snapshots.begin(PieceJob::Finish(snapshot)).map_err(ended)
            }
            Effect::DropDownload(id) => snapshots.begin(PieceJob::Drop(id)).map_err(ended),
            Effect::InstallState(snapshot) => self.install(snapshot),
            _ => Ok(()),
        }
    }

    /// Notes what an event means for later effects and for the status.
    pub(super) fn note_event(&mut self, event: &Event<ReplyMaker>) {
        match event {
            Event::SnapshotTaken(_) => self.taking = Taking(false),
            Event::Compacted(base) if base.position.index > self.log_begins_after => {
                self.log_begins_after = base.position.index;
                tracing::info!(index = base.position.index.0, "the log begins here now");
            }
            _ => {}
        }
    }

    /// The chain of the entries begins with the first base; with a later one a state is installed.
    pub(super) fn note_base(&mut self, writes: &Writes) {
        if let Some(base) = &writes.base
            && base.position == Position::ZERO
        {
            self.first_chain = Some(base.chain);
        }
    }

    /// Installs a snapshot, unless the log holds another history up to its position.
    fn install(&mut self, snapshot: Snapshot) -> Result<(), StopReason> {
        let position = snapshot.base.position;
        let known = self.workers.log.chain_at(position.index);
        let known = known.map_err(log_ended)?;
        let installer = self.workers.applier.installer();
        let events = self.leader.events.clone();
        tokio::spawn(async move {
            match known.await {
                Ok(Some(chain)) if chain != snapshot.base.chain => {
                    let error = into_error("the log and a snapshot of its cluster contradict");
                    drop(events.send(LoopEvent::Stop(StopReason::Fault(error))).await);
                }
                Ok(_) => installer.install(snapshot).await,
                // The log failed, and reported that.
                Err(_dropped) => {}
            }
        });
        Ok(())
    }
}

fn ended(_ended: SnapshotTaskEnded) -> StopReason {
    StopReason::StateMachine(into_error("a thread of its snapshots has ended"))
}
