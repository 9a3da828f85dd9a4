//! The state machine that an embedder writes.

use std::future::Future;
use std::path::Path;

use bytes::Bytes;
use chat_consensus::{ChainValue, CommittedEntry, LogBase};

use crate::runner::snapshot_source::SnapshotSource;

pub use crate::runner::box_error::BoxError;

/// What the log is applied to, by a task of its own that calls nothing twice at a time. What blocks
/// for long belongs on a thread (`tokio::task::spawn_blocking`).
///
/// Deterministic: the same entries in the same order must lead to the same state and answers on
/// every node, so no clock, no randomness and no order of a hash map may take part. What needs
/// those is decided in [`Prepare`](crate::Prepare) and travels inside the command.
///
/// # Snapshots
///
/// A small state has them with [`Self::encode_state`] and [`Self::decode_state`]; one that is too
/// large to be encoded in memory, between two batches, writes [`Self::snapshot`] and [`Self::install`]
/// instead. Without either the log is never compacted, and a node that needs a snapshot cannot be
/// helped by this one.
pub trait StateMachine: Send + 'static {
    /// The last entry that has taken effect permanently; `Applied::default()` for none. Read once, at
    /// the start, and compared with the log: entries after it are applied again.
    fn applied(&self) -> Applied;

    /// The last entry that a state on this disk ever took in, which the log must hold: later than
    /// [`Self::applied`] while a state of an older form is being made again. Read once, at the start.
    fn last_ever_applied(&self) -> Applied {
        self.applied()
    }

    /// The log's chain value at [`Self::applied`], if the state keeps it beside that: the `chain` of
    /// the entry there, or of the base that was installed. A state whose value is not the log's is not
    /// used. Read once, at the start.
    fn applied_chain(&self) -> Option<ChainValue> {
        None
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

    /// The whole state, as [`Self::decode_state`] reads it; `None` if it has no snapshots. A later
    /// version of the program must decode what an earlier one encoded.
    ///
    /// # Errors
    ///
    /// No snapshot is taken now; the replica goes on.
    fn encode_state(&self) -> Result<Option<Vec<u8>>, BoxError> {
        Ok(None)
    }

    /// Replaces the whole state by the one in `state`, which has applied everything up to `applied`.
    /// A state on disk is replaced there, too, before this returns.
    ///
    /// # Errors
    ///
    /// Any error stops the replica.
    fn decode_state(&mut self, state: &[u8], applied: Applied) -> Result<(), BoxError> {
        let _ignored = (state, applied);
        Err("this state machine has no snapshots".into())
    }

    /// Whether [`Self::begin_again`] is implemented. Without it a replica does not start when its log
    /// contradicts its state.
    const BEGINS_AGAIN: bool = false;

    /// Sets the whole state aside and begins with an empty one, which has applied nothing: the log
    /// contradicts it, as `why` says. Called at a start only; afterwards the state is filled again from
    /// the log, or from a snapshot.
    ///
    /// # Errors
    ///
    /// The replica does not start.
    fn begin_again(&mut self, why: &str) -> impl Future<Output = Result<(), BoxError>> + Send {
        let why = format!("this state machine cannot begin again: {why}");
        std::future::ready(Err(why.into()))
    }

    /// Begins a snapshot of the state as it is now, between two batches: what writes its file, while
    /// further entries are applied. `None` if it has no snapshots.
    ///
    /// # Errors
    ///
    /// No snapshot is taken now; the replica goes on.
    fn snapshot(
        &mut self,
    ) -> impl Future<Output = Result<Option<SnapshotSource>, BoxError>> + Send {
        let state = self.encode_state();
        std::future::ready(state.map(|state| state.map(SnapshotSource::from_bytes)))
    }

    /// Replaces the whole state by the one in the file at `path`, which another node's or this node's
    /// [`Self::snapshot`] wrote, and which is at `base`: everything up to its position is in it. The
    /// file is only read, and is gone when this has returned. A state on disk is replaced there before
    /// this returns; a crash before that may leave the old state or none.
    ///
    /// # Errors
    ///
    /// Any error stops the replica.
    fn install(
        &mut self,
        path: &Path,
        base: &LogBase,
    ) -> impl Future<Output = Result<(), BoxError>> + Send {
        let applied = Applied {
            index: base.position.index.0,
            term: base.position.term.0,
        };
        let state = std::fs::read(path).map_err(BoxError::from);
        std::future::ready(state.and_then(|state| self.decode_state(&state, applied)))
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
