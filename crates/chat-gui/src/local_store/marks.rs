//! What a person has marked about the chats of an account, as one setting of that account.

use crate::local_store::{AccountKey, LocalStore, StoreError};
use crate::model::marks::ChatMarks;

impl LocalStore {
    /// Keeps what the person has marked about the chats.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn save_marks(
        &mut self,
        account: &AccountKey,
        marks: &ChatMarks,
    ) -> Result<(), StoreError> {
        self.set(&key(account), marks).await
    }

    pub(super) async fn marks(&mut self, account: &AccountKey) -> Result<ChatMarks, StoreError> {
        let marks = self.setting(&key(account)).await?;
        Ok(marks.unwrap_or_default())
    }
}

/// No other setting has a space in its key. The store deletes it with the account.
fn key(account: &AccountKey) -> String {
    format!("marks {}", account.text())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{AccountKey, ChatMarks, LocalStore};
    use crate::model::names::Name;

    #[tokio::test]
    async fn marks_belong_to_one_account_and_are_erased_with_it() {
        let mut store = LocalStore::in_memory().await.unwrap();
        let key = |name: &str| AccountKey {
            cluster_id: "c1".to_owned(),
            name: Name::new(name),
        };
        let bob = Name::new("bob");
        let marks = ChatMarks {
            pinned: BTreeSet::from([bob.clone()]),
            unread: BTreeSet::new(),
            open: Some(bob),
        };
        for name in ["alice", "mallory"] {
            store.save_marks(&key(name), &marks).await.unwrap();
        }
        store.erase(&key("alice")).await.unwrap();
        let stored = store.account(&key("alice")).await.unwrap();
        assert_eq!(stored.marks, ChatMarks::default());
        let stored = store.account(&key("mallory")).await.unwrap();
        assert_eq!(stored.marks, marks);
    }
}
