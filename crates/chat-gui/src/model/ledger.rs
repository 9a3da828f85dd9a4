//! The ledger of acknowledgements: acknowledged = stored = shown, nothing lost, nothing doubled.
//! All figures come from answers of the servers: an acknowledged message is sent again under its
//! own ids, and must get its first answer.

use crate::model::time::Moment;

/// Own messages that are sent again in one check, newest first. More would be traffic that no one
/// asked for.
pub const LEDGER_CHECK_MAX: usize = 500;

/// The account. While a check runs, the figures are those of the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Own messages that servers have acknowledged to this device, and that the check covers.
    pub acknowledged: u64,
    /// Those of them that servers have, at exactly the acknowledged place.
    pub stored: u64,
    /// Those of them that this window shows exactly once.
    pub shown: u64,
    /// Messages in the inbox, by the servers' answers.
    pub inbox_stored: u64,
    /// Messages of the inbox that this window shows exactly once.
    pub inbox_shown: u64,
    /// Acknowledged and not there, or there and not shown.
    pub lost: u64,
    /// There twice, or shown twice.
    pub doubled: u64,
    /// When the last check ended; `None` before the first.
    pub checked_at: Option<Moment>,
    /// How many messages the running check has covered; `None` when none runs.
    pub checking: Option<u64>,
    /// Why the last check did not end.
    pub failure: Option<String>,
}
