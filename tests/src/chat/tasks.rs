//! The chat's logic on one node: `chat-app`'s edge and preparation, each request and each preparation a
//! task that pauses where it asks the replica.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use chat_app::edge::Edge;
use chat_app::error::RequestError;
use chat_app::limits::inbox_room::InboxRoom;
use chat_app::limits::quotas::{QuotaLimits, Quotas};
use chat_app::log_clock::LogClock;
use chat_app::origin::Origin;
use chat_app::preparation::{
    Counters, LeaderPreparation, Preparing, ReplyBuilder, SessionLifetime,
};
use chat_app::reply::Reply;
use chat_app::request::ChatRequest;
use chat_app::session_lookup::SessionLookup;
use chat_app::token::PresentedToken;
use chat_consensus::Time;
use chat_replication::{MakeReply as _, Prepared};
use chat_store::ChatReader;
use tokio::time::timeout;

use crate::chat::host::{Ask, Mailbox, PlainPasswords, SimulatedHost, SimulatedReplica, Slot};
use crate::checker::Violation;
use crate::simulation::reply_maker::ReplyMaker;
use crate::simulation::service_api::Resumed;

/// Longer than any run.
const LIFETIME: SessionLifetime = SessionLifetime {
    idle_seconds: 100_000,
    absolute_seconds: 1_000_000,
};
const CLOCK_LEAD_MAX: Duration = Duration::from_secs(3600);
/// A task that runs longer, on the machine's clock, waits for what never comes.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// The limits of all nodes in a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChatLimits {
    pub(super) quotas: QuotaLimits,
    pub(super) inbox_messages_max: u64,
}

/// The logic of a running process.
pub(super) struct NodeLogic {
    pub(super) host: Arc<SimulatedHost>,
    pub(super) clock: Arc<LogClock>,
    edge: Arc<Edge<SimulatedReplica, SimulatedHost>>,
    leader: Arc<LeaderPreparation<PlainPasswords, SimulatedHost>>,
    replica: SimulatedReplica,
    tasks: BTreeMap<u64, Running>,
}

struct Running {
    mailbox: Mailbox,
    future: Pin<Box<dyn Future<Output = Ended> + Send>>,
}

/// How a task ended.
#[derive(Debug)]
pub(super) enum Ended {
    Replied(Result<Reply, RequestError>),
    Prepared(Prepared<ReplyMaker>),
}

/// What a task does next.
#[derive(Debug)]
pub(super) enum Progress {
    Asks(Ask),
    Ended(Ended),
}

impl fmt::Debug for NodeLogic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeLogic")
            .field("tasks", &self.tasks.keys())
            .finish_non_exhaustive()
    }
}

impl NodeLogic {
    /// The logic of a process that has just started and has applied up to `log_time`.
    pub(super) fn new(reader: &ChatReader, seed: u64, limits: ChatLimits, log_time: f64) -> Self {
        let host = Arc::new(SimulatedHost::new(seed));
        let replica = SimulatedReplica::default();
        let lookup = SessionLookup::new(replica.clone(), Arc::clone(&host), reader.clone());
        let edge = Edge::new(
            replica.clone(),
            Arc::clone(&host),
            reader.clone(),
            Arc::new(lookup),
            usize::MAX,
        );
        let clocks = Arc::clone(&host);
        let clock = LogClock::new(move || clocks.reading(), CLOCK_LEAD_MAX, log_time);
        let clock = Arc::new(clock);
        let leader = LeaderPreparation {
            reader: reader.clone(),
            passwords: PlainPasswords(Arc::clone(&host)),
            host: Arc::clone(&host),
            lifetime: LIFETIME,
            clock: Arc::clone(&clock),
            quotas: Arc::new(Quotas::new(limits.quotas)),
            inboxes: InboxRoom::new(limits.inbox_messages_max),
            copies: InboxRoom::new(limits.inbox_messages_max),
            counters: Counters::default(),
        };
        Self {
            host,
            clock,
            edge: Arc::new(edge),
            leader: Arc::new(leader),
            replica,
            tasks: BTreeMap::new(),
        }
    }

    /// A client's request.
    pub(super) fn begin_request(
        &mut self,
        task: u64,
        request: ChatRequest,
        token: Option<PresentedToken>,
        deadline: Time,
    ) {
        let (edge, deadline) = (Arc::clone(&self.edge), self.host.instant(deadline));
        self.insert(task, async move {
            let executing = edge.execute(request, token, &Origin::UNKNOWN, deadline);
            Ended::Replied(executing.await)
        });
    }

    /// A preparation.
    pub(super) fn begin_preparation(&mut self, task: u64, request: Bytes) {
        let (leader, replica) = (Arc::clone(&self.leader), self.replica.clone());
        self.insert(task, async move {
            let prepared = match leader.begin(request) {
                Preparing::Ready(prepared) => prepared,
                Preparing::Unfinished(unfinished) => leader.finish(unfinished, &replica).await,
            };
            Ended::Prepared(boxed(prepared))
        });
    }

    fn insert(&mut self, task: u64, future: impl Future<Output = Ended> + Send + 'static) {
        let running = Running {
            mailbox: Mailbox::default(),
            future: Box::pin(future),
        };
        self.tasks.insert(task, running);
    }

    /// What `task` waited for.
    pub(super) fn answer(&mut self, task: u64, with: Resumed) {
        if let Some(running) = self.tasks.get(&task) {
            *running.mailbox.lock().expect("nothing panics with it") = Slot::Answered(with);
        }
    }

    /// Runs `task` until it asks the replica or ends.
    pub(super) async fn run(&mut self, task: u64) -> Result<Progress, Violation> {
        let running = self.tasks.get_mut(&task).expect("the task was begun");
        let replica = &self.replica;
        let step = poll_fn(|context| running.poll(replica, context));
        let Ok(progress) = timeout(STUCK_AFTER, step).await else {
            let what = format!("task {task} waits for what never comes");
            return Err(Violation::new("chat-task", what));
        };
        if let Progress::Ended(_) = progress {
            self.tasks.remove(&task);
        }
        Ok(progress)
    }
}

impl Running {
    fn poll(&mut self, replica: &SimulatedReplica, context: &mut Context<'_>) -> Poll<Progress> {
        replica.set_current(&self.mailbox);
        if let Poll::Ready(ended) = self.future.as_mut().poll(context) {
            return Poll::Ready(Progress::Ended(ended));
        }
        let mut slot = self.mailbox.lock().expect("nothing panics with it");
        match std::mem::take(&mut *slot) {
            Slot::Asked(ask) => Poll::Ready(Progress::Asks(ask)),
            other => {
                *slot = other;
                Poll::Pending
            }
        }
    }
}

fn boxed(prepared: Prepared<ReplyBuilder>) -> Prepared<ReplyMaker> {
    prepared.map(|make_reply| {
        ReplyMaker::new(move |index, outcome| make_reply.make_reply(index, outcome))
    })
}
