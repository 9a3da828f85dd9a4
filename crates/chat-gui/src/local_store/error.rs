//! Why the local store cannot be used, or did not store something.

use std::io;
use std::path::PathBuf;

use crate::local_store::schema::FORMAT;

/// Why this device did not store something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder could not be made or protected.
    #[error("cannot use the folder {path}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another window uses the folder.
    #[error("another window uses {path}; `--profile NAME` opens one beside it")]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// A newer program wrote the file, or an altogether different one.
    #[error("{path} has format {found}, but this app supports only format {FORMAT}")]
    UnknownFormat {
        /// Which.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// The file was changed by something else than this program.
    #[error("the value `{column}` of row {row} of the messages on this device is damaged")]
    DamagedMessage {
        /// The number of the row.
        row: i64,
        /// Which value.
        column: String,
        /// In what way.
        source: sqlx::Error,
    },
    /// SQLite could not do it.
    #[error("the database of this device cannot be used")]
    Database(#[from] sqlx::Error),
}
