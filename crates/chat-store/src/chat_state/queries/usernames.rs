//! Usernames by a pattern, page by page.

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::page_size::one_more;
use crate::chat_state::error::StateError;
use crate::database::BoundQuery;

/// The most names of one page: 256 KB at most, with 64 characters of four bytes.
const PAGE_USERNAMES_MAX: usize = 1000;
/// The most names that are scanned for one page: some milliseconds, and a tenth of a second with
/// the worst pattern of 64 characters.
const NAMES_SCANNED_MAX: i64 = 10_000;

/// Some usernames, in the order of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsernamePage {
    /// The names.
    pub usernames: Vec<String>,
    /// Where the next page continues; `None` on the last page.
    pub next: Option<String>,
}

/// Must run in a transaction, so that both statements see the same names.
pub(crate) async fn usernames(
    connection: &mut SqliteConnection,
    glob: &str,
    limit: usize,
    after: Option<&str>,
) -> Result<UsernamePage, StateError> {
    let limit = limit.min(PAGE_USERNAMES_MAX);
    let bounds = NameBounds {
        // The empty name sorts before all names, and no account has it.
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

/// The names that match, among the first names within the bounds.
const MATCHING_NAMES: &str = "SELECT username FROM ( \
     SELECT username FROM users WHERE username > ?2 AND username >= ?3 AND username < ?4 \
     ORDER BY username LIMIT ?5 \
     ) WHERE username GLOB ?1 LIMIT ?6";

/// The last of the first names within the bounds, if there are as many as may be scanned.
const LAST_SCANNED_NAME: &str = "SELECT username FROM users \
     WHERE username > ?2 AND username >= ?3 AND username < ?4 AND ?1 IS NOT NULL \
     ORDER BY username LIMIT 1 OFFSET ?5 - 1";

/// In SQLite's order, a blob comes after every text.
const AFTER_EVERY_TEXT: &[u8] = &[];

/// The range of names to scan.
struct NameBounds<'q> {
    after: &'q str,
    /// All names in the range begin with this.
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

/// The prefix of all names that match.
fn literal_prefix(glob: &str) -> &str {
    let end = glob.find(['*', '?', '[']).unwrap_or(glob.len());
    &glob[..end]
}

/// The first text, in the order of bytes, that sorts after all texts with this `prefix`; `None` if
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
