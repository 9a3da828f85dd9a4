//! The copy of a box: received messages, copies of sent ones, and the cursor of the watch up to which
//! the copy has followed it. `docs/window-store.md` has the rules; changes that a person has requested and the
//! servers do not have yet are in `pending_changes`.

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Row};

use crate::local_store::message_rows::{Pending, delete, inbox_number, mark_read, take};
use crate::local_store::packed_messages;
use crate::local_store::rows::{self, flag};
use crate::local_store::{AccountKey, LocalStore, SENT_MAX, StoreError, number};
use crate::model::event::StoredInbox;
use crate::model::message::{CopyPlace, StoredMessage};
use crate::model::names::{LogIndex, MessageId};

/// Messages that the copy may have above its limit before the oldest go: finding them takes
/// longer than to add a few.
const SURPLUS_MAX: usize = 256;

/// A change of the inbox that the watch has reported.
#[derive(Clone, Debug, PartialEq)]
pub enum InboxChange {
    /// A message arrived, or was sent with a copy.
    Arrived(StoredMessage),
    /// Messages were read.
    Read(Vec<MessageId>),
    /// Messages were deleted.
    Deleted(Vec<MessageId>),
}

/// How far the copy of an inbox goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyPosition {
    /// The cursor of the watch that the copy has followed; `None` if the inbox has to be fetched.
    pub cursor: Option<String>,
    /// Whether the servers have older messages than the copy.
    pub more: bool,
    /// Where the page behind the copy begins, if that is known.
    pub older: Option<String>,
}

/// What a page shows about the rest of the inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageEnd {
    /// Where the next page begins; `None` behind the oldest message.
    pub older: Option<String>,
    /// Unread messages of the whole inbox.
    pub unread: u64,
    /// Whether no further page is fetched: everything above the end of this page has come.
    pub is_last: bool,
}

impl LocalStore {
    /// What is kept of a box, and the sent messages that only this device has; both oldest first.
    pub(super) async fn messages(
        &mut self,
        account: &AccountKey,
    ) -> Result<(StoredInbox, Vec<StoredMessage>), StoreError> {
        self.trim(account).await?;
        let row = sqlx::query(
            "SELECT number, is_complete, more, unread_elsewhere FROM inboxes WHERE account = ?",
        )
        .bind(account.text())
        .fetch_optional(&mut self.connection)
        .await?;
        let Some(row) = row else {
            return Ok((StoredInbox::default(), Vec::new()));
        };
        let inbox: i64 = row.try_get(0)?;
        let unread_elsewhere: i64 = row.try_get(3)?;
        let (messages, sent) = self.read_messages(inbox).await?;
        let stored = StoredInbox {
            is_complete: flag(&row, 1)?,
            more: flag(&row, 2)?,
            unread_elsewhere: unread_elsewhere.unsigned_abs(),
            messages,
        };
        Ok((stored, sent))
    }

    /// Part by part: a row of SQLite takes far more memory than the message in it.
    async fn read_messages(
        &mut self,
        inbox: i64,
    ) -> Result<(Vec<StoredMessage>, Vec<StoredMessage>), StoreError> {
        let mut names = rows::Names::default();
        let (mut in_box, mut sent) = (Vec::new(), Vec::new());
        let mut after = 0_i64;
        let mut next = packed_messages::read(&mut self.connection, inbox, after).await?;
        while let Some(part) = next {
            // SQLite has a thread of its own: it joins the next part while this one is taken apart.
            let (following, messages) = tokio::join!(
                packed_messages::read(&mut self.connection, inbox, part.last),
                async { packed_messages::unpack(&part, &mut names) },
            );
            next = following?;
            let messages = match messages {
                Some(messages) => messages,
                None => {
                    self.read_columns(inbox, after, part.last, &mut names)
                        .await?
                }
            };
            for (message, copy) in messages {
                match copy {
                    CopyPlace::Servers => in_box.push(message),
                    CopyPlace::Device => sent.push(message),
                }
            }
            after = part.last;
        }
        for messages in [&mut in_box, &mut sent] {
            messages.sort_unstable_by_key(|message| message.commit.index);
        }
        Ok((in_box, sent))
    }

