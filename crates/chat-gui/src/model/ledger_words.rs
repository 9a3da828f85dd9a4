//! The ledger in words: one line for everywhere, the time of the last check, and all of it as text that
//! a person can give to another one.

use crate::model::Model;
use crate::model::ledger::{LastCheck, LedgerScope};

impl Model {
    /// The last check in one line; `None` before the first.
    pub fn ledger_sentence(&self) -> Option<String> {
        let ledger = &self.ledger;
        let last = ledger.last?;
        let at = self.zone.hours_and_minutes(last.at.wall);
        let (kept, all) = (ledger.box_shown, ledger.box_stored);
        Some(match (ledger.lost, ledger.doubled) {
            (0, 0) => format!("{kept} of {all} messages are where they belong, checked at {at}."),
            (0, doubled) => format!("{doubled} messages are there twice, checked at {at}."),
            (lost, 0) => format!("{lost} messages are missing, checked at {at}."),
            (lost, doubled) => {
                format!(
                    "{lost} messages are missing and {doubled} are there twice, checked at {at}."
                )
            }
        })
    }

    /// The last check in a word that fits everywhere; empty before the first.
    pub fn ledger_words(&self) -> String {
        let ledger = &self.ledger;
        match (ledger.last, ledger.lost, ledger.doubled) {
            (None, ..) => String::new(),
            (_, 0, 0) => "All kept".to_owned(),
            (_, 0, doubled) => format!("{doubled} twice"),
            (_, lost, _) => format!("{lost} lost"),
        }
    }

    /// When the last check was, and what it covered.
    pub fn last_check_words(&self, last: &LastCheck) -> String {
        let at = self.zone.date_and_time(last.at.wall);
        let covered = match last.scope {
            LedgerScope::Newest => "and your newest 500 messages",
            LedgerScope::All => "and all messages of the account",
        };
        format!("Checked {at}: your newest 1,000 sent messages, {covered}.")
    }

    /// All figures of the last check as text; empty before the first.
    pub fn ledger_text(&self) -> String {
        let (Some(last), Some(account)) = (self.ledger.last, &self.account) else {
            return String::new();
        };
        let ledger = &self.ledger;
        format!(
            "Ledger of {} on cluster {}\n{}\n\
             Sent: {} acknowledged, {} stored, {} shown\n\
             Account: {} stored, {} shown\n\
             Lost: {}\n\
             Doubled: {}\n",
            account.name,
            self.cluster.of_account.as_deref().unwrap_or("unknown"),
            self.last_check_words(&last),
            ledger.acknowledged,
            ledger.stored,
            ledger.shown,
            ledger.box_stored,
            ledger.box_shown,
            ledger.lost,
            ledger.doubled,
        )
    }
}
