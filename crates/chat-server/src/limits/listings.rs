//! Who looks through the names: each account one page at a time, so that nobody has all the
//! connections that do so.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The accounts that are being answered.
#[derive(Debug, Default)]
pub(crate) struct Listings {
    accounts: Mutex<HashSet<String>>,
}

/// An account's turn, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    listings: &'a Listings,
    account: String,
}

impl Listings {
    /// `None` while another page of the account is being looked for.
    pub(crate) fn begin(&self, account: &str) -> Option<Turn<'_>> {
        let account = account.to_owned();
        let new = self.lock().insert(account.clone());
        new.then(|| Turn {
            listings: self,
            account,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        // Nothing panics while it is held, and every state of the set is a good one.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.listings.lock().remove(&self.account);
    }
}

#[cfg(test)]
mod tests {
    use super::Listings;

    #[test]
    fn an_account_has_one_turn_at_a_time() {
        let listings = Listings::default();
        let turn = listings.begin("alice");
        assert!(turn.is_some());
        assert!(listings.begin("alice").is_none());
        assert!(listings.begin("bob").is_some(), "others have theirs");
        drop(turn);
        assert!(listings.begin("alice").is_some());
    }
}
