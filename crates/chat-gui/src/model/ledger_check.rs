//! What a check of the ledger compares: the acknowledgements, and the answers of the servers so
//! far; and when the next check is due.

use std::collections::{BTreeMap, HashMap};

use crate::model::event::StoredPlace;
use crate::model::ledger::LEDGER_CHECK_MAX;
use crate::model::names::{Commit, MessageId};
use crate::model::time::Moment;

/// What was acknowledged, and the answers that the running check has received.
#[derive(Debug, Default)]
pub(super) struct LedgerCheck {
    /// By position in the log, so that the newest are the last.
    pub(super) acknowledged: BTreeMap<Commit, MessageId>,
    pub(super) covered: HashMap<MessageId, Commit>,
    pub(super) answers: HashMap<MessageId, StoredPlace>,
    pub(super) in_box: Option<Vec<(MessageId, Commit)>>,
    /// The last index received when the check began: later messages may be under way.
    pub(super) newest_index: u64,
    /// Messages that were acknowledged with a copy, since when, that neither watch, page nor check has
    /// named in the box yet.
    pub(super) unconfirmed: HashMap<MessageId, Moment>,
    /// When the check began that runs, or the last one.
    pub(super) began: Moment,
    /// Whether the window could check when this was looked at last.
    pub(super) was_ready: bool,
    /// When the window checks by itself, unless it is offline then.
    pub(super) due: Option<Moment>,
}

impl LedgerCheck {
    /// Records that the servers acknowledged a message. The oldest beyond the limit are dropped.
    pub(super) fn acknowledge(&mut self, id: MessageId, commit: Commit) {
        self.acknowledged.insert(commit, id);
        if self.acknowledged.len() > LEDGER_CHECK_MAX {
            self.acknowledged.pop_first();
        }
    }
}
