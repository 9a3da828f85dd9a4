//! The members of the clusters that this device was connected to, so that it finds a cluster again
//! whichever of its nodes runs.

use chat_client::Member;
use sqlx::{Connection, Row};

use crate::local_store::{LocalStore, StoreError, number};

/// Clusters whose members are kept; those that were seen longest ago go first.
const CLUSTERS_MAX: i64 = 8;

impl LocalStore {
    /// Keeps the members of a cluster, instead of those before.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; those before are kept then.
    pub async fn save_members(
        &mut self,
        cluster_id: &str,
        members: &[Member],
    ) -> Result<(), StoreError> {
        let mut change = self.connection.begin().await?;
        sqlx::query("DELETE FROM members WHERE cluster_id = ?")
            .bind(cluster_id)
            .execute(&mut *change)
            .await?;
        let row = sqlx::query("SELECT coalesce(max(saved), 0) + 1 FROM members")
            .fetch_one(&mut *change)
            .await?;
        let saved: i64 = row.try_get(0)?;
        for member in members {
            sqlx::query("INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?)")
                .bind(cluster_id)
                .bind(&member.address)
                .bind(number(member.node_id))
                .bind(saved)
                .execute(&mut *change)
                .await?;
        }
        sqlx::query(
            "DELETE FROM members WHERE cluster_id NOT IN (
                 SELECT cluster_id FROM members GROUP BY cluster_id
                 ORDER BY max(saved) DESC LIMIT ?)",
        )
        .bind(CLUSTERS_MAX)
        .execute(&mut *change)
        .await?;
        Ok(change.commit().await?)
    }

    /// The cluster that one of these addresses belonged to last, and its members. With `only`, no
    /// other cluster.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn members_of(
        &mut self,
        addresses: &[String],
        only: Option<&str>,
    ) -> Result<Option<(String, Vec<Member>)>, StoreError> {
        let rows = sqlx::query(
            "SELECT cluster_id, address, node_id FROM members ORDER BY saved DESC, node_id",
        )
        .fetch_all(&mut self.connection)
        .await?;
        let mut members: Vec<(String, Member)> = Vec::new();
        for row in &rows {
            let node_id: i64 = row.try_get(2)?;
            let member = Member {
                address: row.try_get(1)?,
                node_id: node_id.unsigned_abs(),
            };
            members.push((row.try_get(0)?, member));
        }
        let found = members.iter().find(|(cluster_id, member)| {
            only.is_none_or(|only| only == cluster_id) && addresses.contains(&member.address)
        });
        let Some((cluster_id, _)) = found.cloned() else {
            return Ok(None);
        };
        members.retain(|(of, _)| *of == cluster_id);
        let members = members.into_iter().map(|(_, member)| member).collect();
        Ok(Some((cluster_id, members)))
    }
}

#[cfg(test)]
mod tests {
    use chat_client::Member;

    use super::{CLUSTERS_MAX, LocalStore};

    fn member(node_id: u64, address: &str) -> Member {
        Member {
            node_id,
            address: address.to_owned(),
        }
    }

    #[tokio::test]
    async fn members_are_found_by_any_address_of_the_latest_cluster() {
        let mut store = LocalStore::in_memory().await.unwrap();
        let old = [member(1, "a:1"), member(2, "old:2")];
        store.save_members("x", &old).await.unwrap();
        let new = vec![member(1, "a:1"), member(2, "b:2"), member(3, "c:3")];
        store.save_members("y", &new).await.unwrap();
        let find = async |store: &mut LocalStore, address: &str, only| {
            let addresses = [address.to_owned()];
            store.members_of(&addresses, only).await.unwrap()
        };
        let of_y = Some(("y".to_owned(), new));
        assert_eq!(find(&mut store, "c:3", None).await, of_y);
        assert_eq!(find(&mut store, "a:1", None).await, of_y);
        let of_x = Some(("x".to_owned(), old.to_vec()));
        assert_eq!(find(&mut store, "a:1", Some("x")).await, of_x);
        assert_eq!(find(&mut store, "c:3", Some("x")).await, None);
        assert_eq!(find(&mut store, "d:4", None).await, None);
        for cluster in 0..CLUSTERS_MAX {
            let id = cluster.to_string();
            store.save_members(&id, &old).await.unwrap();
        }
        assert_eq!(find(&mut store, "a:1", Some("y")).await, None, "the oldest");
    }
}
