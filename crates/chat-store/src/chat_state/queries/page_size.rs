//! How many rows a query reads for one page.

/// Whether there is a next page shows in one row more than the page holds.
pub(super) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit)
        .expect("limits are small")
        .saturating_add(1)
}
