//! Converts rows of the local store into the types of the model.

use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::local_store::refusal;
use crate::model::message::{OutboxMessage, SentCopy};
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

pub(super) fn sent_copy(row: &SqliteRow) -> Result<SentCopy, sqlx::Error> {
    let number = |column| -> Result<u64, sqlx::Error> {
        let number: i64 = row.try_get(column)?;
        u64::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))
    };
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
