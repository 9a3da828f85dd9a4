//! Everything that can happen to a replica, and everything it asks of its driver.

use bytes::Bytes;
use chat_consensus::{
    Entry, Envelope, LogBase, LogIndex, Membership, MembershipEdit, NodeId, Position, Report,
    RequestId, Snapshot, SnapshotId, SyncedBatch, Time, UnsyncedBatch,
};

use crate::error::{ChangeMembersError, ProposeError, ReadError};
use crate::peer_message::{PeerReply, PeerRequest};

/// Everything that can happen to a replica. `F` makes the reply to a client (see [`MakeReply`]).
#[derive(Debug)]
pub enum Event<F> {
    /// A peer's request arrived.
    Request(Envelope<PeerRequest>),
    /// A peer's reply arrived.
    Reply(Envelope<PeerReply>),
    /// A request of this node will not be answered: the call failed or its deadline passed.
    CallFailed(NodeId, RequestId),
    /// A request of this node was never sent: too many calls to that peer are under way.
    CallNotSent(NodeId, RequestId),
    /// The connection to a peer broke and an immediate redial was refused (R17).
    ConnectionRefused(NodeId),
    /// The batch of the last [`Effect::Persist`] is on the disk.
    Synced(SyncedBatch),
    /// The entries of an [`Effect::ReadEntries`], without a gap from the first that was wanted; none when
    /// that is gone meanwhile.
    EntriesRead(LogReadId, Vec<Entry>),
    /// The entries of the last [`Effect::Apply`] have taken effect; one answer for each of them.
    Applied(Vec<Bytes>),
    /// The last [`Effect::Publish`] has taken effect.
    Published,
    /// A client of this node proposes. Completed by [`Effect::Complete`], at its deadline at the
    /// latest (R13).
    Propose {
        /// Names the proposal.
        ticket: ProposalTicket,
        /// What the leader prepares a command from.
        request: Bytes,
        /// When the client gives up.
        deadline: Time,
    },
    /// The client of a proposal that was not completed is gone.
    ProposalAbandoned(ProposalTicket),
    /// The outcome of an [`Effect::Prepare`].
    Prepared(PreparationId, Prepared<F>),
    /// A client of this node wants a linearizable read. Completed by [`Effect::CompleteRead`], at
    /// its deadline at the latest (R14).
    Read {
        /// Names the read.
        ticket: ReadTicket,
        /// When the client gives up.
        deadline: Time,
    },
    /// The client of a read that was not completed is gone.
    ReadAbandoned(ReadTicket),
    /// The snapshot of the last [`Effect::TakeSnapshot`] is complete and durable; or it could not be
    /// taken, which is no fault: it is tried again later.
    SnapshotTaken(Option<Snapshot>),
    /// The log begins here now, after an [`Effect::Compact`]; where it began before if nothing could be
    /// removed.
    Compacted(LogBase),
    /// The bytes of an [`Effect::ReadPiece`]; `None` if the snapshot cannot be read: then the replica
    /// drops it.
    PieceRead(PieceReadId, Option<Bytes>),
    /// So many bytes of the snapshot are stored, from its beginning, after an [`Effect::StorePiece`];
    /// `None` if the piece could not be stored, which is tried again.
    PieceStored(SnapshotId, Option<u64>),
    /// The snapshot of an [`Effect::FinishDownload`] is complete, verified and durable (`true`); or its
    /// file was not that of the snapshot, and is deleted.
    DownloadFinished(Snapshot, bool),
    /// The state of the last [`Effect::InstallState`] is that of the state machine, and durable (`true`);
    /// or the snapshot's file is damaged, and the state is what it was: the replica drops the snapshot.
    StateInstalled(bool),
    /// Another node should lead.
    TransferLeadership,
    /// An operator changes the members. Completed by [`Effect::CompleteChange`]: when that is committed, or
    /// cannot be done, or this node leads no more.
    ChangeMembers(MembersTicket, MembershipEdit),
    /// The deadline last returned by `next_deadline` has passed.
    DeadlinePassed,
}