    /// Messages behind one row up to another one, value by value: for what is rare, or damaged.
    pub(super) async fn read_columns(
        &mut self,
        inbox: i64,
        after: i64,
        last: i64,
        names: &mut rows::Names,
    ) -> Result<Vec<(StoredMessage, CopyPlace)>, StoreError> {
        let statement = format!(
            "SELECT {} FROM messages WHERE +inbox = ? AND rowid > ? AND rowid <= ?",
            rows::MESSAGE_COLUMNS
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(inbox)
            .bind(after)
            .bind(last)
            .fetch_all(&mut self.connection)
            .await?;
        rows.iter()
            .map(|row| rows::stored_message(row, names))
            .collect()
    }

    /// Messages of a box that are kept at most.
    pub fn received_max(&self) -> usize {
        self.received_max
    }

    /// How far the copy of an inbox goes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], as everywhere below.
    pub async fn copy_position(
        &mut self,
        account: &AccountKey,
    ) -> Result<CopyPosition, StoreError> {
        let row = sqlx::query(
            "SELECT cursor, more, older FROM inboxes WHERE account = ? AND is_complete = 1",
        )
        .bind(account.text())
        .fetch_optional(&mut self.connection)
        .await?;
        let Some(row) = row.filter(|_| self.received_max > 0) else {
            return Ok(CopyPosition::default());
        };
        Ok(CopyPosition {
            cursor: row.try_get(0)?,
            more: flag(&row, 1)?,
            older: row.try_get(2)?,
        })
    }

    /// Follows the watch: changes and the cursor behind them, in one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; neither is kept then.
    pub async fn follow(
        &mut self,
        account: &AccountKey,
        changes: &[InboxChange],
        cursor: &str,
    ) -> Result<(), StoreError> {
        let keeps = self.received_max > 0;
        let mut change = self.connection.begin().await?;
        let inbox = inbox_number(&mut change, account).await?;
        let pending = Pending::load(&mut change, inbox).await?;
        for one in changes {
            match one {
                InboxChange::Arrived(message) => {
                    take(&mut change, inbox, message, keeps.then_some(&pending)).await?;
                    self.surplus += 1;
                }
                InboxChange::Read(ids) => mark_read(&mut change, inbox, ids).await?,
                InboxChange::Deleted(ids) => delete(&mut change, inbox, ids).await?,
            }
        }
        if keeps {
            sqlx::query("UPDATE inboxes SET cursor = ? WHERE number = ?")
                .bind(cursor)
                .bind(inbox)
                .execute(&mut *change)
                .await?;
        }
        change.commit().await?;
        if self.surplus >= SURPLUS_MAX {
            self.trim(account).await?;
        }
        Ok(())
    }

    /// The whole inbox is fetched from here on: what does not come on a page was deleted. Until the
    /// last page the copy is not complete.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn begin_fetch(&mut self, account: &AccountKey) -> Result<(), StoreError> {
        if self.received_max == 0 {
            return Ok(());
        }
        let mut change = self.connection.begin().await?;
        let inbox = inbox_number(&mut change, account).await?;
        for statement in [
            "UPDATE inboxes SET is_complete = 0 WHERE number = ?",
            "UPDATE messages SET checked = 0 WHERE inbox = ?",
        ] {
            sqlx::query(statement)
                .bind(inbox)
                .execute(&mut *change)
                .await?;
        }
        Ok(change.commit().await?)
    }

    /// Keeps a page. Returns it as the person is to see it: without messages whose deletion was
    /// requested, and with read marks that the servers do not have yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; nothing of the page is kept then.
    pub async fn keep_page(
        &mut self,
        account: &AccountKey,
        page: Vec<StoredMessage>,
        end: &PageEnd,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let mut change = self.connection.begin().await?;
        let inbox = inbox_number(&mut change, account).await?;
        let pending = Pending::load(&mut change, inbox).await?;
        let oldest = page.last().map(|message| message.commit.index);
        let shown: Vec<StoredMessage> = page
            .into_iter()
            .filter_map(|message| pending.apply(message))
            .collect();
        let keeps = self.received_max > 0;
        for message in &shown {
            take(&mut change, inbox, message, keeps.then_some(&pending)).await?;
        }
        if keeps && end.is_last {
            finish_fetch(&mut change, inbox, oldest, end).await?;
        }
        change.commit().await?;
        if end.is_last {
            self.trim(account).await?;
        }
        Ok(shown)
    }

