//! What can be asked of the tables, and the answers. One connection, one snapshot: see `reader`.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;

use chat_consensus::{LogIndex, Position, Term};
use futures::TryStreamExt;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::StateError;
use super::inbox_counts::{InboxCounts, UNREAD};
use super::sessions::renewal_due;
use crate::database::BoundQuery;

/// The most messages of one page.
const PAGE_MESSAGES_MAX: usize = 500;
/// A page that has reached this many bytes of text ends, so that its reply stays well below what a
/// gRPC message may carry.
const PAGE_BYTES_MAX: usize = 1 << 20;
/// The most names of one page: 256 KB at most, with 64 characters of four bytes.
const PAGE_USERNAMES_MAX: usize = 1000;
/// The most names that are looked at for one page: some milliseconds, and a tenth of a second with the
/// worst pattern of 64 characters.
const NAMES_SCANNED_MAX: i64 = 10_000;

/// What an account is at one moment. A session or a command that was checked against another one is
/// void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The index of the commit that created the account.
    pub incarnation: LogIndex,
    /// The index of the commit that set its password.
    pub version: LogIndex,
}

/// An account.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub username: String,
    /// The password's salted hash, a PHC string. Kept out of `Debug`.
    pub password_hash: String,
    /// What it is now.
    pub credential: Credential,
    /// The id of the request that created it: whoever repeats it may prove the password again.
    pub created_by_request: [u8; 16],
    /// The id of the request that last changed its password, if one did: the same holds for it.
    pub password_request: Option<[u8; 16]>,
}

/// A session of an account that still is what it was when the session began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose it is.
    pub username: String,
    /// What that account is.
    pub credential: Credential,
    /// From this second since 1970 on, by whatever clock, the session may be about to end: a use
    /// that leaves no trace in the log, such as reading, first has to be told to the log.
    pub renew_from: i64,
    /// How long it lasts without being used, in seconds.
    pub idle_seconds: i64,
}

/// A message in its recipient's inbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The UUID that its sender's client made.
    pub id: String,
    /// Who sent it.
    pub sender: String,
    /// The commit that created the sender's account, which tells it from another account that had
    /// or has the same name.
    pub sender_since: LogIndex,
    /// Whose it is.
    pub recipient: String,
    /// What it says.
    pub body: String,
    /// Seconds since 1970; grows with the commit.
    pub timestamp: f64,
    /// Whether its recipient has read it.
    pub read: bool,
    /// Its place in the log, which orders all messages.
    pub commit: Position,
}

/// Which messages of an inbox are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboxQuery {
    /// The most messages to give; more than 500 are never given at once.
    pub limit: usize,
    /// Goes on behind this commit, in the order of the page: [`MessagePage::next`] of the last one.
    pub after: Option<LogIndex>,
    /// Leaves out what was read.
    pub unread_only: bool,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
}

/// A message as its sender describes it.
#[derive(Clone, Copy, Debug)]
pub struct StoredMessage<'a> {
    /// The UUID that its sender's client made.
    pub id: &'a str,
    /// Who sent it.
    pub sender: &'a str,
    /// The commit that created the sender's account.
    pub sender_since: LogIndex,
    /// Whose it is.
    pub recipient: &'a str,
    /// What it says.
    pub body: &'a str,
}

/// Some messages of an inbox, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MessagePage {
    /// As many as were asked for, or 1 MiB of text, or all that are left.
    pub messages: Vec<Message>,
    /// Where the next page goes on; `None` on the last one.
    pub next: Option<LogIndex>,
}

/// Some usernames, in the order of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsernamePage {
    /// The names.
    pub usernames: Vec<String>,
    /// Where the next page goes on; `None` on the last one.
    pub next: Option<String>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("username", &self.username)
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

impl Message {
    /// About what it adds to a reply, in bytes.
    fn size(&self) -> usize {
        /// Field names, numbers and punctuation.
        const REST: usize = 160;
        REST + self.id.len() + self.sender.len() + self.recipient.len() + self.body.len()
    }
}

pub(super) async fn applied_index(
    connection: &mut SqliteConnection,
) -> Result<LogIndex, StateError> {
    let row = sqlx::query("SELECT applied_index FROM progress")
        .fetch_one(&mut *connection)
        .await?;
    Ok(LogIndex(row.try_get::<i64, _>(0)?.cast_unsigned()))
}

pub(super) async fn account(
    connection: &mut SqliteConnection,
    username: &str,
) -> Result<Option<Account>, StateError> {
    let query = sqlx::query(
        "SELECT username, password, created_by_request, incarnation, credential_version, \
         password_request FROM users WHERE username = ?",
    );
    let Some(row) = query
        .bind(username)
        .fetch_optional(&mut *connection)
        .await?
    else {
        return Ok(None);
    };
    let password_request: Option<&[u8]> = row.try_get(5)?;
    Ok(Some(Account {
        username: row.try_get(0)?,
        password_hash: row.try_get(1)?,
        credential: credential_at(&row, 3)?,
        created_by_request: request_id(row.try_get(2)?)?,
        password_request: password_request.map(request_id).transpose()?,
    }))
}

