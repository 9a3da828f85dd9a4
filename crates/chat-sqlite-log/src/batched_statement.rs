//! Statements for many rows at once, of which only a few sizes are ever prepared.
//!
//! Every statement costs a round trip to SQLite's thread, and every new statement text a
//! compilation. So a statement exists for 1, 2, 4, … rows. If there are fewer rows, its last
//! parameters stay unbound: SQLite reads them as NULL, and the statement's condition skips them.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// The most rows of one statement: few enough for SQLite's limit of 32,766 parameters, and so many
/// that the round trip no longer matters (measured: docs/storage.md).
pub const ROWS_MAX: usize = 512;

/// `(?,?,…)`, with `count` parameters.
pub fn parameters(count: usize) -> String {
    format!("({})", vec!["?"; count].join(","))
}

/// One statement in all its sizes.
#[derive(Debug)]
pub struct BatchedStatement {
    /// For 1, 2, 4, … [`ROWS_MAX`] rows.
    sizes: Vec<SqlStr>,
}

impl BatchedStatement {
    /// `sql` returns the statement for a number of rows. Its last parameters are those of the rows.
    pub fn new(sql: impl Fn(usize) -> String) -> Self {
        let sizes = (0..=ROWS_MAX.ilog2())
            .map(|power| AssertSqlSafe(Arc::<str>::from(sql(1 << power))).into_sql_str())
            .collect();
        Self { sizes }
    }

    /// `INSERT INTO {target} … {on_conflict}`, where `target` names `columns` columns whose first
    /// is never NULL.
    pub fn insert(target: &str, columns: usize, on_conflict: &str) -> Self {
        let row = parameters(columns);
        Self::new(|count| {
            let rows = vec![row.as_str(); count].join(",");
            if count == 1 {
                format!("INSERT INTO {target} VALUES {rows} {on_conflict}")
            } else {
                format!(
                    "INSERT INTO {target} SELECT * FROM (VALUES {rows}) \
                     WHERE column1 IS NOT NULL {on_conflict}"
                )
            }
        })
    }

    /// The statement for `count` rows.
    ///
    /// # Panics
    ///
    /// Unless `count` is at least 1 and at most [`ROWS_MAX`].
    pub fn for_count(&self, count: usize) -> SqlStr {
        assert!(0 < count);
        assert!(count <= ROWS_MAX);
        self.sizes[count.next_power_of_two().ilog2() as usize].clone()
    }
}
