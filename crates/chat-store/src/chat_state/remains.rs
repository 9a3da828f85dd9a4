//! Overwrites what deleted rows have left in unused parts of pages.
//!
//! With `secure_delete` SQLite overwrites a row when it is deleted. It does not overwrite the place that a
//! row had before, when it distributes the rows of a page over several: a copy remains in the gap between
//! the pointers to the rows and the rows, and is still there after the row was deleted elsewhere. So
//! the writer looks at all pages once in half a day, a few between two transactions, and replaces those
//! whose gap is not zero. They go through the write-ahead log as every page does. The layout of a page is
//! that of <https://www.sqlite.org/fileformat2.html>, section 1.6.

use std::time::{Duration, Instant};

use sqlx::Row as _;

use super::checkpoints::Checkpoints;
use super::error::StateError;
use crate::database::Database;

/// The least time between two steps, unless a pass must end.
const STEP_INTERVAL: Duration = Duration::from_millis(100);

/// How many pages are looked at in a step for each such interval since the last one: half a millisecond,
/// and 640 KiB a second.
const PAGES_AN_INTERVAL: u32 = 16;

/// How many are looked at in one step at most: a tenth of a second, of a node that had nothing to do.
const PAGES_MAX_AT_ONCE: u32 = 4096;

/// Without a step for so long nothing is applied.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// A pass begins so long after the beginning of the last one.
const PASS_INTERVAL: Duration = Duration::from_secs(12 * 60 * 60);

/// The header of the file, which the first page begins with, in bytes.
const FILE_HEADER: usize = 100;

/// In a file with so many pages a page that is no node of a tree may begin as one. It has 128 GiB.
const PAGES_MAX: i64 = 1 << 25;

/// How far the passes are. By default nothing is known of what earlier runs did.
#[derive(Debug, Default)]
pub(super) struct Remains {
    /// The next page of the pass that has begun; `None` between two passes.
    next: Option<u32>,
    /// When that pass, or the last one, began.
    began: Option<Instant>,
    /// When the last step ended.
    stepped: Option<Instant>,
    /// Whether this build of SQLite has the table of pages; `None` before the first step.
    is_possible: Option<bool>,
}

impl Remains {
    /// Whether nothing was applied for a while.
    pub(super) fn is_idle(&self) -> bool {
        self.stepped
            .is_none_or(|stepped| stepped.elapsed() >= IDLE_AFTER)
    }

    /// Makes the next step if it is due, while no transaction is open. Returns how many pages it has
    /// written.
    pub(super) async fn step_if_due(
        &mut self,
        database: &mut Database,
        checkpoints: &Checkpoints,
    ) -> Result<usize, StateError> {
        let is_early = |since: Option<Instant>, interval| {
            since.is_some_and(|since| since.elapsed() < interval)
        };
        let is_between = self.next.is_none() && is_early(self.began, PASS_INTERVAL);
        if is_between || is_early(self.stepped, STEP_INTERVAL) {
            return Ok(0);
        }
        // Meanwhile the write-ahead log is not shortened.
        if checkpoints.is_snapshot_written() {
            return Ok(0);
        }
        let since = self
            .stepped
            .map_or(STEP_INTERVAL, |stepped| stepped.elapsed());
        let intervals = since.as_millis() / STEP_INTERVAL.as_millis();
        let intervals = u32::try_from(intervals).unwrap_or(u32::MAX);
        let pages = intervals.saturating_mul(PAGES_AN_INTERVAL);
        self.step(database, checkpoints, pages.min(PAGES_MAX_AT_ONCE))
            .await
    }

    /// Ends the pass that has begun, or makes one, unless the last one is less than half a day old: then no
    /// page has what was deleted before that. While no transaction is open. Returns how many pages were
    /// written.
    pub(super) async fn end_pass(
        &mut self,
        database: &mut Database,
        checkpoints: &Checkpoints,
    ) -> Result<usize, StateError> {
        let is_old = |began: Instant| began.elapsed() >= PASS_INTERVAL;
        if self.began.is_none_or(is_old) {
            // One that began too long ago has passed pages that have remains since.
            self.next = None;
        } else if self.next.is_none() {
            return Ok(0);
        }
        let mut written = 0;
        loop {
            written += self.step(database, checkpoints, PAGES_MAX_AT_ONCE).await?;
            if self.next.is_none() {
                return Ok(written);
            }
        }
    }

    async fn is_possible(&mut self, database: &mut Database) -> Result<bool, StateError> {
        if let Some(known) = self.is_possible {
            return Ok(known);
        }
        let is_possible = has_page_table(database).await?;
        if !is_possible {
            tracing::warn!(
                "SQLite was compiled without SQLITE_ENABLE_DBPAGE_VTAB: parts of deleted rows can remain \
                 in unused parts of pages"
            );
        }
        self.is_possible = Some(is_possible);
        Ok(is_possible)
    }