/// When this very message was stored, and by which commit; `None` if it was not, or another one was
/// under its id. `sender_since` is the commit that created the sender's account.
pub(super) async fn stored_message(
    connection: &mut SqliteConnection,
    message: StoredMessage<'_>,
) -> Result<Option<(f64, Position)>, StateError> {
    let query = sqlx::query(
        "SELECT timestamp, commit_index, commit_term FROM messages WHERE id = ? AND sender = ? \
         AND recipient = ? AND (deleted > 0 OR body = ?) AND commit_index > ?",
    )
    .bind(message.id)
    .bind(message.sender)
    .bind(message.recipient)
    .bind(message.body)
    .bind(message.sender_since.0.cast_signed());
    let Some(row) = query.fetch_optional(&mut *connection).await? else {
        return Ok(None);
    };
    let commit = Position {
        index: LogIndex(row.try_get::<i64, _>(1)?.cast_unsigned()),
        term: Term(row.try_get::<i64, _>(2)?.cast_unsigned()),
    };
    Ok(Some((row.try_get(0)?, commit)))
}

/// What stands before the salt in most of the first `accounts_max` stored hashes; `None` if there is
/// none.
pub(super) async fn common_argon2_params(
    connection: &mut SqliteConnection,
    accounts_max: usize,
) -> Result<Option<String>, StateError> {
    let accounts_max = i64::try_from(accounts_max).unwrap_or(i64::MAX);
    let query = sqlx::query("SELECT password FROM users LIMIT ?").bind(accounts_max);
    let mut prices: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows = pin!(query.fetch(&mut *connection));
    while let Some(row) = rows.try_next().await? {
        let password: &str = row.try_get(0)?;
        // "$argon2id$v=19$m=19456,t=2,p=1$salt$hash"
        let Some((salt, _)) = password.match_indices('$').nth(3) else {
            continue;
        };
        let price = &password[..salt];
        match prices.get_mut(price) {
            Some(count) => *count += 1,
            None => {
                prices.insert(price.to_owned(), 1);
            }
        }
    }
    let common = prices.into_iter().max_by_key(|(_, count)| *count);
    Ok(common.map(|(price, _)| price))
}

fn request_id(bytes: &[u8]) -> Result<[u8; 16], StateError> {
    bytes
        .try_into()
        .map_err(|_wrong_length| StateError::Damaged { table: "users" })
}

/// By the log's own time, as applying would decide.
pub(super) async fn session(
    connection: &mut SqliteConnection,
    token_hash: &[u8; 32],
) -> Result<Option<Session>, StateError> {
    Ok(find_session(connection, token_hash).await?.0)
}

/// The session, and the last entry that is visible, in one snapshot.
pub(super) async fn find_session(
    connection: &mut SqliteConnection,
    token_hash: &[u8; 32],
) -> Result<(Option<Session>, LogIndex), StateError> {
    let row = sqlx::query(FIND_SESSION)
        .bind(token_hash.as_slice())
        .fetch_one(&mut *connection)
        .await?;
    let applied = LogIndex(row.try_get::<i64, _>(6)?.cast_unsigned());
    let found: Option<&str> = row.try_get(0)?;
    let session = found.is_some().then(|| session_at(&row)).transpose()?;
    Ok((session, applied))
}

/// One row, also when there is no such session.
const FIND_SESSION: &str = "SELECT users.username, users.incarnation, users.credential_version, \
     last_used, idle_seconds, expires, applied_index FROM progress \
     LEFT JOIN sessions ON token_hash = ? AND ended_by IS NULL \
     AND expires > CAST(last_timestamp AS INTEGER) \
     LEFT JOIN users USING (username, incarnation, credential_version)";

fn session_at(row: &SqliteRow) -> Result<Session, StateError> {
    let due = renewal_due(row.try_get(3)?, row.try_get(4)?);
    Ok(Session {
        username: row.try_get(0)?,
        credential: credential_at(row, 1)?,
        renew_from: due.min(row.try_get(5)?),
        idle_seconds: row.try_get(4)?,
    })
}

pub(super) async fn session_ended_by(
    connection: &mut SqliteConnection,
    token_hash: &[u8; 32],
    request: &[u8; 16],
) -> Result<Option<Session>, StateError> {
    let query = sqlx::query(
        "SELECT username, incarnation, credential_version FROM sessions \
         WHERE token_hash = ? AND ended_by = ?",
    );
    let row = query
        .bind(token_hash.as_slice())
        .bind(request.as_slice())
        .fetch_optional(&mut *connection)
        .await?;
    row.map(|row| {
        Ok(Session {
            username: row.try_get(0)?,
            credential: credential_at(&row, 1)?,
            renew_from: 0,
            idle_seconds: 0,
        })
    })
    .transpose()
}

pub(super) async fn unread_count(
    connection: &mut SqliteConnection,
    owner: &Session,
) -> Result<u64, StateError> {
    let row = sqlx::query(UNREAD)
        .bind(owner.credential.incarnation.0.cast_signed())
        .fetch_optional(&mut *connection)
        .await?;
    // An account that is gone has none.
    row.map_or(Ok(0), |row| Ok(row.try_get::<i64, _>(0)?.cast_unsigned()))
}

