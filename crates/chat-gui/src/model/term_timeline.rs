//! The last ten minutes as a timeline of terms: a band for each term, a tick for each thing that
//! happened.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::names::{NodeId, Term};
use crate::model::time::Moment;

/// How much of the past the timeline shows.
pub const TERM_TIMELINE_LENGTH: Duration = Duration::from_secs(600);
/// Bands, and ticks, that are kept at most; a cluster that changes faster is shown for a shorter
/// time.
pub const TERM_TIMELINE_MARKS_MAX: usize = 2_000;

/// Who led when; both oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TermTimeline {
    /// Spans of one term and one leader, without gaps.
    pub bands: VecDeque<TermBand>,
    /// What happened.
    pub ticks: VecDeque<Tick>,
}

/// A span of one term and one leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermBand {
    /// When it began; it lasts until the next one begins.
    pub from: Moment,
    /// The highest known term.
    pub term: Term,
    /// The leader; `None` while there was none.
    pub leader: Option<NodeId>,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// When it was noticed.
    pub at: Moment,
    /// What it was.
    pub kind: TickKind,
    /// The entry of the feed that describes it.
    pub feed: u64,
}

/// What a tick means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TickKind {
    /// A node campaigned.
    Election,
    /// A node won one.
    Elected,
    /// A node stopped answering.
    NodeLost,
    /// A node answers again.
    NodeBack,
    /// A fault was caused, or undone, from this window.
    FaultAction,
}
