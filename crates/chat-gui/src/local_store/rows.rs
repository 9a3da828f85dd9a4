//! Converts rows of the local store into the types of the model.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::local_store::refusal;
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
    fn share(&mut self, text: &str) -> Name {
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

/// The columns of a message, in the order in which [`stored_message`] reads them. Each one takes time for
/// each of many messages, so what is yes or no is in one of them.
pub(super) const MESSAGE_COLUMNS: &str = "id, peer, peer_since, body, at, commit_index, commit_term, \
    written_at, reply_to, read + 2 * is_sent + 4 * is_on_servers";

/// A message, and where its copy is.
pub(super) fn stored_message(
    row: &SqliteRow,
    names: &mut Names,
) -> Result<(StoredMessage, CopyPlace), sqlx::Error> {
    let since: Option<i64> = row.try_get(2)?;
    let written_at: Option<f64> = row.try_get(7)?;
    let flags: i64 = row.try_get(9)?;
    let message = StoredMessage {
        id: MessageId(uuid(row, 0)?),
        direction: if flags & 2 == 0 {
            Direction::Received
        } else {
            Direction::Sent
        },
        peer: names.share(row.try_get(1)?),
        peer_since: since.map(unsigned).transpose()?.map(LogIndex),
        body: text(row, 3)?,
        at: Timestamp(row.try_get(4)?),
        written_at: written_at.map(Timestamp),
        reply_to: optional_id(row, 8)?,
        read: flags & 1 != 0,
        commit: Commit {
            index: LogIndex(unsigned(row.try_get(5)?)?),
            term: Term(unsigned(row.try_get(6)?)?),
        },
    };
    Ok((message, copy_place(flags & 4 != 0)))
}

/// An id as SQLite keeps it, if there is one.
pub(super) fn optional_bytes(id: Option<MessageId>) -> Option<Vec<u8>> {
    id.map(|id| id.0.as_bytes().to_vec())
}

/// Where a copy is, from whether the servers have it.
fn copy_place(is_on_servers: bool) -> CopyPlace {
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

fn unsigned(number: i64) -> Result<u64, sqlx::Error> {
    u64::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))
}
