//! Statements about many rows at once, of which only a few shapes are ever prepared.
//!
//! Every statement costs a round trip to SQLite's thread, and every new text of one a compilation.
//! So a statement exists for 1, 2, 4, … rows; one that is not filled leaves its last places unbound,
//! which SQLite reads as NULL and the statement's condition skips.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// The most rows of one statement: few enough for SQLite's 32,766 values, and so many that the
/// round trip no longer matters (measured: docs/storage.md).
pub(crate) const ROWS_MAX: usize = 512;

/// One statement in its shapes.
#[derive(Debug)]
pub(crate) struct BatchedStatement {
    /// For 1, 2, 4, … [`ROWS_MAX`] rows.
    shapes: Vec<SqlStr>,
}

impl BatchedStatement {
    /// The statement that `sql` writes for a number of rows. Its last places are the rows'.
    pub(crate) fn new(sql: impl Fn(usize) -> String) -> Self {
        let shapes = (0..=ROWS_MAX.ilog2())
            .map(|power| AssertSqlSafe(Arc::<str>::from(sql(1 << power))).into_sql_str())
            .collect();
        Self { shapes }
    }

    /// `INSERT INTO {target} … {on_conflict}`, where `target` names `columns` columns whose first
    /// is never NULL.
    pub(crate) fn insert(target: &str, columns: usize, on_conflict: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
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

    /// The statement for `count` rows, at least 1 and at most [`ROWS_MAX`].
    pub(crate) fn for_count(&self, count: usize) -> SqlStr {
        assert!(0 < count);
        assert!(count <= ROWS_MAX);
        self.shapes[count.next_power_of_two().ilog2() as usize].clone()
    }
}
