//! The ledger of acknowledgements: acknowledged = stored = shown, nothing lost, nothing doubled.
//! All figures come from answers of the servers, which say where they have each message.

use crate::model::time::{Moment, Now};

/// Sent messages that one check covers, newest first: the most that the servers check at once.
pub const LEDGER_CHECK_MAX: usize = 1_000;

/// How much of the box a check compares with the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerScope {
    /// Its newest page: a check that the window makes by itself.
    Newest,
    /// All of it: a check that the person requests.
    All,
}

/// The account. While a check runs, the figures are those of the last one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// Sent messages that servers have acknowledged, and that the check covers.
    pub acknowledged: u64,
    /// Those of them that servers have, at exactly the acknowledged place.
    pub stored: u64,
    /// Those of them that this window shows exactly once.
    pub shown: u64,
    /// Messages in the box, by the servers' answers.
    pub box_stored: u64,
    /// Messages of the box that this window shows exactly once.
    pub box_shown: u64,
    /// Acknowledged and not there, or there and not shown.
    pub lost: u64,
    /// There twice, or shown twice.
    pub doubled: u64,
    /// The last check that ended; `None` before the first.
    pub last: Option<LastCheck>,
    /// The check that runs.
    pub checking: Option<LedgerScope>,
    /// Why the last check did not end.
    pub failure: Option<String>,
}

/// The last check that ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LastCheck {
    /// When it began: it says nothing of what happened later.
    pub began: Moment,
    /// When it ended.
    pub at: Now,
    /// What it covered.
    pub scope: LedgerScope,
}

impl Ledger {
    /// Whether the last check found everything that was acknowledged, exactly once; `None` before the
    /// first check.
    pub fn is_whole(&self) -> Option<bool> {
        self.last.map(|_| self.lost == 0 && self.doubled == 0)
    }

    /// Whether a check that began at this moment or later has ended.
    pub fn is_checked_since(&self, moment: Moment) -> bool {
        self.last.is_some_and(|last| moment <= last.began)
    }
}
