//! Converts rows of the local store into the types of the model.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::local_store::refusal;
use crate::model::message::{OutboxMessage, Received, SentCopy};
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
        refused: refused.map(refusal::read),
    })
}

/// Shares each name between the messages that have it.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<Name>);

impl Names {
    fn share(&mut self, text: &str) -> Name {
        let name = Name::new(text);
        match self.0.get(&name) {
            Some(known) => known.clone(),
            None => {
                self.0.insert(name.clone());
                name
            }
        }
    }
}

pub(super) fn flag(row: &SqliteRow, column: usize) -> Result<bool, sqlx::Error> {
    row.try_get(column)
}

pub(super) fn received(row: &SqliteRow, names: &mut Names) -> Result<Received, sqlx::Error> {
    let since: Option<i64> = row.try_get(2)?;
    Ok(Received {
        id: MessageId(uuid(row, 0)?),
        sender: names.share(row.try_get(1)?),
        sender_since: since.map(unsigned).transpose()?.map(LogIndex),
        body: text(row, 3)?,
        at: Timestamp(row.try_get(4)?),
        read: row.try_get(5)?,
        commit: Commit {
            index: LogIndex(unsigned(row.try_get(6)?)?),
            term: Term(unsigned(row.try_get(7)?)?),
        },
    })
}

fn unsigned(number: i64) -> Result<u64, sqlx::Error> {
    u64::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))
}

pub(super) fn sent_copy(row: &SqliteRow) -> Result<SentCopy, sqlx::Error> {
    let number = |column| unsigned(row.try_get(column)?);
    Ok(SentCopy {
        id: MessageId(uuid(row, 0)?),
        request_id: RequestId(uuid(row, 1)?),
        recipient: name(row, 2)?,
        body: text(row, 3)?,
        at: Timestamp(row.try_get(4)?),
        commit: Commit {
            index: LogIndex(number(5)?),
            term: Term(number(6)?),
        },
    })
}
