//! The one task that owns the replica: it gathers what happened, lets the replica decide, and
//! carries out the effects. What happens during one sync is decided, written and sent together.

mod bootstrap_notice;
mod members;
mod snapshots;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_consensus::{ChainValue, Envelope, Fault, LogIndex, NodeId, RequestId, Time};
use tokio::sync::{mpsc, oneshot, watch};

use crate::error::{ProposeError, ReadError};
use crate::event::{
    Effect, Event, MembersTicket, PreparationId, Prepared, ProposalTicket, Proposed, ReadTicket,
};
use crate::peer_message::{PeerReply, PeerRequest};
use crate::replica::Replica;
use crate::runner::apply_task::{ApplyTask, ApplyTaskEnded};
use crate::runner::leadership::Leadership;
use crate::runner::log_report::log_report;
use crate::runner::log_store::ReadLimits;
use crate::runner::log_task::{LastRecord, LogRead, LogTask, LogTaskEnded};
use crate::runner::loop_event::{ChangeClient, LoopEvent, Responder, Taking};
use crate::runner::member_status::MemberStatus;
use crate::runner::not_taken::not_taken;
use crate::runner::peer_calls::PeerCalls;
use crate::runner::prepare::{LeaderContext, Preparation, Prepare};
use crate::runner::reply_maker::ReplyMaker;
use crate::runner::snapshot_task::SnapshotTask;
use crate::runner::stop_reason::StopReason;
use crate::runner::transport::PeerLink;

use bootstrap_notice::BootstrapNotice;
pub(super) use members::KnownMembers;

/// How much is decided in one turn before its effects are begun.
const EVENTS_PER_BATCH_MAX: usize = 1_024;

/// What is committed is applied and answered before a shutdown, if it takes no longer than this.
const SHUTDOWN_DRAIN_MAX: Duration = Duration::from_secs(1);

/// A stop waits this long for the disk and the state machine: one that hangs must not keep the process
/// from ending.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Answers that no caller waits for any more are forgotten this often.
const DROPPED_CALLER_GC_INTERVAL: Duration = Duration::from_secs(1);

/// What carries out effects.
#[derive(Debug)]
pub(super) struct Workers<L> {
    pub(super) log: LogTask,
    pub(super) applier: ApplyTask,
    pub(super) snapshots: SnapshotTask,
    pub(super) peers: PeerCalls<L>,
}

/// What others watch.
#[derive(Clone, Debug)]
pub(super) struct Publishes {
    pub(super) leadership: watch::Sender<Leadership>,
    /// The newest members.
    pub(super) members: watch::Sender<Arc<Vec<MemberStatus>>>,
    /// Why the replica stopped, as soon as it has.
    pub(super) stopped: watch::Sender<Option<StopReason>>,
    /// Whether the log and the state machine are closed too, or are waited for no longer.
    pub(super) closed: watch::Sender<bool>,
}

impl Publishes {
    fn stop(&self, reason: StopReason) {
        if let StopReason::ShutDown = reason {
            tracing::info!("replica shut down");
        } else {
            tracing::error!(error = &reason as &dyn std::error::Error, "replica stopped");
        }
        self.leadership.send_replace(Leadership::default());
        self.stopped.send_replace(Some(reason));
    }
}

pub(super) struct EventLoop<L> {
    replica: Replica<ReplyMaker>,
    prepare: Arc<dyn Prepare>,
    leader: LeaderContext,
    workers: Workers<L>,
    started: Instant,
    publishes: Publishes,
    tickets_given: u64,
    proposals: HashMap<ProposalTicket, oneshot::Sender<Result<Proposed, ProposeError>>>,
    reads: HashMap<ReadTicket, oneshot::Sender<Result<LogIndex, ReadError>>>,
    changes: HashMap<MembersTicket, ChangeClient>,
    /// Peers that wait for an answer.
    responders: HashMap<(NodeId, RequestId), Responder>,
    dropped_callers_collected_at: Instant,
    bootstrap: BootstrapNotice,
    members: KnownMembers,
    /// Before the first entry, from the log's first base until something is applied.
    first_chain: Option<ChainValue>,
    taking: Taking,
    /// Where the log began when that was last logged.
    log_begins_after: LogIndex,
    /// What the log must keep of this run's end.
    last_record: Option<LastRecord>,
    /// When a shutdown no longer waits for answers; `None` while none was requested.
    drain_deadline: Option<Instant>,
}