    /// Deletes the copy of an inbox permanently. Changes that the servers do not have yet are kept:
    /// they have no text.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; the copy is kept then.
    pub async fn forget_received(&mut self, account: &AccountKey) -> Result<(), StoreError> {
        let mut change = self.connection.begin().await?;
        let inbox = inbox_number(&mut change, account).await?;
        for statement in [
            "DELETE FROM messages WHERE inbox = ? AND is_on_servers = 1",
            "UPDATE inboxes SET cursor = NULL, is_complete = 0, more = 0, older = NULL,
                 unread_elsewhere = 0 WHERE number = ?",
        ] {
            sqlx::query(statement)
                .bind(inbox)
                .execute(&mut *change)
                .await?;
        }
        change.commit().await?;
        self.overwrite_deleted().await
    }

    /// The oldest messages above the limits go: of the box, which the servers have still, and of what
    /// only this device has.
    pub(super) async fn trim(&mut self, account: &AccountKey) -> Result<(), StoreError> {
        self.surplus = 0;
        let mut change = self.connection.begin().await?;
        let inbox = inbox_number(&mut change, account).await?;
        if let Some(newest) = newest_above(&mut change, inbox, true, self.received_max).await? {
            sqlx::query(
                "UPDATE inboxes SET more = 1, older = NULL, unread_elsewhere = unread_elsewhere + (
                     SELECT count(*) FROM messages WHERE inbox = ?1 AND is_on_servers = 1
                     AND commit_index <= ?2 AND read = 0)
                 WHERE number = ?1",
            )
            .bind(inbox)
            .bind(newest)
            .execute(&mut *change)
            .await?;
            delete_up_to(&mut change, inbox, true, newest).await?;
        }
        if let Some(newest) = newest_above(&mut change, inbox, false, SENT_MAX).await? {
            delete_up_to(&mut change, inbox, false, newest).await?;
        }
        Ok(change.commit().await?)
    }
}

/// The newest message that is one too many, of the box or of those that only this device has.
async fn newest_above(
    connection: &mut SqliteConnection,
    inbox: i64,
    is_on_servers: bool,
    limit: usize,
) -> Result<Option<i64>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT commit_index FROM messages WHERE inbox = ? AND is_on_servers = ?
         ORDER BY commit_index DESC LIMIT 1 OFFSET ?",
    )
    .bind(inbox)
    .bind(is_on_servers)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_optional(connection)
    .await?;
    row.map(|row| row.try_get(0)).transpose()
}

async fn delete_up_to(
    connection: &mut SqliteConnection,
    inbox: i64,
    is_on_servers: bool,
    commit_index: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM messages WHERE inbox = ? AND is_on_servers = ? AND commit_index <= ?")
        .bind(inbox)
        .bind(is_on_servers)
        .bind(commit_index)
        .execute(connection)
        .await?;
    Ok(())
}

/// Everything down to `oldest` has come, or all there is if no page follows.
async fn finish_fetch(
    connection: &mut SqliteConnection,
    inbox: i64,
    oldest: Option<LogIndex>,
    end: &PageEnd,
) -> Result<(), sqlx::Error> {
    let more = end.older.is_some();
    let from = match oldest {
        Some(oldest) if more => number(oldest.0),
        _ => 0,
    };
    sqlx::query(
        "DELETE FROM messages
         WHERE inbox = ? AND is_on_servers = 1 AND checked = 0 AND commit_index >= ?",
    )
    .bind(inbox)
    .bind(from)
    .execute(&mut *connection)
    .await?;
    // What is beyond the end of the last page may be deleted any time, and no event would reach it.
    sqlx::query("DELETE FROM messages WHERE inbox = ? AND is_on_servers = 1 AND commit_index < ?")
        .bind(inbox)
        .bind(from)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "UPDATE inboxes SET is_complete = 1, more = ?2, older = ?3,
             unread_elsewhere = CASE WHEN ?2 THEN max(0, ?4 - (
                 SELECT count(*) FROM messages WHERE inbox = ?1 AND read = 0)) ELSE 0 END
         WHERE number = ?1",
    )
    .bind(inbox)
    .bind(more)
    .bind(&end.older)
    .bind(number(end.unread))
    .execute(connection)
    .await?;
    Ok(())
}