/// Everything a replica asks for, in the order in which it is to be begun.
#[derive(Debug)]
pub enum Effect {
    /// Write and sync, then answer with [`Event::Synced`]. At most one is under way.
    Persist(UnsyncedBatch),
    /// Send a request. It must in the end be answered, or reported by [`Event::CallFailed`].
    Call(Envelope<PeerRequest>),
    /// Send a reply to the caller that waits for it.
    Reply(Envelope<PeerReply>),
    /// Read synced entries of the log, those in `(after, last]`, as many of the first as fit.
    ReadEntries {
        /// Names the answer.
        id: LogReadId,
        /// The index before the first.
        after: LogIndex,
        /// The last that is wanted.
        last: LogIndex,
        /// How many are wanted at most.
        entries_max: usize,
        /// How much payload to stop after, in bytes; at least one entry is wanted.
        bytes_max: usize,
    },
    /// Apply committed entries, in order; answer with [`Event::Applied`]. Of this and
    /// [`Effect::Publish`] at most one is under way.
    Apply(Vec<Entry>),
    /// Make everything applied visible to those who read the state by themselves; answer with
    /// [`Event::Published`].
    Publish,
    /// Take a snapshot of the state as of everything applied up to now, which is `position`; answer
    /// with [`Event::SnapshotTaken`]. At most one is under way, beside everything else: more may be
    /// applied, and even [`Effect::InstallState`] may come, before it ends; then it may be given up.
    ///
    /// The file has a temporary name until its digest is known and it is synced; what makes it
    /// complete is written last. The chain value of its base is that which the log has at `position` now,
    /// before a batch or a compaction of later is carried out.
    TakeSnapshot {
        /// What is applied.
        position: Position,
        /// The cluster and its voters there.
        membership: Membership,
    },
    /// Delete this snapshot; a piece of it may still be being read. No answer.
    DropSnapshot(SnapshotId),
    /// Remove entries of the log up to `through` at most, as many as is convenient; answer with
    /// [`Event::Compacted`]. At most one is under way. All of them are in a snapshot. It is carried out in
    /// its order with [`Effect::Persist`], and never moves the beginning of the log back.
    Compact {
        /// The last entry that may be removed.
        through: LogIndex,
        /// Whether a log in files begins a new one, before it does that.
        rolls: bool,
    },
    /// Read a piece of a complete snapshot, for a peer; answer with [`Event::PieceRead`]. One for each
    /// peer at most is under way. Before a piece at offset 0 is read, the whole file is verified: a damaged
    /// one cannot be read.
    ReadPiece {
        /// Names the answer.
        id: PieceReadId,
        /// The snapshot.
        snapshot: SnapshotId,
        /// Where the piece begins; at the end of the file or after it there are no bytes.
        offset: u64,
        /// How many bytes are wanted at most.
        bytes_max: usize,
    },
    /// Store a piece of a snapshot that is being downloaded, at this offset, in place of what is there
    /// from the offset on; with offset 0 the file is a new one. Answer with [`Event::PieceStored`].
    /// It need not be synced: a start reports what is there as [`Start::partial`](crate::Start).
    StorePiece {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Where the piece belongs.
        offset: u64,
        /// The piece.
        bytes: Bytes,
    },
    /// All pieces are stored (none, if the size is 0): verify size and SHA-256 of the file, sync it, and
    /// make it a complete snapshot; answer with [`Event::DownloadFinished`].
    FinishDownload(Snapshot),
    /// The pieces of this download may be deleted. No answer.
    DropDownload(SnapshotId),
    /// Replace the state of the state machine by that of this complete snapshot; answer with
    /// [`Event::StateInstalled`]. Of this, [`Effect::Apply`] and [`Effect::Publish`] at most one is under
    /// way. The next entries that are applied follow its position.
    ///
    /// What readers see may change at once; it must have once the next [`Effect::Publish`] ends. If the
    /// log has the snapshot's position as an entry and another chain value there, stop: log and snapshot
    /// contradict each other.
    InstallState(Snapshot),
    /// Make a command from a client's request, as the leader; answer with [`Event::Prepared`].
    Prepare(PreparationId, Bytes),
    /// A client's proposal has ended.
    Complete(ProposalTicket, Result<Proposed, ProposeError>),
    /// A client's read may begin, and must see everything up to this index; or it may not.
    CompleteRead(ReadTicket, Result<LogIndex, ReadError>),
    /// A change of the members is committed at this index, or was so before (`None`); or it is not done.
    CompleteChange(MembersTicket, Result<Option<LogIndex>, ChangeMembersError>),
    /// Log it for the operator; nothing else depends on it.
    Warn(Report),
}