impl<L: PeerLink> EventLoop<L> {
    pub(super) fn new(
        replica: Replica<ReplyMaker>,
        workers: Workers<L>,
        (prepare, leader): (Arc<dyn Prepare>, LeaderContext),
        publishes: Publishes,
        members: KnownMembers,
    ) -> Self {
        let started = Instant::now();
        Self {
            replica,
            prepare,
            leader,
            workers,
            started,
            publishes,
            tickets_given: 0,
            proposals: HashMap::new(),
            reads: HashMap::new(),
            changes: HashMap::new(),
            responders: HashMap::new(),
            dropped_callers_collected_at: started,
            bootstrap: BootstrapNotice::default(),
            members,
            first_chain: None,
            taking: Taking(false),
            log_begins_after: LogIndex::ZERO,
            last_record: None,
            drain_deadline: None,
        }
    }

    /// Runs until the replica stops; a panic stops it too, and is not called anything else.
    pub(super) fn start(self, incoming: mpsc::Receiver<LoopEvent>) {
        let publishes = self.publishes.clone();
        let running = tokio::spawn(self.run(incoming));
        tokio::spawn(async move {
            if let Err(ended) = running.await
                && ended.is_panic()
            {
                publishes.stop(StopReason::Panicked(Arc::new(ended)));
                publishes.closed.send_replace(true);
            }
        });
    }

    async fn run(mut self, mut incoming: mpsc::Receiver<LoopEvent>) {
        let mut gathered = Vec::with_capacity(EVENTS_PER_BATCH_MAX);
        let reason = loop {
            if let Err(reason) = self.execute_effects() {
                break reason;
            }
            self.publish_leadership();
            if self.shutdown_complete() {
                break StopReason::ShutDown;
            }
            let wait = self.time_until_deadline();
            let received = incoming.recv_many(&mut gathered, EVENTS_PER_BATCH_MAX);
            // A deadline is checked below in any case; a timeout here means that nothing came.
            let received = tokio::time::timeout(wait, received).await.is_ok();
            if let Err(reason) = self.process_batch(&mut gathered, !received) {
                break reason;
            }
        };
        let shut_down = matches!(reason, StopReason::ShutDown);
        self.publishes.stop(reason);
        if shut_down {
            self.refuse_unappended(incoming);
        } else {
            drop(incoming);
        }
        // Callers that still wait receive no answer.
        drop((self.proposals, self.reads, self.changes, self.responders));
        let closing = async {
            tokio::join!(
                self.workers.snapshots.close(),
                self.workers.applier.close(),
                self.workers.log.close(self.last_record)
            )
        };
        if tokio::time::timeout(CLOSE_MAX, closing).await.is_err() {
            tracing::error!("the disk or the state machine hangs, and is left behind");
        }
        self.publishes.closed.send_replace(true);
    }

    /// What was not appended is answered as that, also what the replica has not seen: callers try it
    /// elsewhere.
    fn refuse_unappended(&mut self, mut incoming: mpsc::Receiver<LoopEvent>) {
        for effect in self.replica.shut_down() {
            match effect {
                Effect::Reply(reply) => self.reply(reply),
                Effect::Complete(ticket, result) => self.complete(ticket, result),
                _ => {}
            }
        }
        incoming.close();
        while let Ok(event) = incoming.try_recv() {
            match event {
                LoopEvent::Call {
                    request, responder, ..
                } if matches!(request.message, PeerRequest::Propose { .. }) => {
                    let _gone = responder.send(not_taken(&request.header));
                }
                LoopEvent::Propose { client, .. } => {
                    let _gone = client.send(Err(ProposeError::Stopped));
                }
                _ => {}
            }
        }
    }

    fn process_batch(
        &mut self,
        gathered: &mut Vec<LoopEvent>,
        idle: bool,
    ) -> Result<(), StopReason> {
        for incoming in gathered.drain(..) {
            self.handle(incoming)?;
        }
        if idle || self.now() >= self.replica.next_deadline() {
            self.step(Event::DeadlinePassed)?;
        }
        self.bootstrap.note(self.replica.node().bootstrap_awaits());
        self.note_members()?;
        if self.dropped_callers_collected_at.elapsed() >= DROPPED_CALLER_GC_INTERVAL {
            self.dropped_callers_collected_at = Instant::now();
            self.responders.retain(|_, caller| !caller.is_closed());
            return self.abandon_dropped_clients();
        }
        Ok(())
    }

