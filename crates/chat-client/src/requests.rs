//! The JSON of requests and replies, and what callers get of it.

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
        message: MessageJson<'a>,
    },
    GetMessages {
        id: Uuid,
        username: &'a str,
        #[serde(flatten)]
        query: &'a InboxQuery,
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
}

/// Which messages of an inbox are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InboxQuery {
    /// The most messages; the server has a default of 100 and a limit of 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Goes on behind an earlier page: its [`InboxPage::next`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Leaves out what was read.
    pub unread_only: bool,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
}

/// Which accounts are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsersQuery {
    /// SQLite's `GLOB`: `*` is any text, `?` any character, `[a-c]` one of these.
    pub pattern: String,
    /// The most names; the server has a default and a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Goes on behind an earlier page: its [`UsersPage::next`].
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
    /// Where the next page goes on; `None` on the last one.
    pub next: Option<String>,
}

/// A message in one's inbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its sender's name for it.
    pub id: Uuid,
    /// Who sent it.
    pub sender: String,
    /// The index of the commit that created the sender's account: it tells that account from another
    /// one that had or has its name. `None` from a server that does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_since: Option<u64>,
    /// Whose it is.
    pub recipient: String,
    /// What it says.
    pub body: String,
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
    /// In the order that was asked for.
    pub messages: Vec<Message>,
    /// How many messages of the whole inbox are unread.
    pub unread: u64,
    /// Where the next page goes on; `None` on the last one.
    pub next: Option<String>,
}

/// A message that is in its recipient's inbox for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// Its id.
    pub id: Uuid,
    /// Seconds since 1970, by the leader's clock.
    pub timestamp: f64,
    /// Its place among all changes.
    pub commit: Commit,
}

#[derive(Deserialize)]
pub(crate) struct Created {
    pub(crate) token: String,
}

/// A reply that says nothing but that it was done.
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
    Carried(T),
    #[serde(rename = "ERROR")]
    Refused {
        error_code: String,
        error_message: String,
    },
}

impl Request<'_> {
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("requests hold only what JSON can say")
    }

    /// Whether it is certain that nothing that matters was changed, answered or not. A session that
    /// nobody has the token of does not matter.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(
            self,
            Self::Login { .. } | Self::GetMessages { .. } | Self::ListUsers { .. }
        )
    }

    /// Whether a second node may be asked while the first one still has it: not what hashes a
    /// password, which costs a node a tenth of a second each time, nor what ends an account.
    pub(crate) fn may_be_hedged(&self) -> bool {
        matches!(
            self,
            Self::GetMessages { .. }
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

    /// The same on every retry, and in the logs of all nodes.
    pub(crate) fn id(&self) -> Uuid {
        match self {
            Self::CreateUser { id, .. }
            | Self::Login { id, .. }
            | Self::SendMessage { id, .. }
            | Self::GetMessages { id, .. }
            | Self::Logout { id }
            | Self::ListUsers { id, .. }
            | Self::ReadMessages { id, .. }
            | Self::DeleteMessages { id, .. }
            | Self::DeleteUser { id, .. }
            | Self::ChangePassword { id, .. } => *id,
        }
    }
}

/// Reads a reply to a request whose success looks like `T`.
pub(crate) fn read<T: for<'a> Deserialize<'a>>(reply: &str) -> Result<T, ClientError> {
    match serde_json::from_str(reply) {
        Ok(Reply::Carried(value)) => Ok(value),
        Ok(Reply::Refused {
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
