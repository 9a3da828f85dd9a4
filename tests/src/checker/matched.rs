//! Match indices: what a leader counts as held by a voter is on that voter's disk, as long as the
//! voter has not adopted a later term (R4).

use chat_consensus::{FollowerStatus, LogIndex, NodeId, Position, Term, TermIndex};

use crate::checker::{Checked, ensure};
use crate::simulation::disk::Image;

/// The match index that `leader` of `term` has for `follower`, whose disk is `durable`.
///
/// # Errors
///
/// The follower's disk does not hold the entry at the match index.
pub fn match_index_is_durable(
    (leader, term): (NodeId, Term),
    follower: &FollowerStatus,
    log: &TermIndex,
    durable: &Image,
) -> Checked {
    if follower.match_index == LogIndex::ZERO || durable.hard_state.term > term {
        return Ok(());
    }
    let Some(term) = log.term_at(follower.match_index) else {
        // It is before the leader's log, and so committed.
        return Ok(());
    };
    let position = Position {
        index: follower.match_index,
        term,
    };
    // That a base is that of the committed log is checked where it is written (R24).
    let base = durable.base();
    let covered = base.is_some_and(|base| position.index < base.position.index);
    ensure(
        covered || durable.holds(position),
        "matched-durable",
        || {
            format!(
                "node {leader} counts {position:?} as held by node {}; its disk ends at {:?}",
                follower.node,
                durable.last()
            )
        },
    )
}