    /// Callers that dropped their future wait no longer.
    fn abandon_dropped_clients(&mut self) -> Result<(), StopReason> {
        let proposals = self.proposals.extract_if(|_, client| client.is_closed());
        let proposals: Vec<ProposalTicket> = proposals.map(|(ticket, _)| ticket).collect();
        for ticket in proposals {
            self.step(Event::ProposalAbandoned(ticket))?;
        }
        let reads = self.reads.extract_if(|_, client| client.is_closed());
        let reads: Vec<ReadTicket> = reads.map(|(ticket, _)| ticket).collect();
        for ticket in reads {
            self.step(Event::ReadAbandoned(ticket))?;
        }
        Ok(())
    }

    fn handle(&mut self, incoming: LoopEvent) -> Result<(), StopReason> {
        match incoming {
            LoopEvent::Call {
                request,
                responder,
                room,
            } => {
                // The replica accounts for it from here on.
                drop(room);
                self.note_leader_address(&request);
                let header = &request.header;
                self.responders
                    .insert((header.from, header.request), responder);
                self.step(Event::Request(request))
            }
            // Its caller is gone: not appended, which is one of the outcomes that it expects.
            LoopEvent::Propose { client, .. } if client.is_closed() => Ok(()),
            LoopEvent::Propose {
                request,
                deadline,
                room,
                client,
            } => {
                drop(room);
                let ticket = ProposalTicket(self.next_ticket());
                self.proposals.insert(ticket, client);
                let deadline = self.time_of(deadline);
                self.step(Event::Propose {
                    ticket,
                    request,
                    deadline,
                })
            }
            LoopEvent::Read { deadline, client } => {
                let ticket = ReadTicket(self.next_ticket());
                self.reads.insert(ticket, client);
                let deadline = self.time_of(deadline);
                self.step(Event::Read { ticket, deadline })
            }
            LoopEvent::ChangeMembers { edit, client } => self.change_members(edit, client),
            LoopEvent::Event(event) => {
                self.note_event(&event);
                self.step(event)
            }
            LoopEvent::Status(asker) => {
                // The caller may have given up.
                drop(asker.send(self.status()));
                Ok(())
            }
            LoopEvent::ShutDown => {
                self.drain_deadline
                    .get_or_insert_with(|| Instant::now() + SHUTDOWN_DRAIN_MAX);
                Ok(())
            }
            LoopEvent::Stop(reason) => Err(reason),
        }
    }

    fn step(&mut self, event: Event<ReplyMaker>) -> Result<(), StopReason> {
        let now = self.now();
        self.replica.handle(now, event).map_err(|fault| {
            // A supervisor starts the node again.
            self.last_record = match fault {
                // This log must not be worn down then (R11).
                Fault::CommittedEntryLost { .. } => Some(LastRecord::Fault(fault.to_string())),
                Fault::TruncationInHole { .. } | Fault::DiskForgot { .. } => {
                    Some(LastRecord::Amnesia(fault.to_string()))
                }
                Fault::TwoLeaders { .. } => None,
            };
            StopReason::Fault(Arc::new(fault))
        })
    }

    /// Carries out all effects. Preparations are handed out first and alone, so that the commands of
    /// those that are ready at once are in the batch that follows.
    fn execute_effects(&mut self) -> Result<(), StopReason> {
        loop {
            let effects = self.replica.take_effects();
            let prepares = matches!(effects.first(), Some(Effect::Prepare(..)));
            for effect in effects {
                self.execute(effect)?;
            }
            if !prepares {
                return Ok(());
            }
        }
    }

