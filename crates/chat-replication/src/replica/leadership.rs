//! Who leads, as the replica compares it.

use chat_consensus::{NodeId, Term};

/// Who leads a term, as far as a node knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Leadership {
    pub(super) term: Term,
    pub(super) leader: Option<NodeId>,
}
