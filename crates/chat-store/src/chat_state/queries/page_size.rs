//! How many rows a query reads for one page.

/// One row more than the page contains: it shows whether there is a next page.
pub(super) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit)
        .expect("limits are small")
        .saturating_add(1)
}
