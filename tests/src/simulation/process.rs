//! One node of the world: its process, which starts and dies, and what is under way in it.

use std::collections::{BTreeMap, VecDeque};

use chat_consensus::{Entry, LogIndex, NodeId, RequestId, RoleName, Term, UnsyncedBatch};
use chat_replication::{PreparationId, Replica};

use crate::simulation::clock::Clock;
use crate::simulation::command::Command;
use crate::simulation::queue::SimEvent;
use crate::simulation::reply_maker::ReplyMaker;
use crate::simulation::snapshot_files::SnapshotFiles;

/// A node's process, dead or alive; its disk is elsewhere.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) id: NodeId,
    pub(crate) clock: Clock,
    /// Incremented whenever a process starts or dies.
    pub(crate) run: u64,
    pub(crate) state: ProcessState,
    pub(crate) replica: Option<Replica<ReplyMaker>>,
    /// The boot count of this run.
    pub(crate) boot_count: u64,
    /// The batch that is being written.
    pub(crate) writing: Option<UnsyncedBatch>,
    /// The entries that are being applied.
    pub(crate) applying: Option<Vec<Entry>>,
    /// What is applied is being published.
    pub(crate) publishing: bool,
    /// A snapshot's state is being installed.
    pub(crate) installing: bool,
    pub(crate) machine: Machine,
    /// The snapshots, which survive the process as the machine's store does.
    pub(crate) files: SnapshotFiles,
    /// Requests sent and not answered, oldest first, each with its receiver and its deadline.
    pub(crate) calls: BTreeMap<RequestId, (usize, u64)>,
    pub(crate) calls_watched: bool,
    /// Requests of clients that this process has not answered.
    pub(crate) tickets: BTreeMap<u64, Waiting>,
    pub(crate) tickets_made: u64,
    /// The service's tasks, each with when it began.
    pub(crate) tasks: BTreeMap<u64, (u64, Task)>,
    /// When the queue will wake the process.
    pub(crate) wakes_at: u64,
    /// How often in a row it was woken without a change of its deadline.
    pub(crate) futile_wakes: u32,
    pub(crate) flush_pending: bool,
    /// A paused process handles nothing before this.
    pub(crate) paused_until: Option<u64>,
    /// Events for it that are deferred meanwhile.
    pub(crate) deferred: VecDeque<SimEvent>,
    /// Its disk takes at least this long for a sync, until this time.
    pub(crate) slow_disk: Option<(u64, u64)>,
    /// Syncs do not end.
    pub(crate) disk_held: bool,
    /// Batches that are applied do not end.
    pub(crate) machine_held: bool,
    pub(crate) seen: Seen,
    /// Whether its configuration lets it form a new cluster (R12).
    pub(crate) may_bootstrap: bool,
}

/// Whether a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessState {
    NotStarted,
    Running,
    /// Its port is closed, and a dial is refused.
    Killed,
    /// Its machine is off and answers nothing.
    PowerLost,
}

/// The state machine and its store (`state.db`), which may lose its newest effects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    pub(crate) applied: LogIndex,
    /// What readers see: everything up to here.
    pub(crate) published: LogIndex,
    pub(crate) durable: LogIndex,
    /// The list: where each operation first took effect on this very node.
    pub(crate) list: BTreeMap<u64, LogIndex>,
}

impl Machine {
    /// Where the operation of the entry at `index` took effect here: now, unless it did before.
    pub(crate) fn take_effect(&mut self, operation: u64, index: LogIndex) -> LogIndex {
        *self.list.entry(operation).or_insert(index)
    }

    /// Rolls back to what was applied up to `kept`.
    pub(crate) fn roll_back(&mut self, kept: LogIndex) {
        self.applied = self.applied.min(kept);
        self.published = self.applied;
        self.durable = self.durable.min(kept);
        self.list.retain(|_, index| *index <= kept);
    }
}

/// A request of a client that is not answered yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    /// `None` for a request without a simulated client, such as one of a scenario.
    pub(crate) client: Option<usize>,
    pub(crate) attempt: u64,
    pub(crate) since: u64,
    pub(crate) what: RequestKind,
}

/// What a client requested.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RequestKind {
    Operation(u64),
    /// A read that must see everything up to here.
    Read {
        shown_before: LogIndex,
    },
    /// A proposal of a task.
    TaskProposal {
        task: u64,
    },
    /// A read that a task needs before it continues.
    Confirmation {
        task: u64,
    },
}

/// What a task of the service is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    /// A request; `None` if no client waits for it.
    Request { client: Option<usize>, attempt: u64 },
    /// A preparation; its command gets the prefix of the request.
    Preparation { id: PreparationId, command: Command },
}

/// What the checkers have seen of the running process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) role: RoleName,
    pub(crate) term: Term,
    pub(crate) leader: Option<NodeId>,
    pub(crate) commit_index: LogIndex,
    pub(crate) last: LogIndex,
}

impl Seen {
    pub(crate) const NOTHING: Self = Self {
        role: RoleName::Uninitialized,
        term: Term(0),
        leader: None,
        commit_index: LogIndex::ZERO,
        last: LogIndex::ZERO,
    };

    pub(crate) fn of(replica: &Replica<ReplyMaker>) -> Self {
        let node = replica.node();
        Self {
            role: node.role(),
            term: node.term(),
            leader: node.leader(),
            commit_index: node.commit_index(),
            last: node.log().last().index,
        }
    }
}

impl Process {
    pub(crate) fn new(id: NodeId, clock: Clock) -> Self {
        Self {
            id,
            clock,
            run: 0,
            state: ProcessState::NotStarted,
            replica: None,
            boot_count: 0,
            writing: None,
            applying: None,
            publishing: false,
            installing: false,
            machine: Machine::default(),
            files: SnapshotFiles::default(),
            calls: BTreeMap::new(),
            calls_watched: false,
            tickets: BTreeMap::new(),
            tickets_made: 0,
            tasks: BTreeMap::new(),
            wakes_at: u64::MAX,
            futile_wakes: 0,
            flush_pending: false,
            paused_until: None,
            deferred: VecDeque::new(),
            slow_disk: None,
            disk_held: false,
            machine_held: false,
            seen: Seen::NOTHING,
            may_bootstrap: true,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state == ProcessState::Running
    }

    /// A running process that leads.
    pub(crate) fn leads(&self) -> bool {
        self.is_running() && self.seen.role == RoleName::Leader
    }

    /// Drops everything that a process has in memory.
    pub(crate) fn clear(&mut self) {
        self.run += 1;
        self.replica = None;
        self.writing = None;
        self.applying = None;
        self.publishing = false;
        self.installing = false;
        self.calls.clear();
        self.calls_watched = false;
        self.tickets.clear();
        self.tasks.clear();
        self.wakes_at = u64::MAX;
        self.flush_pending = false;
        self.paused_until = None;
        self.deferred.clear();
        self.seen = Seen::NOTHING;
    }
}
