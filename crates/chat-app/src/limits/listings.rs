//! Lists of names are read one page at a time for each account, so that one account does not occupy
//! all the connections that read them.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The accounts that read a page now.
#[derive(Debug, Default)]
pub struct Listings {
    accounts: Mutex<HashSet<String>>,
}

/// Counts the page of an account until it is dropped.
#[derive(Debug)]
pub struct ListingGuard<'a> {
    listings: &'a Listings,
    account: String,
}

impl Listings {
    /// `None` while another page of the account is read.
    pub fn begin(&self, account: &str) -> Option<ListingGuard<'_>> {
        let account = account.to_owned();
        let new = self.lock().insert(account.clone());
        new.then(|| ListingGuard {
            listings: self,
            account,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        // Nothing panics while it is held, and every state of the set is a good one.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ListingGuard<'_> {
    fn drop(&mut self) {
        self.listings.lock().remove(&self.account);
    }
}

#[cfg(test)]
mod tests {
    use super::Listings;

    #[test]
    fn account_reads_one_page_at_a_time() {
        let listings = Listings::default();
        let guard = listings.begin("alice");
        assert!(guard.is_some());
        assert!(listings.begin("alice").is_none());
        assert!(listings.begin("bob").is_some(), "another account");
        drop(guard);
        assert!(listings.begin("alice").is_some());
    }
}
