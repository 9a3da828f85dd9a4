//! Applying: every committed entry once, in order, the same everywhere, and never past the node's
//! own synced end (R3); and no committed entry is ever truncated (R11).

use chat_consensus::{Entry, LogIndex, NodeId};

use crate::checker::agreement::CommittedLog;
use crate::checker::log_matching::KnownEntries;
use crate::checker::{Checked, ensure};
use crate::simulation::disk::Image;

const NAME: &str = "apply-order";

/// A node passes `entries` to its state machine, which has applied everything up to `applied`.
///
/// # Errors
///
/// They do not follow, are not committed, are others than those committed, or are not synced.
pub fn applied(
    node: NodeId,
    entries: &[Entry],
    applied: LogIndex,
    against: (&CommittedLog, &KnownEntries),
    durable: &Image,
) -> Checked {
    let (committed, known) = against;
    let mut last = applied;
    for entry in entries {
        let position = entry.position;
        ensure(position.index == last.next(), NAME, || {
            format!("node {node} applies {position:?} after {last}")
        })?;
        ensure(
            committed.term_at(position.index) == Some(position.term),
            NAME,
            || format!("node {node} applies {position:?}, which is not committed"),
        )?;
        ensure(
            known.payload(position.index, position.term) == Some(&entry.payload),
            NAME,
            || format!("node {node} applies another entry at {position:?}"),
        )?;
        ensure(durable.holds(position), "apply-synced", || {
            format!("node {node} applies {position:?}, which its disk does not hold")
        })?;
        last = position.index;
    }
    Ok(())
}

/// A node is about to truncate its log to `last`.
///
/// # Errors
///
/// The first entry that is removed is committed.
pub fn truncated(
    node: NodeId,
    last: LogIndex,
    committed: &CommittedLog,
    durable: &Image,
) -> Checked {
    let removed = last.next();
    let term = durable.term_at(removed);
    ensure(
        term.is_none() || committed.term_at(removed) != term,
        "committed-truncated",
        || format!("node {node} truncates the committed entry {removed} of term {term:?}"),
    )
}