    fn execute(&mut self, effect: Effect) -> Result<(), StopReason> {
        match effect {
            Effect::Persist(batch) => {
                self.note_base(batch.writes());
                self.workers.log.persist(batch).map_err(log_ended)?;
            }
            Effect::ReadEntries {
                id,
                after,
                last,
                entries_max,
                bytes_max,
            } => {
                let limits = ReadLimits {
                    entries_max,
                    bytes_max,
                };
                let read = LogRead {
                    id,
                    after,
                    last,
                    limits,
                };
                self.workers.log.read(read).map_err(log_ended)?;
            }
            Effect::Call(request) => self.workers.peers.call(request),
            Effect::Reply(reply) => self.reply(reply),
            Effect::Apply(entries) => {
                self.workers
                    .applier
                    .apply(entries, self.first_chain.take())
                    .map_err(apply_task_ended)?;
            }
            Effect::Publish => self.workers.applier.publish().map_err(apply_task_ended)?,
            Effect::Prepare(id, request) => self.prepare(id, request)?,
            Effect::Complete(ticket, result) => self.complete(ticket, result),
            Effect::CompleteRead(ticket, result) => {
                if let Some(client) = self.reads.remove(&ticket) {
                    let _gone = client.send(result);
                }
            }
            Effect::CompleteChange(ticket, result) => self.complete_change(ticket, result),
            Effect::Warn(report) => log_report(&report, self.members.committed()),
            effect @ (Effect::TakeSnapshot { .. }
            | Effect::DropSnapshot(_)
            | Effect::Compact { .. }
            | Effect::ReadPiece { .. }
            | Effect::StorePiece { .. }
            | Effect::FinishDownload(_)
            | Effect::DropDownload(_)
            | Effect::InstallState(_)) => self.execute_snapshot_effect(effect)?,
        }
        Ok(())
    }

    /// Starts a preparation; one that is ready at once goes on in the same batch. A panic in the
    /// embedder's code ends the preparation and nothing else.
    fn prepare(&mut self, id: PreparationId, request: Bytes) -> Result<(), StopReason> {
        let (prepare, leader) = (Arc::clone(&self.prepare), &self.leader);
        let preparing = AssertUnwindSafe(|| prepare.prepare(request, leader));
        match std::panic::catch_unwind(preparing) {
            Ok(Preparation::Ready(prepared)) => self.step(Event::Prepared(id, prepared)),
            Ok(Preparation::Later(preparing)) => {
                let events = self.leader.events.clone();
                tokio::spawn(async move {
                    let prepared = tokio::spawn(preparing).await.unwrap_or(Prepared::Failed);
                    let event = LoopEvent::Event(Event::Prepared(id, prepared));
                    // A replica that has stopped receives nothing more.
                    drop(events.send(event).await);
                });
                Ok(())
            }
            Err(_panic) => self.step(Event::Prepared(id, Prepared::Failed)),
        }
    }

    fn complete(&mut self, ticket: ProposalTicket, result: Result<Proposed, ProposeError>) {
        if let Some(client) = self.proposals.remove(&ticket) {
            // The caller may be gone.
            let _gone = client.send(result);
        }
    }

    fn reply(&mut self, reply: Envelope<PeerReply>) {
        let call = (reply.header.to, reply.header.request);
        if let Some(responder) = self.responders.remove(&call) {
            // The caller may have given up.
            drop(responder.send(reply));
        }
    }

    fn next_ticket(&mut self) -> u64 {
        self.tickets_given += 1;
        self.tickets_given
    }

    fn now(&self) -> Time {
        self.time_of(Instant::now())
    }

    fn time_of(&self, instant: Instant) -> Time {
        let micros = instant.saturating_duration_since(self.started).as_micros();
        Time(u64::try_from(micros).expect("no run lasts 500,000 years"))
    }

    fn time_until_deadline(&self) -> Duration {
        let wait = self.replica.next_deadline().since(self.now());
        match self.drain_deadline {
            Some(by) => wait.min(by.saturating_duration_since(Instant::now())),
            None => wait,
        }
    }

    fn shutdown_complete(&self) -> bool {
        self.drain_deadline
            .is_some_and(|by| !self.replica.has_pending_proposals() || Instant::now() >= by)
    }
}

fn apply_task_ended(_ended: ApplyTaskEnded) -> StopReason {
    StopReason::StateMachine(into_error("its task has ended"))
}

fn log_ended(_ended: LogTaskEnded) -> StopReason {
    StopReason::Log(into_error("its task has ended"))
}

fn into_error(text: &str) -> Arc<dyn std::error::Error + Send + Sync> {
    let error: Box<dyn std::error::Error + Send + Sync> = text.into();
    Arc::from(error)
}
