//! The interface of a service: the state machine of the nodes and the requests of clients, where they
//! are more than the list of `command`. A world has a [`Service`] or none.

use std::fmt;

use bytes::Bytes;
use chat_consensus::{Entry, LogIndex, Time};
use chat_replication::{Prepared, ProposeError, ReadError};
use fastrand::Rng;

use crate::checker::{Checked, Violation};
use crate::simulation::reply_maker::ReplyMaker;

/// Tables on every node, and the requests of their clients.
///
/// Its random choices come from the generators that it is given, so that a seed gives the same run.
pub trait Service: fmt::Debug {
    /// A process starts; returns the index that its tables have applied.
    ///
    /// # Errors
    ///
    /// They cannot be opened.
    fn start(&mut self, node: usize) -> Result<LogIndex, Violation>;

    /// A process dies.
    fn stop(&mut self, node: usize, tables: Tables);

    /// Applies what follows; one answer for each entry.
    ///
    /// # Errors
    ///
    /// A property that does not hold, or the tables refuse an entry.
    fn apply(&mut self, node: usize, entries: &[Entry]) -> Result<Vec<Bytes>, Violation>;

    /// `client` begins a request; nothing receives the reply if it is `None`.
    fn begin(&mut self, client: Option<usize>, operation: u64, random: &mut Rng);

    /// A request that was begun some time ago and arrives once more.
    fn repeat(&mut self, random: &mut Rng) -> Option<u64>;

    /// Makes everything applied visible to reads.
    ///
    /// # Errors
    ///
    /// The tables cannot be written.
    fn publish(&mut self, node: usize) -> Checked;

    /// A node begins a task.
    ///
    /// # Errors
    ///
    /// A property that does not hold.
    fn begin_task(&mut self, task: TaskId, now: Time, work: Work) -> Result<Step, Violation>;

    /// A task receives what it waited for.
    ///
    /// # Errors
    ///
    /// A property that does not hold.
    fn resume_task(&mut self, task: TaskId, now: Time, with: Resumed) -> Result<Step, Violation>;

    /// A client chooses what to read.
    fn begin_read(&mut self, client: usize, random: &mut Rng);

    /// A confirmed read, which may begin at `index`; returns the index that it saw.
    ///
    /// # Errors
    ///
    /// It shows what it must not, or not what it must.
    fn read(&mut self, node: usize, client: usize, index: LogIndex) -> Result<LogIndex, Violation>;

    /// The leader replied this to a request whose entry is at `index`.
    ///
    /// # Errors
    ///
    /// It is not the reply to the outcome of that entry.
    fn answered(&mut self, index: LogIndex, reply: &[u8]) -> Checked;

    /// The reply to an attempt arrives at its client.
    ///
    /// # Errors
    ///
    /// A reply that no client should get.
    fn receive_reply(
        &mut self,
        client: usize,
        operation: u64,
        attempt: u64,
    ) -> Result<AfterReply, Violation>;

    /// Nothing is under way any more: checks the final state.
    ///
    /// # Errors
    ///
    /// The first property that does not hold.
    fn finish(&mut self) -> Checked;

    /// The situations that must occur in some run for the checks to mean something, and how often
    /// each did here.
    fn situations(&self) -> Vec<(&'static str, u64)>;

    /// The request as text.
    fn describe(&self, operation: u64) -> String;
}

/// Which tables of a dead process are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// Everything but the open transaction.
    Committed,
    /// Nothing.
    Lost,
}

/// A task of a running process: a request of a client there, or a preparation on the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskId {
    /// Where it runs.
    pub node: usize,
    /// Different for each task of a process.
    pub number: u64,
}

/// What a task is for.
#[derive(Clone, Debug)]
pub enum Work {
    /// A client's request, on the node that it reached.
    Request {
        /// What is requested.
        operation: u64,
        /// The client's attempt, to which the reply belongs.
        attempt: u64,
        /// When the client gives up.
        deadline: Time,
    },
    /// A request becomes a command, on the leader.
    Preparation(Bytes),
}

/// What a task waits for, or how it ended.
#[derive(Debug)]
pub enum Step {
    /// The leader's reply to this request.
    Propose {
        /// What the leader prepares a command from.
        request: Bytes,
        /// When the task no longer waits.
        deadline: Time,
    },
    /// A read that the replica confirms (R14).
    Confirm {
        /// When the task no longer waits.
        deadline: Time,
    },
    /// The client gets its reply.
    Replied,
    /// The preparation has an outcome.
    Prepared(Prepared<ReplyMaker>),
}

/// What a task waited for.
#[derive(Debug)]
pub enum Resumed {
    /// The outcome of its proposal.
    Proposed(Result<Bytes, ProposeError>),
    /// Whether the read may begin.
    Confirmed(Result<(), ReadError>),
}

/// What a reply means to its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterReply {
    /// The outcome of its request is known.
    Done,
    /// It sends the request again.
    Retry {
        /// Whether this attempt may have taken effect.
        unknown: bool,
    },
}
