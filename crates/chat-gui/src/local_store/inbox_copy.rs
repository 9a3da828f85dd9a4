//! The copy of a box: received messages, copies of sent ones, and the cursor of the watch up to which
//! the copy has followed it. `docs/window-store.md` has the rules; changes that a person has requested and the
//! servers do not have yet are in `pending_changes`.

use std::collections::HashSet;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection, Row};
use uuid::Uuid;

use crate::local_store::rows::{self, flag};
use crate::local_store::{AccountKey, LocalStore, SENT_MAX, StoreError, number};
use crate::model::event::StoredInbox;
use crate::model::message::{CopyPlace, Direction, StoredMessage};
use crate::model::names::{LogIndex, MessageId};

/// Messages that the copy may have above its limit before the oldest go: finding them takes
/// longer than to add a few.
const SURPLUS_MAX: usize = 256;

/// Rows that are read at once.
const ROWS_AT_ONCE: i64 = 4_096;

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
        let statement = format!(
            "SELECT {}, rowid FROM messages WHERE inbox = ? AND rowid > ? ORDER BY rowid LIMIT ?",
            rows::MESSAGE_COLUMNS
        );
        let mut names = rows::Names::default();
        let (mut in_box, mut sent) = (Vec::new(), Vec::new());
        let mut last = 0_i64;
        loop {
            let rows = sqlx::query(AssertSqlSafe(statement.as_str()))
                .bind(inbox)
                .bind(last)
                .bind(ROWS_AT_ONCE)
                .fetch_all(&mut self.connection)
                .await?;
            for row in &rows {
                let (message, copy) = rows::stored_message(row, &mut names)?;
                match copy {
                    CopyPlace::Servers => in_box.push(message),
                    CopyPlace::Device => sent.push(message),
                }
                last = row.try_get(12)?;
            }
            if rows.is_empty() {
                break;
            }
        }
        for messages in [&mut in_box, &mut sent] {
            messages.sort_unstable_by_key(|message| message.commit.index);
        }
        Ok((in_box, sent))
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

/// Changes that were requested and that the servers do not have yet.
pub(super) struct Pending {
    pub(super) read: HashSet<Uuid>,
    pub(super) deleted: HashSet<Uuid>,
}

impl Pending {
    pub(super) async fn load(
        connection: &mut SqliteConnection,
        inbox: i64,
    ) -> Result<Self, sqlx::Error> {
        let rows = sqlx::query("SELECT id, deletes FROM pending_changes WHERE inbox = ?")
            .bind(inbox)
            .fetch_all(connection)
            .await?;
        let mut pending = Self {
            read: HashSet::new(),
            deleted: HashSet::new(),
        };
        for row in &rows {
            let ids = if flag(row, 1)? {
                &mut pending.deleted
            } else {
                &mut pending.read
            };
            ids.insert(rows::uuid(row, 0)?);
        }
        Ok(pending)
    }

    /// A message as the person is to see it; `None` if its deletion was requested.
    fn apply(&self, mut message: StoredMessage) -> Option<StoredMessage> {
        message.read |= self.read.contains(&message.id.0);
        (!self.deleted.contains(&message.id.0)).then_some(message)
    }
}

/// The number of an account's inbox in the tables.
pub(super) async fn inbox_number(
    connection: &mut SqliteConnection,
    account: &AccountKey,
) -> Result<i64, sqlx::Error> {
    sqlx::query("INSERT OR IGNORE INTO inboxes (account) VALUES (?)")
        .bind(account.text())
        .execute(&mut *connection)
        .await?;
    let row: SqliteRow = sqlx::query("SELECT number FROM inboxes WHERE account = ?")
        .bind(account.text())
        .fetch_one(connection)
        .await?;
    row.try_get(0)
}

/// Takes over a message that the servers have in the box; nothing of it is kept without `pending`.
async fn take(
    connection: &mut SqliteConnection,
    inbox: i64,
    message: &StoredMessage,
    pending: Option<&Pending>,
) -> Result<(), sqlx::Error> {
    if message.direction == Direction::Sent {
        leave_outbox(connection, inbox, message.id).await?;
    }
    match pending {
        Some(pending) => insert(connection, inbox, message, pending).await,
        None => delete(connection, inbox, &[message.id]).await,
    }
}

/// Adds a message, or confirms one that is there. What was read stays read.
async fn insert(
    connection: &mut SqliteConnection,
    inbox: i64,
    message: &StoredMessage,
    pending: &Pending,
) -> Result<(), sqlx::Error> {
    if pending.deleted.contains(&message.id.0) {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO messages
             (inbox, id, is_sent, peer, peer_since, body, at, written_at, reply_to, read,
              commit_index, commit_term, checked, is_on_servers)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 1)
         ON CONFLICT (inbox, id) DO UPDATE
         SET read = max(read, excluded.read), peer_since = excluded.peer_since, checked = 1,
             is_on_servers = 1
         WHERE is_sent = excluded.is_sent",
    )
    .bind(inbox)
    .bind(&message.id.0.as_bytes()[..])
    .bind(message.direction == Direction::Sent)
    .bind(message.peer.as_str())
    .bind(message.peer_since.map(|since| number(since.0)))
    .bind(&*message.body)
    .bind(message.at.0)
    .bind(message.written_at.map(|written| written.0))
    .bind(message.reply_to.map(|id| id.0.as_bytes().to_vec()))
    .bind(message.read || pending.read.contains(&message.id.0))
    .bind(number(message.commit.index.0))
    .bind(number(message.commit.term.0))
    .execute(connection)
    .await?;
    Ok(())
}

/// Marks messages as read; those that are not in the copy count as unread elsewhere no longer.
pub(super) async fn mark_read(
    connection: &mut SqliteConnection,
    inbox: i64,
    ids: &[MessageId],
) -> Result<(), sqlx::Error> {
    let mut elsewhere = 0_i64;
    for id in ids {
        let done = sqlx::query("UPDATE messages SET read = 1 WHERE inbox = ? AND id = ?")
            .bind(inbox)
            .bind(&id.0.as_bytes()[..])
            .execute(&mut *connection)
            .await?;
        elsewhere += i64::from(done.rows_affected() == 0);
    }
    if elsewhere > 0 {
        sqlx::query(
            "UPDATE inboxes SET unread_elsewhere = max(0, unread_elsewhere - ?) WHERE number = ?",
        )
        .bind(elsewhere)
        .bind(inbox)
        .execute(connection)
        .await?;
    }
    Ok(())
}

pub(super) async fn delete(
    connection: &mut SqliteConnection,
    inbox: i64,
    ids: &[MessageId],
) -> Result<(), sqlx::Error> {
    for id in ids {
        sqlx::query("DELETE FROM messages WHERE inbox = ? AND id = ?")
            .bind(inbox)
            .bind(&id.0.as_bytes()[..])
            .execute(&mut *connection)
            .await?;
        leave_outbox(connection, inbox, *id).await?;
    }
    Ok(())
}

/// The servers had a message: it is no longer on its way.
async fn leave_outbox(
    connection: &mut SqliteConnection,
    inbox: i64,
    id: MessageId,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM outbox WHERE id = ? AND account = (
             SELECT account FROM inboxes WHERE number = ?)",
    )
    .bind(&id.0.as_bytes()[..])
    .bind(inbox)
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
