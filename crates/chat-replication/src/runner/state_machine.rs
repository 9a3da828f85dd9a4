//! The state machine that an embedder writes.

use std::future::Future;

use bytes::Bytes;
use chat_consensus::CommittedEntry;

/// Any error of an embedder's.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the log is applied to, by a task of its own that calls nothing twice at a time. What blocks
/// for long belongs on a thread (`tokio::task::spawn_blocking`).
///
/// Deterministic: the same entries in the same order must lead to the same state and answers on
/// every node, so no clock, no randomness and no order of a hash map may take part. What needs
/// those is decided in [`Prepare`](crate::Prepare) and travels inside the command.
pub trait StateMachine: Send + 'static {
    /// The last entry that has taken effect permanently; `Applied::default()` for none. Read once, at
    /// the start, and compared with the log: entries after it are applied again.
    fn applied(&self) -> Applied;

    /// The last entry that a state on this disk ever took in, which the log must hold: later than
    /// [`Self::applied`] while a state of an older form is being made again. Read once, at the start.
    fn last_ever_applied(&self) -> Applied {
        self.applied()
    }

    /// Applies entries in order, without a gap, starting after the last one applied, and returns
    /// one answer for each. Each entry and the fact that it was applied must become durable
    /// together; when, is the state machine's choice, since the log holds them until then.
    /// What [`Self::publish`] is to show may wait for it.
    ///
    /// # Errors
    ///
    /// Any error stops the replica: a node that cannot apply must not answer. So a command must never
    /// be the reason for one: it is in the log permanently, and stops every node at each start again.
    fn apply(
        &mut self,
        batch: &[CommittedEntry],
    ) -> impl Future<Output = Result<Vec<Bytes>, BoxError>> + Send;

    /// Makes everything applied so far visible to those who read the state without asking this state
    /// machine: other connections to its database, for example. One that is seen by readers as soon
    /// as it has applied needs nothing here. Called once for all the reads that wait for what is not
    /// visible yet, no more often than every few milliseconds while batches come, and when nothing
    /// has come for some milliseconds.
    ///
    /// # Errors
    ///
    /// Any error stops the replica.
    fn publish(&mut self) -> impl Future<Output = Result<(), BoxError>> + Send {
        std::future::ready(Ok(()))
    }
}

/// How far a state machine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The index of the last entry that was applied; 0 before the first.
    pub index: u64,
    /// That entry's term; 0 before the first.
    pub term: u64,
}