/// Makes the reply to a client from the place of its command's entry and the state machine's
/// answer to it. Runs where the leader that prepared the command applies it.
pub trait MakeReply {
    /// The reply.
    fn make_reply(self, index: LogIndex, answer: Bytes) -> Bytes;
}

/// The state machine's answer is the reply.
impl MakeReply for () {
    fn make_reply(self, _index: LogIndex, answer: Bytes) -> Bytes {
        answer
    }
}

/// What a preparation made of a client's request.
#[derive(Debug)]
pub enum Prepared<F> {
    /// A command, to be appended.
    Append {
        /// The command.
        command: Bytes,
        /// Makes the reply once it is applied.
        make_reply: F,
    },
    /// The reply is known already; nothing is appended.
    Reply(Bytes),
    /// The preparation ended without an outcome; nothing is appended.
    Failed,
}

impl<F> Prepared<F> {
    /// The same, with what `change` makes of the function that makes the reply.
    pub fn map<G>(self, change: impl FnOnce(F) -> G) -> Prepared<G> {
        match self {
            Self::Append {
                command,
                make_reply,
            } => Prepared::Append {
                command,
                make_reply: change(make_reply),
            },
            Self::Reply(reply) => Prepared::Reply(reply),
            Self::Failed => Prepared::Failed,
        }
    }
}

/// A proposal that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// The place of its entry; `None` when the leader's preparation replied without one.
    pub index: Option<LogIndex>,
    /// The reply to the client.
    pub reply: Bytes,
}

/// The driver's name for a client's proposal; unique within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProposalTicket(pub u64);

/// The driver's name for a client's read; unique within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadTicket(pub u64);

/// The driver's name for a change of the members; unique within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MembersTicket(pub u64);

/// The replica's name for a preparation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PreparationId(pub u64);

/// The replica's name for a read of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogReadId(pub u64);

/// The replica's name for a read of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceReadId(pub u64);

/// How far the download of a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadProgress {
    /// The snapshot's position.
    pub position: Position,
    /// How many bytes are there.
    pub bytes: u64,
    /// How many there are.
    pub size: u64,
}

/// What a replica knows of itself and its cluster, for people and for clients' routing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Its role's name.
    pub role: chat_consensus::RoleName,
    /// Its term.
    pub term: chat_consensus::Term,
    /// Who leads that term, as far as it knows.
    pub leader: Option<NodeId>,
    /// The last entry accepted.
    pub last: LogIndex,
    /// Everything up to here is committed.
    pub committed: LogIndex,
    /// Everything up to here is applied.
    pub applied: LogIndex,
    /// Until this node holds the leader's log through here it does not count, because its disk lost
    /// what it had acknowledged (R18); 0 if nothing was lost.
    pub repair_through: LogIndex,
    /// The index before the first entry of the log.
    pub log_begins: LogIndex,
    /// The position of the newest complete snapshot.
    pub snapshot: Option<LogIndex>,
    /// The state is lost, or not installed yet (R24): nothing is applied, and the node does not campaign.
    pub lost_state: bool,
    /// The download under way.
    pub download: Option<DownloadProgress>,
    /// While this node waits to bootstrap the cluster: the nodes that have not answered (R12).
    pub bootstrap_awaits: Option<Vec<NodeId>>,
    /// A leader's view of the others; `None` elsewhere.
    pub followers: Option<Vec<chat_consensus::FollowerStatus>>,
    /// The voters that count, as far as this node knows (R12, R18).
    pub counted_voters: Vec<NodeId>,
    /// How many voters must agree; 0 before the bootstrap.
    pub quorum: usize,
    /// The newest members, where known.
    pub membership: Option<Membership>,
    /// The committed ones, as far as this node knows.
    pub committed_membership: Option<Membership>,
    /// Terms that this node began to lead since it started.
    pub elections_won: u64,
    /// The time of this status.
    pub at: Time,
}
