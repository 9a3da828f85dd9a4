//! The JSON of requests and replies, and the types that callers receive.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::ClientError;

#[derive(Serialize)]
#[serde(tag = "request_type", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Request<'a> {
    CreateUser {
        id: Uuid,
        username: &'a str,
        password: &'a str,
    },
    Login {
        id: Uuid,
        username: &'a str,
        password: &'a str,
    },
    SendMessage {
        id: Uuid,
        #[serde(skip_serializing_if = "is_false")]
        keep_copy: bool,
        message: MessageJson<'a>,
    },
    GetMessages {
        id: Uuid,
        username: &'a str,
        #[serde(flatten)]
        query: &'a InboxQuery,
    },
    CheckMessages {
        id: Uuid,
        message_ids: &'a [Uuid],
    },
    Logout {
        id: Uuid,
    },
    ListUsers {
        id: Uuid,
        #[serde(flatten)]
        query: &'a UsersQuery,
    },
    ReadMessages {
        id: Uuid,
        message_ids: &'a [Uuid],
    },
    DeleteMessages {
        id: Uuid,
        message_ids: &'a [Uuid],
    },
    DeleteUser {
        id: Uuid,
        username: &'a str,
    },
    ChangePassword {
        id: Uuid,
        password: &'a str,
        new_password: &'a str,
    },
}

#[derive(Serialize)]
pub(crate) struct MessageJson<'a> {
    pub(crate) id: Uuid,
    pub(crate) sender: &'a str,
    pub(crate) recipient: &'a str,
    pub(crate) body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reply_to: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) written_at: Option<f64>,
}

/// Which messages of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DirectionFilter {
    /// Those that it has received.
    #[default]
    Received,
    /// Its copies of those that it has sent.
    Sent,
    /// Both.
    All,
}

/// How a message came into the box of the account that has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The account received it. What servers without copies return has this direction.
    #[default]
    Received,
    /// The account sent it, and has a copy.
    Sent,
}

/// Which messages of an account are requested.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InboxQuery {
    /// The maximum number of messages; the server has a default of 100 and a limit of 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Continues after an earlier page: its [`InboxPage::next`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Received ones, copies of sent ones, or both. A server without copies rejects the last two.
    #[serde(skip_serializing_if = "DirectionFilter::is_default")]
    #[serde(rename = "direction")]
    pub directions: DirectionFilter,
    /// Omits messages that were read, and copies.
    pub unread_only: bool,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
}

/// Which accounts are requested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsersQuery {
    /// SQLite's `GLOB`: `*` is any text, `?` any character, `[a-c]` one of these.
    pub pattern: String,
    /// The maximum number of names; the server has a default and a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Continues after an earlier page: its [`UsersPage::next`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl UsersQuery {
    /// The first page of the names that match.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            limit: None,
            after: None,
        }
    }
}

/// Some names of accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersPage {
    /// In the order of their bytes.
    pub usernames: Vec<String>,
    /// Where the next page continues; `None` on the last page.
    pub next: Option<String>,
}

/// A message in an inbox, or a copy of a sent one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its id, which the sender's client generated.
    pub id: Uuid,
    /// The account that sent it.
    pub sender: String,
    /// The index of the commit that created the sender's account. It distinguishes that account from
    /// another one that had or has its name. `None` from a server that does not send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_since: Option<u64>,
    /// The account that received it.
    pub recipient: String,
    /// Of a copy: the index of the commit that created the recipient's account, as `sender_since`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient_since: Option<u64>,
    /// Whether the account received it, or sent it and has a copy.
    #[serde(default)]
    pub direction: Direction,
    /// The text.
    pub body: String,
    /// The id of the message that it replies to, as its sender gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Uuid>,
    /// When it was written by its sender's clock, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_at: Option<f64>,
    /// Seconds since 1970; grows with the commit.
    pub timestamp: f64,
    /// Whether it was read.
    pub read: bool,
    /// Its place among all changes.
    pub commit: Commit,
}

/// A place in the log, which orders everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Commit {
    /// Counts the entries of the log.
    pub index: u64,
    /// The term of the leader that appended it.
    pub term: u64,
}

