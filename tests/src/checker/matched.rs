//! Progress: what a leader believes a voter to hold is on that voter's disk, as long as the voter
//! has not gone on to a later term (R4).

use chat_consensus::{FollowerStatus, LogIndex, NodeId, Position, Term, TermIndex};

use crate::checker::{Checked, ensure};
use crate::simulation::disk::Image;

/// `leader` of `term` believes `follower`, whose disk is `durable`.
///
/// # Errors
///
/// The follower's disk does not hold what it is believed to hold.
pub fn believed(
    (leader, term): (NodeId, Term),
    follower: &FollowerStatus,
    log: &TermIndex,
    durable: &Image,
) -> Checked {
    if follower.match_index == LogIndex::ZERO || durable.hard_state.term > term {
        return Ok(());
    }
    let position = Position {
        index: follower.match_index,
        term: log.term_at(follower.match_index).unwrap_or_default(),
    };
    ensure(durable.holds(position), "matched-durable", || {
        format!(
            "node {leader} believes node {} to hold {position:?}; its disk ends at {:?}",
            follower.node,
            durable.last()
        )
    })
}
