//! Snapshots and the bases of logs: what lies before them is the committed log, and a state that is
//! installed is what applying that log gives (R24).

use std::collections::BTreeMap;

use chat_consensus::{LogBase, LogIndex, NodeId};

use crate::checker::agreement::CommittedLog;
use crate::checker::{Checked, ensure};

/// A log begins at `base`, or a snapshot has it.
///
/// # Errors
///
/// The entry there is not committed, or those before it are not the committed ones.
pub fn base(base: &LogBase, committed: &CommittedLog) -> Checked {
    let position = base.position;
    ensure(
        committed.term_at(position.index) == Some(position.term),
        "base-agreed",
        || format!("a base at {position:?}, which is not committed"),
    )?;
    let agreed = committed.chain_at(position.index);
    ensure(
        position.index == LogIndex::ZERO || agreed == Some(base.chain),
        "base-agreed",
        || {
            format!(
                "a base at {position:?} with the chain value {:?}; the committed log has {agreed:?}",
                base.chain
            )
        },
    )?;
    let agreed = committed.members_at(position.index);
    ensure(
        agreed.is_none_or(|agreed| *agreed == base.membership),
        "base-agreed",
        || {
            format!(
                "a base at {position:?} with {:?}; the committed log has {agreed:?} there",
                base.membership
            )
        },
    )
}

/// `node` installs the state `list` at `index`.
///
/// # Errors
///
/// It is not what the committed log gives.
pub fn content(
    node: NodeId,
    index: LogIndex,
    list: &BTreeMap<u64, LogIndex>,
    committed: &CommittedLog,
) -> Checked {
    let expected = committed.effects_through(index);
    ensure(
        expected.eq(list.iter().map(|(o, i)| (*o, *i))),
        "snapshot-content",
        || format!("node {node} installs another state at {index} than the committed log gives"),
    )
}