/// A page of an inbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InboxPage {
    /// In the requested order.
    pub messages: Vec<Message>,
    /// How many messages of the whole inbox are unread.
    pub unread: u64,
    /// Where the next page continues; `None` on the last page.
    pub next: Option<String>,
}

/// The acknowledgement of a message: it is durable in its recipient's inbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// Its id.
    pub id: Uuid,
    /// Seconds since 1970, by the leader's clock.
    pub timestamp: f64,
    /// Its place among all changes.
    pub commit: Commit,
}

/// Where a message that the account sent or received is in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredMessage {
    /// Its id.
    pub id: Uuid,
    /// Whether the account received it, or sent it.
    pub direction: Direction,
    /// Whether it is in the account's box now: in its inbox, or as a copy.
    pub in_box: bool,
    /// When it was stored, in seconds since 1970, by the leader's clock.
    pub timestamp: f64,
    /// When it was written by its sender's clock, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_at: Option<f64>,
    /// Its place among all changes.
    pub commit: Commit,
}

#[derive(Deserialize)]
pub(crate) struct StoredMessages {
    pub(crate) messages: Vec<StoredMessage>,
}

#[derive(Deserialize)]
pub(crate) struct Created {
    pub(crate) token: String,
}

/// A reply without data.
#[derive(Deserialize)]
pub(crate) struct Done {}

#[derive(Deserialize)]
pub(crate) struct LoggedInJson {
    pub(crate) token: String,
    pub(crate) unread: u64,
}

#[derive(Deserialize)]
#[serde(tag = "status")]
enum Reply<T> {
    #[serde(rename = "OK")]
    Ok(T),
    #[serde(rename = "ERROR")]
    Error {
        error_code: String,
        error_message: String,
    },
}

impl DirectionFilter {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    fn is_default(&self) -> bool {
        *self == Self::Received
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

impl Request<'_> {
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("every request can be written as JSON")
    }

    /// Whether the request certainly changes nothing that matters, also if its reply is lost. A session
    /// whose token was lost with the reply does not matter.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(
            self,
            Self::Login { .. }
                | Self::GetMessages { .. }
                | Self::CheckMessages { .. }
                | Self::ListUsers { .. }
        )
    }

    /// Whether the request may be sent to a second node while the first has not answered. Not allowed
    /// for requests that hash a password, which takes a node a tenth of a second each time, nor for
    /// the deletion of an account.
    pub(crate) fn may_be_hedged(&self) -> bool {
        matches!(
            self,
            Self::GetMessages { .. }
                | Self::CheckMessages { .. }
                | Self::ListUsers { .. }
                | Self::SendMessage { .. }
                | Self::ReadMessages { .. }
                | Self::DeleteMessages { .. }
                | Self::Logout { .. }
        )
    }

    /// Whether this error means that the request is done: the session of a logout that is not valid
    /// has already ended, by an earlier attempt or before.
    pub(crate) fn error_means_done(&self, error: &ClientError) -> bool {
        matches!(self, Self::Logout { .. }) && error.is_unauthenticated()
    }

    /// The id, which is the same on every retry and in the logs of all nodes.
    pub(crate) fn id(&self) -> Uuid {
        match self {
            Self::CreateUser { id, .. }
            | Self::Login { id, .. }
            | Self::SendMessage { id, .. }
            | Self::GetMessages { id, .. }
            | Self::CheckMessages { id, .. }
            | Self::Logout { id }
            | Self::ListUsers { id, .. }
            | Self::ReadMessages { id, .. }
            | Self::DeleteMessages { id, .. }
            | Self::DeleteUser { id, .. }
            | Self::ChangePassword { id, .. } => *id,
        }
    }
}

/// Decodes a reply to a request whose success has the data `T`.
pub(crate) fn decode<T: for<'a> Deserialize<'a>>(reply: &str) -> Result<T, ClientError> {
    match serde_json::from_str(reply) {
        Ok(Reply::Ok(value)) => Ok(value),
        Ok(Reply::Error {
            error_code,
            error_message,
        }) => Err(ClientError::Application {
            code: error_code,
            message: error_message,
        }),
        Err(error) => Err(ClientError::Decode(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
