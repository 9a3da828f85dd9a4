//! The contents of `state.db`, so that two of them can be compared.

use std::path::{Path, PathBuf};

use futures::executor::block_on;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

/// The file with the current tables of a data directory.
pub(crate) fn database(directory: &Path) -> PathBuf {
    let states = directory.join("state");
    let name = std::fs::read_to_string(states.join("current")).unwrap();
    states.join(name).join("state.db")
}

/// All rows of all tables as text. The file must not be open for writing.
pub(crate) fn dump(directory: &Path) -> String {
    dump_file(&database(directory))
}

/// As [`dump`], of one file.
pub(crate) fn dump_file(database: &Path) -> String {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(database);
        let mut connection = options.connect().await.unwrap();
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
        let mut text = String::new();
        for table in column(&mut connection, tables.to_owned()).await {
            let columns =
                format!("SELECT 'quote(' || name || ')' FROM pragma_table_info('{table}')");
            let row = column(&mut connection, columns).await.join(" || ' ' || ");
            let rows = format!("SELECT {row} FROM {table} ORDER BY 1");
            text += &format!(
                "{table}:\n{}\n",
                column(&mut connection, rows).await.join("\n")
            );
        }
        connection.close().await.unwrap();
        text
    })
}

async fn column(connection: &mut SqliteConnection, sql: String) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(sql))
        .fetch_all(connection)
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}
