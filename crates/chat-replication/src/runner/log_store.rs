//! The log as a replica uses it: what keeps entries, term and vote over a power failure.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use chat_consensus::{BlockNumber, ChainValue, Entry, LogBase, LogIndex, NodeId, Stored, Writes};

use crate::runner::state_machine::BoxError;

/// The log of one replica. It provides all the durability that the replica has.
///
/// Called by one task, which awaits each call to its end. After an error of a call that writes the
/// replica stops, and writes nothing again: a failed sync must never be retried.
pub trait LogStore: Send + Sized + 'static {
    /// Reads entries beside the writer.
    type Reader: LogReader;
    /// What can go wrong.
    type Error: Into<BoxError> + Send;

    /// Whether the methods of the log and of its reader block the thread that polls them. Each of the
    /// two then gets a thread of its own.
    const BLOCKS: bool = false;

    /// Opens the log for `node`, binds it to that node permanently, and returns what is on the disk.
    /// Called once, before everything else. What it returns must be synced: the page cache outlives a
    /// process that was killed. [`Stored::changes`] are the entries after the base that change the members
    /// (R19): [`MembershipChange::of`](chat_consensus::MembershipChange::of) finds them.
    ///
    /// # Errors
    ///
    /// When the log is in use, unreadable, damaged, another node's, or has a recorded fault.
    fn load(&mut self, node: NodeId) -> impl Future<Output = Result<Stored, Self::Error>> + Send;

    /// A reader beside this writer. Called after [`Self::load`].
    fn reader(&self) -> Self::Reader;

    /// Writes the batch in this order, boot count, term, vote and cluster, base, truncation, entries, and returns
    /// when all of it survives a power failure. A power failure before that leaves a part of that order:
    /// of truncation and entries all or nothing. With a base the log begins anew: no entry of before is left (R24).
    ///
    /// # Errors
    ///
    /// When it is unknown what is on the disk.
    fn append_and_sync(
        &mut self,
        writes: &Writes,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The number of the newest synced block, of a log that counts its writes for as long as its storage
    /// id lives: asked after each [`Self::append_and_sync`] that has succeeded, and [`Self::load`] returns
    /// it, too.
    ///
    /// Whatever was returned once, each later [`Self::load`] under the same storage id returns as much or
    /// more, unless the disk lost what was synced: other nodes remember the number, and a lower one costs
    /// this node its vote (R18). So it is never an index of the log, which truncation lowers.
    /// [`BlockNumber::UNKNOWN`] for a log that does not have it: then losses are found by index only.
    fn synced_block(&self) -> BlockNumber {
        BlockNumber::UNKNOWN
    }

    /// A log in files begins a new one, so that [`Self::compact`] can remove what is written so far.
    ///
    /// # Errors
    ///
    /// As [`Self::append_and_sync`].
    fn roll(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// For how long there may have been entries in the log, in this run and before. Asked once, after
    /// [`Self::load`], if there is no snapshot yet: it decides when the first one is due.
    fn age(&self) -> Duration {
        Duration::ZERO
    }

    /// Removes entries up to `through` at most, all of which are applied and in a snapshot, and returns
    /// where the log begins then: a log in files removes whole files, and one that cannot be compacted
    /// nothing. The base has the members as of its position, by the entries that change them (R19). Never
    /// called before the log has a base.
    ///
    /// # Errors
    ///
    /// As [`Self::append_and_sync`].
    fn compact(
        &mut self,
        through: LogIndex,
    ) -> impl Future<Output = Result<LogBase, Self::Error>> + Send;

    /// The chain value at `index`, which is that of the base or of an entry; `None` where the log does
    /// not know it without reading everything before. Without it a snapshot cannot be compared with the
    /// log.
    ///
    /// # Errors
    ///
    /// When the disk fails, or the log does not hold what was written.
    fn chain_at(
        &mut self,
        index: LogIndex,
    ) -> impl Future<Output = Result<Option<ChainValue>, Self::Error>> + Send {
        let _unknown = index;
        std::future::ready(Ok(None))
    }

    /// About how many bytes of payload the log holds. Asked once, after [`Self::load`]: it decides when
    /// the first snapshot of a run is due.
    fn payload_bytes(&self) -> u64 {
        0
    }

    /// Where snapshots are kept if the builder was given no directory, for a log that is not on a disk;
    /// `None`: in a directory that is removed when the replica stops.
    fn snapshots(&self) -> Option<PathBuf> {
        None
    }

    /// A second ago something was written: a log that notes how far it is synced, so that a start notices
    /// if its end was lost, can do it now.
    ///
    /// # Errors
    ///
    /// As [`Self::append_and_sync`].
    fn rest(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// Ends the use of this log permanently: [`Self::load`] fails from now on and reports `fault`. For
    /// a replica that found that the protocol's promises do not hold (R11).
    ///
    /// # Errors
    ///
    /// When it is not recorded.
    fn record_fault(&mut self, fault: &str)
    -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The disk no longer knows what it had acknowledged (R18): it gets a new storage id before anything
    /// else, and ends the use of the log until it is loaded again. A log that cannot have a hole, and has
    /// no [`Self::synced_block`], is never asked for that, and may record it as a fault.
    ///
    /// # Errors
    ///
    /// When it is not recorded.
    fn begin_amnesia(&mut self, why: &str) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.record_fault(why)
    }

    /// Why this disk has a new storage id, if it lost what it had acknowledged (R18), in this start or an
    /// earlier one, until [`Self::clear_amnesia`]. Asked once, after [`Self::load`].
    fn amnesia(&self) -> Option<String> {
        None
    }

    /// The node is a voter again, with the disk's new storage id (R20): [`Self::amnesia`] returns nothing
    /// from now on. Called only if it returned something.
    ///
    /// # Errors
    ///
    /// As [`Self::append_and_sync`].
    fn clear_amnesia(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// Closes the log.
    ///
    /// # Errors
    ///
    /// When it does not close cleanly; everything that was synced is durable all the same.
    fn close(self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Reads entries of a log while its writer writes.
pub trait LogReader: Send + 'static {
    /// What can go wrong.
    type Error: Into<BoxError> + Send;

    /// The entries after `after` up to and including `last`, or fewer if the log was truncated
    /// meanwhile: at least one if there is one, then no more than `limits` allow in all. A replica
    /// asks for synced entries only.
    ///
    /// # Errors
    ///
    /// When the disk fails, or an entry is not what was written.
    fn read(
        &mut self,
        after: LogIndex,
        last: LogIndex,
        limits: ReadLimits,
    ) -> impl Future<Output = Result<Vec<Entry>, Self::Error>> + Send;

    /// Reads the next part of what nothing is appended to any more, from the disk, and checks it. Returns how
    /// many bytes that were; 0 at the end of a pass through all of it. Blocks its thread, on which
    /// nothing else runs. Called on a reader of its own, and only if [`LogStore::BLOCKS`].
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    fn scrub(&mut self) -> Result<u64, Self::Error> {
        Ok(0)
    }
}

/// How much one read of the log may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// In entries. Small entries cost time and space beyond their payload.
    pub entries_max: usize,
    /// In bytes of payload.
    pub bytes_max: usize,
}
