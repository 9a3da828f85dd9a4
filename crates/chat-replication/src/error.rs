//! Why a proposal has no reply, why a read may not begin, and why the members are not changed.

use chat_consensus::{EditError, MembershipRefusal};

/// Why a proposal has no reply. Only after [`ProposeError::Unknown`] may it have taken effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// No node led until the deadline; nothing was appended.
    #[error("no leader is known")]
    NoLeader,
    /// The leader did not take it until the deadline; nothing was appended.
    #[error("the leader did not accept the proposal")]
    NotAppended {
        /// Who leads, as far as is known.
        leader_id: Option<u64>,
    },
    /// Too much is waiting; nothing was appended.
    #[error("too many proposals are waiting")]
    Overloaded,
    /// The command is too large for the log; nothing was appended.
    #[error("the command is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit, in bytes.
        bytes_max: usize,
    },
    /// It may have taken effect, may yet, or may never. Propose the same again only if that is
    /// harmless.
    #[error("the outcome is unknown")]
    Unknown,
    /// The replica has stopped; nothing was appended.
    #[error("the replica has stopped")]
    Stopped,
}

/// Why a linearizable read could not begin. Asking again is always safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No leader could be confirmed until the deadline.
    #[error("no leader could be confirmed in time")]
    NoLeader,
    /// The read was confirmed; this node had not applied or published what it must see until the
    /// deadline.
    #[error("this node had not applied enough in time")]
    NotApplied,
    /// Too many reads are waiting.
    #[error("too many reads are waiting")]
    Overloaded,
    /// The replica has stopped.
    #[error("the replica has stopped")]
    Stopped,
}

/// Why the members are not changed. Only after [`ChangeMembersError::Unknown`] may they be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeMembersError {
    /// Only a leader changes them.
    #[error("this node does not lead")]
    NotLeading {
        /// Who leads, as far as is known.
        leader_id: Option<u64>,
    },
    /// That may pass by itself: try again a little later.
    #[error("not now: {0}")]
    NotNow(#[from] MembershipRefusal),
    /// They can never be changed like that.
    #[error(transparent)]
    Impossible(#[from] EditError),
    /// It was appended, and may be committed or undone. Repeat it: what is done already changes nothing.
    #[error("the outcome is unknown")]
    Unknown,
    /// It was not confirmed in time that this node leads.
    #[error("no majority has confirmed this leader in time")]
    NotConfirmed,
    /// The replica has stopped.
    #[error("the replica has stopped")]
    Stopped,
}