    async fn step(
        &mut self,
        database: &mut Database,
        checkpoints: &Checkpoints,
        pages: u32,
    ) -> Result<usize, StateError> {
        let count = page_count(database).await?;
        let is_possible = count < PAGES_MAX && self.is_possible(database).await?;
        if self.next.is_none() {
            self.began = Some(Instant::now());
        }
        let first = self.next.unwrap_or(1);
        let mut replaced = Vec::new();
        if is_possible {
            for number in first..first.saturating_add(pages) {
                if i64::from(number) > count {
                    break;
                }
                let page = read(database, number).await?;
                replaced.extend(overwritten(page, number).map(|page| (number, page)));
            }
        }
        let written = replaced.len();
        if written > 0 {
            let committing = checkpoints.committing().await;
            replace(database, replaced).await?;
            drop(committing);
        }
        let next = first.saturating_add(pages);
        self.next = (i64::from(next) <= count && is_possible).then_some(next);
        self.stepped = Some(Instant::now());
        Ok(written)
    }
}

/// Whether the library was compiled with the table of pages, which is so in this workspace
/// (`.cargo/config.toml`).
async fn has_page_table(database: &mut Database) -> Result<bool, StateError> {
    let option = "SELECT sqlite_compileoption_used('ENABLE_DBPAGE_VTAB')";
    let row = database.fetch_optional(sqlx::query(option)).await?;
    Ok(row.ok_or(sqlx::Error::RowNotFound)?.try_get(0)?)
}

async fn page_count(database: &mut Database) -> Result<i64, StateError> {
    let row = database
        .fetch_optional(sqlx::query("PRAGMA page_count"))
        .await?;
    Ok(row.ok_or(sqlx::Error::RowNotFound)?.try_get(0)?)
}

async fn read(database: &mut Database, number: u32) -> Result<Vec<u8>, StateError> {
    let query = sqlx::query("SELECT data FROM sqlite_dbpage WHERE pgno = ?").bind(number);
    let row = database.fetch_optional(query).await?;
    Ok(row.ok_or(sqlx::Error::RowNotFound)?.try_get(0)?)
}

async fn replace(database: &mut Database, pages: Vec<(u32, Vec<u8>)>) -> Result<(), StateError> {
    database.execute(sqlx::query("BEGIN IMMEDIATE")).await?;
    for (number, page) in pages {
        let query = sqlx::query("UPDATE sqlite_dbpage SET data = ? WHERE pgno = ?");
        database.execute(query.bind(page).bind(number)).await?;
    }
    database.execute(sqlx::query("COMMIT")).await?;
    Ok(())
}

/// The page with this number with zeros in its gap; `None` if it has them, or is no node of a tree, or its
/// header contradicts itself: reading it as a table finds that.
fn overwritten(mut page: Vec<u8>, number: u32) -> Option<Vec<u8>> {
    let header = if number == 1 { FILE_HEADER } else { 0 };
    let length = match page.get(header)? {
        2 | 5 => 12,
        10 | 13 => 8,
        _ => return None,
    };
    let rows = usize::from(number_at(&page, header + 3)?);
    // Zero means 65,536, in pages that are larger than ours.
    let end = usize::from(number_at(&page, header + 5)?);
    let gap = page.get_mut(header + length + 2 * rows..end)?;
    if gap.iter().all(|byte| *byte == 0) {
        return None;
    }
    gap.fill(0);
    Some(page)
}

fn number_at(page: &[u8], at: usize) -> Option<u16> {
    let bytes = page.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A leaf of a table with one row of three bytes at its end, and `filler` between.
    fn leaf(header: usize, filler: u8) -> Vec<u8> {
        let mut page = vec![filler; 512];
        page[..header].fill(9);
        let fields = [13, 0, 0, 0, 1, 1, 253, 0, 1, 253];
        page[header..header + fields.len()].copy_from_slice(&fields);
        page[509..].copy_from_slice(&[1, 2, 3]);
        page
    }

    #[test]
    fn gap_of_a_node_is_overwritten_and_nothing_else() {
        for (number, header) in [(1, FILE_HEADER), (2, 0)] {
            let page = overwritten(leaf(header, 7), number);
            assert_eq!(page, Some(leaf(header, 0)));
        }
    }

    #[test]
    fn clean_node_and_page_of_another_kind_are_not_written() {
        assert_eq!(overwritten(leaf(0, 0), 2), None);
        let mut overflow = leaf(0, 7);
        overflow[0] = 0;
        assert_eq!(overwritten(overflow, 2), None);
    }

    #[test]
    fn page_whose_header_contradicts_itself_is_not_written() {
        // Its rows begin before the pointers to them end, or behind the page.
        for begins in [[0, 9], [2, 1], [0, 0]] {
            let mut page = leaf(0, 7);
            page[5..7].copy_from_slice(&begins);
            assert_eq!(overwritten(page, 2), None, "{begins:?}");
        }
        assert_eq!(overwritten(vec![13, 0], 2), None);
    }
}
