//! Pages of an account's messages, and how many messages its inbox contains.

use std::pin::pin;

use chat_consensus::{LogIndex, Position, Term};
use futures::TryStreamExt;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::page_size::one_more;
use super::sessions::Session;
use crate::chat_state::error::StateError;
use crate::chat_state::inbox_counts::{InboxCounts, UNREAD};
use crate::chat_state::message::{Direction, Message};

/// The most messages of one page.
const PAGE_MESSAGES_MAX: usize = 500;
/// A page ends when its text reaches this many bytes, so that the reply stays well below the limit
/// of a gRPC message.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// Which messages of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DirectionFilter {
    /// Those that it has received.
    #[default]
    Received,
    /// Its copies of those that it has sent.
    Sent,
    /// Both.
    All,
}

/// Which messages of an account to return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboxQuery {
    /// The most messages to return; never more than 500.
    pub limit: usize,
    /// Continues after this commit, in the order of the page: [`MessagePage::next`] of the last
    /// page.
    pub after: Option<LogIndex>,
    /// Received ones, copies of sent ones, or both.
    pub directions: DirectionFilter,
    /// Leaves out messages that were read, and copies.
    pub unread_only: bool,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
}

/// Some messages of an account, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MessagePage {
    /// As many as the limit, or 1 MiB of text, or all that are left.
    pub messages: Vec<Message>,
    /// Where the next page continues; `None` on the last page.
    pub next: Option<LogIndex>,
}

/// Messages sent before the account existed were sent to an earlier account of that name, so pages
/// begin or end at the commit that created it.
pub(crate) async fn inbox(
    connection: &mut SqliteConnection,
    owner: &Session,
    inbox: InboxQuery,
) -> Result<MessagePage, StateError> {
    let limit = inbox.limit.min(PAGE_MESSAGES_MAX);
    let floor = owner.credential.incarnation;
    let end = LogIndex(i64::MAX.cast_unsigned());
    let (above, below) = match inbox.after {
        Some(after) if inbox.oldest_first => (after.max(floor), end),
        Some(after) => (floor, after),
        None => (floor, end),
    };
    let Some(sql) = inbox_sql(inbox) else {
        return Ok(MessagePage::default());
    };
    let query = sqlx::query(sql)
        .bind(&owner.username)
        .bind(above.0.cast_signed())
        .bind(below.0.cast_signed())
        .bind(one_more(limit));
    let mut page = MessagePage::default();
    let mut bytes = 0;
    let mut rows = pin!(query.fetch(&mut *connection));
    while let Some(row) = rows.try_next().await? {
        if page.messages.len() == limit || bytes >= PAGE_BYTES_MAX {
            page.next = page.messages.last().map(|message| message.commit.index);
            break;
        }
        let message = message(&row)?;
        bytes += message.size();
        page.messages.push(message);
    }
    Ok(page)
}

/// The read and the unread messages are two ranges of the index, each in log order; the copies are one of
/// theirs. SQLite merges them while it reads. `None` if there can be no such messages.
pub(crate) fn inbox_sql(inbox: InboxQuery) -> Option<&'static str> {
    macro_rules! range {
        ($read:literal) => {
            concat!(
                "SELECT id, sender, sender_since, recipient, body, timestamp, read, commit_index, ",
                "commit_term, reply_to, written_at, NULL FROM messages ",
                "WHERE recipient = ?1 AND deleted = 0 AND read = ",
                $read,
                " AND commit_index > ?2 AND commit_index < ?3 "
            )
        };
    }
    macro_rules! copies {
        () => {
            concat!(
                "SELECT id, sender, sender_since, recipient, copies.body, timestamp, 1, ",
                "copies.commit_index AS commit_index, commit_term, copies.reply_to, ",
                "copies.written_at, recipient_since FROM copies ",
                "CROSS JOIN messages ON messages.commit_index = copies.commit_index ",
                "WHERE owner = ?1 AND copies.commit_index > ?2 AND copies.commit_index < ?3 "
            )
        };
    }
    macro_rules! received {
        () => {
            concat!(range!("0"), "UNION ALL ", range!("1"))
        };
    }
    macro_rules! all {
        () => {
            concat!(received!(), "UNION ALL ", copies!())
        };
    }
    macro_rules! ordered {
        ($select:expr) => {
            if inbox.oldest_first {
                concat!($select, "ORDER BY commit_index LIMIT ?4")
            } else {
                concat!($select, "ORDER BY commit_index DESC LIMIT ?4")
            }
        };
    }
    Some(match (inbox.directions, inbox.unread_only) {
        (DirectionFilter::Received | DirectionFilter::All, true) => ordered!(range!("0")),
        (DirectionFilter::Received, false) => ordered!(received!()),
        (DirectionFilter::All, false) => ordered!(all!()),
        (DirectionFilter::Sent, false) => ordered!(copies!()),
        (DirectionFilter::Sent, true) => return None,
    })
}

