//! Reads many messages as one value. What costs is each column of each row in the SQLite client, so SQLite
//! joins the rows of a part to one text, and this side takes it apart.
//!
//! Deliberately absent: what is rare or damaged. A part with such a value is read by columns instead
//! (`rows`), which also says what is damaged.

use std::str::FromStr;
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use crate::local_store::rows::{Names, copy_place, direction};
use crate::model::message::{CopyPlace, StoredMessage};
use crate::model::names::{Commit, LogIndex, MessageId, Term};
use crate::model::time::Timestamp;

/// Rows that are joined: with fewer, the statements cost more; with more, the text no longer fits the
/// processor's cache.
pub(super) const ROWS_AT_ONCE: i64 = 1_024;

/// Times are counted in these parts of a second, because SQLite writes an integer exactly, but not a
/// REAL (`format` differs in the last bit of every fifth one).
const TICKS_PER_SECOND: f64 = 4_194_304.0;
/// Every time that a REAL can be is a whole number of ticks from here, a day of 2004, …
const TIME_MIN: f64 = 1_073_741_824.0;
/// … and few enough for an integer up to here, a day 30,000 years later. Others are read by columns.
const TIME_MAX: f64 = 1_099_511_627_776.0;

/// Written instead of NULL.
const NULL: &str = "-";

/// Some rows of the table.
pub(super) struct Part {
    /// The number of the last row.
    pub(super) last: i64,
    /// Whether all rows are in the text.
    is_whole: bool,
    /// Has the rows as one text, one after the other; see [`packed`].
    row: SqliteRow,
}

/// The messages of a box behind a row; `None` if there are none.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    inbox: i64,
    after: i64,
) -> Result<Option<Part>, sqlx::Error> {
    // The plus keeps SQLite from an index, which would sort all rows again for each part.
    let statement = format!(
        "SELECT max(number), count(*) = count(packed), group_concat(packed, '') FROM (
             SELECT rowid AS number, {} AS packed FROM messages
             WHERE +inbox = ? AND rowid > ? ORDER BY rowid LIMIT ?)",
        packed()
    );
    let row = sqlx::query(AssertSqlSafe(statement))
        .bind(inbox)
        .bind(after)
        .bind(ROWS_AT_ONCE)
        .fetch_one(connection)
        .await?;
    let last: Option<i64> = row.try_get(0)?;
    let Some(last) = last else { return Ok(None) };
    Ok(Some(Part {
        last,
        is_whole: row.try_get(1)?,
        row,
    }))
}

/// The expression for one row: fields with a space behind each, the last two of which are the lengths
/// of the texts behind them. NULL if a time does not fit. Each field takes time, so what is yes or no is
/// in one.
fn packed() -> String {
    let ticks = |column: &str| format!("CAST({column} * {TICKS_PER_SECOND:?} AS INTEGER)");
    let fits = |column: &str| format!("{column} BETWEEN {TIME_MIN:?} AND {TIME_MAX:?}");
    format!(
        "CASE WHEN {at_fits} AND (written_at IS NULL OR {written_fits}) THEN concat_ws(' ',
             hex(id), (read <> 0) + 2 * (is_sent <> 0) + 4 * (is_on_servers <> 0),
             commit_index, commit_term,
             ifnull(peer_since, '{NULL}'), {at}, ifnull({written_at}, '{NULL}'),
             iif(reply_to IS NULL, '{NULL}', hex(reply_to)),
             octet_length(peer), octet_length(body), peer, body)
         END",
        at_fits = fits("at"),
        written_fits = fits("written_at"),
        at = ticks("at"),
        written_at = ticks("written_at"),
    )
}

/// The messages of a part; `None` if it has to be read by columns.
pub(super) fn unpack(part: &Part, names: &mut Names) -> Option<Vec<(StoredMessage, CopyPlace)>> {
    if !part.is_whole {
        return None;
    }
    unpack_text(part.text()?, names)
}

/// The messages in the text of a part.
pub(super) fn unpack_text(
    text: &str,
    names: &mut Names,
) -> Option<Vec<(StoredMessage, CopyPlace)>> {
    let mut fields = Fields { rest: text };
    let mut messages = Vec::new();
    while !fields.rest.is_empty() {
        messages.push(message(&mut fields, names)?);
    }
    Some(messages)
}

impl Part {
    /// The rows as text, unless a text among them is none.
    pub(super) fn text(&self) -> Option<&str> {
        self.row.try_get(2).ok()
    }
}

fn message(fields: &mut Fields<'_>, names: &mut Names) -> Option<(StoredMessage, CopyPlace)> {
    let id = Uuid::try_parse(fields.field()?).ok()?;
    let flags: u8 = fields.parse()?;
    let commit = Commit {
        index: LogIndex(fields.parse()?),
        term: Term(fields.parse()?),
    };
    let peer_since = fields.optional(|field| field.parse().ok())?;
    let at = time(fields.field()?)?;
    let written_at = fields.optional(time)?;
    let reply_to = fields.optional(|field| Uuid::try_parse(field).ok())?;
    let (peer, body): (usize, usize) = (fields.parse()?, fields.parse()?);
    let peer = fields.text(peer)?;
    fields.space()?;
    let body = fields.text(body)?;
    let message = StoredMessage {
        id: MessageId(id),
        direction: direction(flags & 2 != 0),
        peer: names.share(peer),
        peer_since: peer_since.map(LogIndex),
        body: Arc::from(body),
        at,
        written_at,
        reply_to: reply_to.map(MessageId),
        read: flags & 1 != 0,
        commit,
    };
    Some((message, copy_place(flags & 4 != 0)))
}

/// A time from its ticks: a power of two divides a float exactly.
fn time(ticks: &str) -> Option<Timestamp> {
    let ticks: f64 = ticks.parse().ok()?;
    Some(Timestamp(ticks / TICKS_PER_SECOND))
}

/// What is left of a part.
struct Fields<'a> {
    rest: &'a str,
}

impl<'a> Fields<'a> {
    /// The text before the next space.
    fn field(&mut self) -> Option<&'a str> {
        let (field, rest) = self.rest.split_once(' ')?;
        self.rest = rest;
        Some(field)
    }

    fn space(&mut self) -> Option<()> {
        self.rest = self.rest.strip_prefix(' ')?;
        Some(())
    }

    fn parse<T: FromStr>(&mut self) -> Option<T> {
        self.field()?.parse().ok()
    }

    /// A field that may be NULL.
    fn optional<T>(&mut self, read: impl FnOnce(&'a str) -> Option<T>) -> Option<Option<T>> {
        match self.field()? {
            NULL => Some(None),
            field => read(field).map(Some),
        }
    }

    /// A text of this many bytes.
    fn text(&mut self, length: usize) -> Option<&'a str> {
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(text)
    }
}
