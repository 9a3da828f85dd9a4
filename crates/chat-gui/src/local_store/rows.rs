//! Converts rows of the local store into the types of the model.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use sqlx::{Column, Row};
use uuid::Uuid;

use crate::local_store::{StoreError, refusal};
use crate::model::message::{CopyPlace, Direction, OutboxMessage, StoredMessage};
use crate::model::names::{Commit, LogIndex, MessageId, Name, RequestId, Term};
use crate::model::time::Timestamp;

pub(super) fn name(row: &SqliteRow, column: usize) -> Result<Name, sqlx::Error> {
    Ok(Name::new(row.try_get::<&str, _>(column)?))
}

pub(super) fn text(row: &SqliteRow, column: usize) -> Result<Arc<str>, sqlx::Error> {
    Ok(Arc::from(row.try_get::<&str, _>(column)?))
}

pub(super) fn uuid(row: &SqliteRow, column: usize) -> Result<Uuid, sqlx::Error> {
    let bytes: &[u8] = row.try_get(column)?;
    Uuid::from_slice(bytes).map_err(|error| sqlx::Error::Decode(error.into()))
}

pub(super) fn outbox_message(row: &SqliteRow) -> Result<OutboxMessage, sqlx::Error> {
    let refused: Option<&str> = row.try_get(5)?;
    Ok(OutboxMessage {
        id: MessageId(uuid(row, 0)?),
        request_id: RequestId(uuid(row, 1)?),
        recipient: name(row, 2)?,
        body: text(row, 3)?,
        written_at: Timestamp(row.try_get(4)?),
        reply_to: optional_id(row, 6)?,
        copy: copy_place(flag(row, 7)?),
        refused: refused.map(refusal::read),
    })
}

/// Shares each name between the messages that have it.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashSet<Name>,
    /// Neighbours are often of one conversation.
    last: Option<Name>,
}

impl Names {
    pub(super) fn share(&mut self, text: &str) -> Name {
        if let Some(last) = self.last.as_ref().filter(|last| last.as_str() == text) {
            return last.clone();
        }
        let name = Name::new(text);
        let name = match self.known.get(&name) {
            Some(known) => known.clone(),
            None => {
                self.known.insert(name.clone());
                name
            }
        };
        self.last = Some(name.clone());
        name
    }
}

pub(super) fn flag(row: &SqliteRow, column: usize) -> Result<bool, sqlx::Error> {
    row.try_get(column)
}

/// The columns of a message, in the order in which [`stored_message`] reads them.
pub(super) const MESSAGE_COLUMNS: &str = "id, peer, peer_since, body, at, commit_index, commit_term, \
    written_at, reply_to, read, is_sent, is_on_servers, rowid";

/// A message, and where its copy is. The error names the row and the column that is damaged.
pub(super) fn stored_message(
    row: &SqliteRow,
    names: &mut Names,
) -> Result<(StoredMessage, CopyPlace), StoreError> {
    let message = StoredMessage {
        id: MessageId(value(row, 0, uuid)?),
        direction: direction(value(row, 10, flag)?),
        peer: names.share(value(row, 1, Row::try_get)?),
        peer_since: value(row, 2, optional_unsigned)?.map(LogIndex),
        body: value(row, 3, text)?,
        at: Timestamp(value(row, 4, Row::try_get)?),
        written_at: value(row, 7, Row::try_get::<Option<f64>, _>)?.map(Timestamp),
        reply_to: value(row, 8, optional_id)?,
        read: value(row, 9, flag)?,
        commit: Commit {
            index: LogIndex(value(row, 5, unsigned)?),
            term: Term(value(row, 6, unsigned)?),
        },
    };
    Ok((message, copy_place(value(row, 11, flag)?)))
}

/// A value of the table of messages.
fn value<'r, T>(
    row: &'r SqliteRow,
    column: usize,
    read: impl FnOnce(&'r SqliteRow, usize) -> Result<T, sqlx::Error>,
) -> Result<T, StoreError> {
    read(row, column).map_err(|source| StoreError::DamagedMessage {
        row: row.try_get("rowid").unwrap_or_default(),
        column: row.column(column).name().to_owned(),
        source,
    })
}

/// An id as SQLite keeps it, if there is one.
pub(super) fn optional_bytes(id: Option<MessageId>) -> Option<Vec<u8>> {
    id.map(|id| id.0.as_bytes().to_vec())
}

/// Which way a message went, from whether this account has sent it.
pub(super) fn direction(is_sent: bool) -> Direction {
    if is_sent {
        Direction::Sent
    } else {
        Direction::Received
    }
}

/// Where a copy is, from whether the servers have it.
pub(super) fn copy_place(is_on_servers: bool) -> CopyPlace {
    if is_on_servers {
        CopyPlace::Servers
    } else {
        CopyPlace::Device
    }
}

pub(super) fn optional_id(
    row: &SqliteRow,
    column: usize,
) -> Result<Option<MessageId>, sqlx::Error> {
    let bytes: Option<&[u8]> = row.try_get(column)?;
    let id = bytes.map(Uuid::from_slice).transpose();
    let id = id.map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(id.map(MessageId))
}

fn unsigned(row: &SqliteRow, column: usize) -> Result<u64, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn optional_unsigned(row: &SqliteRow, column: usize) -> Result<Option<u64>, sqlx::Error> {
    let number: Option<i64> = row.try_get(column)?;
    number.map(|_| unsigned(row, column)).transpose()
}
