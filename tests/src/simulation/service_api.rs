//! The interface of a service: the state machine of the nodes and the requests of clients, where they
//! are more than the list of `command`. A world has a [`Service`] or none.

use std::fmt;

use bytes::Bytes;
use chat_consensus::{Entry, LogIndex};
use fastrand::Rng;

use crate::checker::{Checked, Violation};

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

    /// Begins a request that the leader proposes without a read before it.
    fn begin_without_reading(&mut self, operation: u64, random: &mut Rng);

    /// A request that was begun some time ago and arrives once more.
    fn repeat(&mut self, random: &mut Rng) -> Option<u64>;

    /// Makes everything applied visible to reads.
    ///
    /// # Errors
    ///
    /// The tables cannot be written.
    fn publish(&mut self, node: usize) -> Checked;

    /// What the node that a client reached does with a request; `confirmed` once it may read.
    ///
    /// # Errors
    ///
    /// A property that does not hold.
    fn enter(
        &mut self,
        node: usize,
        operation: u64,
        confirmed: Option<LogIndex>,
    ) -> Result<Step, Violation>;

    /// What the leader does with a request before it is appended.
    ///
    /// # Errors
    ///
    /// A property that does not hold.
    fn prepare(
        &mut self,
        node: usize,
        forwarded: &Forwarded,
        confirmed: Option<LogIndex>,
    ) -> Result<Step, Violation>;

    /// A client chooses what to read.
    fn begin_read(&mut self, client: usize, random: &mut Rng);

    /// A confirmed read, which may begin at `index`; returns the index that it saw.
    ///
    /// # Errors
    ///
    /// It shows what it must not, or not what it must.
    fn read(&mut self, node: usize, client: usize, index: LogIndex) -> Result<LogIndex, Violation>;

    /// The entry at `index` was answered with this outcome.
    ///
    /// # Errors
    ///
    /// It had another one.
    fn answered(&mut self, index: LogIndex, outcome: &[u8]) -> Checked;

    /// What the outcome means to the client, if it is the client of that request.
    fn receive_reply(
        &mut self,
        client: usize,
        operation: u64,
        attempt: u64,
        outcome: &[u8],
    ) -> AfterReply;

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

/// A request on the leader.
#[derive(Clone, Debug)]
pub struct Forwarded {
    /// The attempt that it comes from.
    pub attempt: u64,
    /// The request.
    pub request: Bytes,
    /// The leader's clock, in seconds.
    pub time: f64,
}

/// The next step of a request.
#[derive(Clone, Debug)]
pub enum Step {
    /// These bytes go to the leader, or into the log.
    Propose(Bytes),
    /// Its tables are to be read first (R14).
    Confirm,
    /// It is answered without the log.
    Answer(Bytes),
}

/// What an answer means to its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterReply {
    /// The outcome of its request is known.
    Done,
    /// It sends the request again.
    Retry,
}