pub(super) async fn inbox_counts(
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

pub(super) const INBOX_COUNTS: &str = "SELECT messages, unread \
     FROM users CROSS JOIN inboxes ON account = incarnation WHERE username = ?";

/// Needs a transaction, in which both statements see the same names.
pub(super) async fn usernames(
    connection: &mut SqliteConnection,
    glob: &str,
    limit: usize,
    after: Option<&str>,
) -> Result<UsernamePage, StateError> {
    let limit = limit.min(PAGE_USERNAMES_MAX);
    let bounds = NameBounds {
        // The empty name is before every other one, and nobody's.
        after: after.unwrap_or(""),
        prefix: literal_prefix(glob),
    };
    let mut page = UsernamePage::default();
    let query = bounds.bind(sqlx::query(MATCHING_NAMES).bind(glob));
    for row in query
        .bind(one_more(limit))
        .fetch_all(&mut *connection)
        .await?
    {
        if page.usernames.len() == limit {
            page.next = page.usernames.last().cloned();
            return Ok(page);
        }
        page.usernames.push(row.try_get(0)?);
    }
    let query = bounds.bind(sqlx::query(LAST_SCANNED_NAME).bind(glob));
    if let Some(row) = query.fetch_optional(&mut *connection).await? {
        page.next = Some(row.try_get(0)?);
    }
    Ok(page)
}

/// Those of the first names within the bounds that match.
const MATCHING_NAMES: &str = "SELECT username FROM ( \
     SELECT username FROM users WHERE username > ?2 AND username >= ?3 AND username < ?4 \
     ORDER BY username LIMIT ?5 \
     ) WHERE username GLOB ?1 LIMIT ?6";

/// The last of the first names within the bounds, if there are as many as may be looked at.
const LAST_SCANNED_NAME: &str = "SELECT username FROM users \
     WHERE username > ?2 AND username >= ?3 AND username < ?4 AND ?1 IS NOT NULL \
     ORDER BY username LIMIT 1 OFFSET ?5 - 1";

/// In SQLite's order, a blob comes after every text.
const AFTER_EVERY_TEXT: &[u8] = &[];

/// Where names are looked for.
struct NameBounds<'q> {
    after: &'q str,
    /// What each of them begins with.
    prefix: &'q str,
}

impl<'q> NameBounds<'q> {
    fn bind(&self, query: BoundQuery<'q>) -> BoundQuery<'q> {
        let query = query.bind(self.after).bind(self.prefix);
        let query = match end_of_prefix(self.prefix) {
            Some(end) => query.bind(end),
            None => query.bind(AFTER_EVERY_TEXT),
        };
        query.bind(NAMES_SCANNED_MAX)
    }
}

/// What every name that matches begins with.
fn literal_prefix(glob: &str) -> &str {
    let end = glob.find(['*', '?', '[']).unwrap_or(glob.len());
    &glob[..end]
}

/// The first text, in the order of bytes, that is behind all which begin with `prefix`; `None` if
/// there is none.
fn end_of_prefix(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        let mut next = (last..=char::MAX).skip(1);
        if let Some(next) = next.next() {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// What was sent before the account existed was sent to an earlier one of that name: pages begin, or
/// end, there.
pub(super) async fn inbox(
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
    let query = sqlx::query(inbox_sql(inbox))
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

/// The read and the unread messages are two stretches of the index, each in the order of the log,
/// which SQLite merges as it reads.
pub(super) fn inbox_sql(inbox: InboxQuery) -> &'static str {
    macro_rules! stretch {
        ($read:literal) => {
            concat!(
                "SELECT id, sender, sender_since, recipient, body, timestamp, read, commit_index, ",
                "commit_term FROM messages WHERE recipient = ?1 AND deleted = 0 AND read = ",
                $read,
                " AND commit_index > ?2 AND commit_index < ?3 "
            )
        };
    }
    macro_rules! both {
        () => {
            concat!(stretch!("0"), "UNION ALL ", stretch!("1"))
        };
    }
    match (inbox.unread_only, inbox.oldest_first) {
        (true, true) => concat!(stretch!("0"), "ORDER BY commit_index LIMIT ?4"),
        (true, false) => concat!(stretch!("0"), "ORDER BY commit_index DESC LIMIT ?4"),
        (false, true) => concat!(both!(), "ORDER BY commit_index LIMIT ?4"),
        (false, false) => concat!(both!(), "ORDER BY commit_index DESC LIMIT ?4"),
    }
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
    })
}

pub(super) fn credential_at(row: &SqliteRow, column: usize) -> Result<Credential, StateError> {
    Ok(Credential {
        incarnation: LogIndex(row.try_get::<i64, _>(column)?.cast_unsigned()),
        version: LogIndex(row.try_get::<i64, _>(column + 1)?.cast_unsigned()),
    })
}

/// Whether there is a next page shows in one row more than the page holds.
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit)
        .expect("limits are small")
        .saturating_add(1)
}