fn message(row: &SqliteRow) -> Result<Message, StateError> {
    Ok(Message {
        id: row.try_get(0)?,
        sender: row.try_get(1)?,
        sender_since: LogIndex(row.try_get::<i64, _>(2)?.cast_unsigned()),
        recipient: row.try_get(3)?,
        body: row.try_get(4)?,
        timestamp: row.try_get(5)?,
        read: row.try_get::<i64, _>(6)? != 0,
        commit: Position {
            index: LogIndex(row.try_get::<i64, _>(7)?.cast_unsigned()),
            term: Term(row.try_get::<i64, _>(8)?.cast_unsigned()),
        },
        reply_to: row.try_get(9)?,
        written_at: row.try_get(10)?,
        direction: match row.try_get::<Option<i64>, _>(11)? {
            None => Direction::Received,
            Some(recipient_since) => Direction::Sent {
                recipient_since: LogIndex(recipient_since.cast_unsigned()),
            },
        },
    })
}

impl Message {
    /// About how many bytes it adds to a reply.
    fn size(&self) -> usize {
        /// Field names, numbers and punctuation.
        const REST: usize = 160;
        REST + self.id.len() + self.sender.len() + self.recipient.len() + self.body.len()
    }
}

pub(crate) async fn unread_count(
    connection: &mut SqliteConnection,
    owner: &Session,
) -> Result<u64, StateError> {
    let row = sqlx::query(UNREAD)
        .bind(owner.credential.incarnation.0.cast_signed())
        .fetch_optional(&mut *connection)
        .await?;
    // A deleted account has none.
    row.map_or(Ok(0), |row| Ok(row.try_get::<i64, _>(0)?.cast_unsigned()))
}

pub(crate) async fn inbox_counts(
    connection: &mut SqliteConnection,
    username: &str,
) -> Result<Option<InboxCounts>, StateError> {
    let row = sqlx::query(INBOX_COUNTS)
        .bind(username)
        .fetch_optional(&mut *connection)
        .await?;
    row.map(|row| {
        Ok(InboxCounts {
            messages: row.try_get::<i64, _>(0)?.cast_unsigned(),
            unread: row.try_get::<i64, _>(1)?.cast_unsigned(),
        })
    })
    .transpose()
}

pub(crate) const INBOX_COUNTS: &str = "SELECT messages, unread \
     FROM users CROSS JOIN inboxes ON account = incarnation WHERE username = ?";

/// How many copies of sent messages the account with this name has.
pub(crate) async fn copy_count(
    connection: &mut SqliteConnection,
    username: &str,
) -> Result<u64, StateError> {
    let row = sqlx::query(COPY_COUNT)
        .bind(username)
        .fetch_optional(&mut *connection)
        .await?;
    row.map_or(Ok(0), |row| {
        u64::try_from(row.try_get::<i64, _>(0)?).map_err(|_negative| StateError::Damaged {
            table: "copy_counts",
        })
    })
}

pub(crate) const COPY_COUNT: &str = "SELECT copies \
     FROM users CROSS JOIN copy_counts ON account = incarnation WHERE username = ?";
