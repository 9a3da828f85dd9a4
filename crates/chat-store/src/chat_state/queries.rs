//! The queries of readers, one file for each subject. Each runs in one snapshot: see `reader`.

mod accounts;
mod inbox;
mod located;
mod messages;
mod page_size;
mod sessions;
mod usernames;

use chat_consensus::LogIndex;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::error::StateError;

pub use accounts::Account;
pub use inbox::{DirectionFilter, InboxQuery, MessagePage};
pub use located::LocatedMessage;
pub use messages::StoredMessage;
pub use sessions::Session;
pub use usernames::UsernamePage;

pub(super) use accounts::{account, common_argon2_params};
pub(super) use inbox::{copy_count, inbox, inbox_counts, unread_count};
pub(super) use located::located_messages;
pub(super) use messages::stored_message;
pub(super) use sessions::{find_session, session, session_ended_by};
pub(super) use usernames::usernames;

#[cfg(test)]
pub(super) use inbox::{COPY_COUNT, INBOX_COUNTS, inbox_sql};

pub(super) async fn applied_index(
    connection: &mut SqliteConnection,
) -> Result<LogIndex, StateError> {
    let row = sqlx::query("SELECT applied_index FROM progress")
        .fetch_one(&mut *connection)
        .await?;
    Ok(LogIndex(row.try_get::<i64, _>(0)?.cast_unsigned()))
}
