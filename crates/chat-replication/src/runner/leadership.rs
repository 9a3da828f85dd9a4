//! Who leads, as a node shows it.

/// Who leads, as far as this node knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leadership {
    /// The highest term seen.
    pub term: u64,
    /// Who leads it.
    pub leader_id: Option<u64>,
    /// Whether that is this node.
    pub leads: bool,
}
