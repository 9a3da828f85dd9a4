//! The JSON edge: a request's text becomes a type that cannot be wrong, or a refusal that names the
//! field and the limit. Nothing further in checks a name or a length again.
//!
//! Knows nothing of sessions, accounts or the log.

mod fields;
mod json;

use std::borrow::Cow;

use chat_store::{InboxQuery, LogIndex};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::auth::authorize::AuthScope;

pub use fields::{Digest, MessageBody, MessageId, Pattern, RequestId, Username};

/// The longest request, in bytes of JSON.
pub const REQUEST_BYTES_MAX: usize = 128 * 1024;

/// The most messages or names of one page, and how many there are when the request does not say.
const PAGE_LIMIT_MAX: u64 = 500;
const PAGE_LIMIT_DEFAULT: u64 = 100;

/// The types of request, as the refusal of another one lists them.
const KNOWN_TYPES: &str = "CREATE_USER, LOGIN, LOGOUT, GET_MESSAGES, LIST_USERS, SEND_MESSAGE, \
     READ_MESSAGES, DELETE_MESSAGES, DELETE_USER, CHANGE_PASSWORD";

/// The most messages that one request reads or deletes.
const MESSAGE_IDS_MAX: usize = 1000;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatRequest {
    /// A new account, and its first session.
    CreateUser(Credentials),
    /// A new session of an account.
    Login(Credentials),
    /// The end of the session.
    Logout(RequestId),
    /// A page of one's own inbox.
    GetMessages(GetMessagesRequest),
    /// A page of the names of all accounts.
    ListUsers(ListUsersRequest),
    /// A message to somebody.
    SendMessage(SendMessageRequest),
    /// Messages of one's own that have been read.
    ReadMessages(MessageIdsRequest),
    /// Messages of one's own that are to go.
    DeleteMessages(MessageIdsRequest),
    /// The end of one's own account.
    DeleteUser(DeleteUserRequest),
    /// Another password for one's own account.
    ChangePassword(ChangePasswordRequest),
}

/// Who somebody claims to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The same on every retry.
    pub id: RequestId,
    /// The account.
    pub username: Username,
    /// Proof.
    pub digest: Digest,
}

/// A message that wants to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendMessageRequest {
    /// The same on every retry.
    pub id: RequestId,
    /// Made by the client; what makes a retry harmless (R15).
    pub message_id: MessageId,
    /// Must be the session's account.
    pub sender: Username,
    /// Whose inbox it goes to.
    pub recipient: Username,
    /// What it says.
    pub body: MessageBody,
}

/// Which page of which inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetMessagesRequest {
    /// The same on every retry.
    pub id: RequestId,
    /// Must be the session's account.
    pub username: Username,
    /// The page.
    pub query: InboxQuery,
}

/// Which names are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListUsersRequest {
    /// The same on every retry.
    pub id: RequestId,
    /// What they must look like.
    pub pattern: Pattern,
    /// The most to give.
    pub limit: usize,
    /// Goes on behind this name.
    pub after: Option<Username>,
}

/// Some messages of one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageIdsRequest {
    /// The same on every retry.
    pub id: RequestId,
    /// Those that are somebody else's behave as if they were not there.
    pub message_ids: Vec<MessageId>,
}

/// The account that is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteUserRequest {
    /// The same on every retry.
    pub id: RequestId,
    /// Must be the session's account.
    pub username: Username,
}

/// Another password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangePasswordRequest {
    /// The same on every retry; what makes a retry harmless (R15).
    pub id: RequestId,
    /// Proof.
    pub digest: Digest,
    /// What will be proof from then on.
    pub new_digest: Digest,
}

/// A request that no server would carry out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidRequest {
    /// Where, in the request's own names: `message.body`.
    pub field: String,
    /// What it must be. Never what it was: it may be a secret.
    pub problem: String,
}

impl InvalidRequest {
    fn new(field: &str, problem: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            problem: problem.into(),
        }
    }
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    request_type: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsJson<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "request_type")]
    _request_type: IgnoredAny,
    #[serde(borrow)]
    username: Cow<'a, str>,
    #[serde(borrow)]
    password: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendMessageJson<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "request_type")]
    _request_type: IgnoredAny,
    #[serde(borrow)]
    message: json::Object<MessageJson<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageJson<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    sender: Cow<'a, str>,
    #[serde(borrow)]
    recipient: Cow<'a, str>,
    #[serde(borrow)]
    body: Cow<'a, str>,
    /// The original's clients send theirs; the leader's clock decides.
    #[serde(default, rename = "timestamp")]
    _timestamp: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GetMessagesJson<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "request_type")]
    _request_type: IgnoredAny,
    #[serde(borrow)]
    username: Cow<'a, str>,
    #[serde(default)]
    limit: Option<u64>,
    #[serde(default, borrow)]
    after: Option<Cow<'a, str>>,
    #[serde(default)]
    unread_only: bool,
    #[serde(default)]
    oldest_first: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogoutJson<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "request_type")]
    _request_type: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListUsersJson<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "request_type")]
    _request_type: IgnoredAny,
    #[serde(borrow)]
    pattern: Cow<'a, str>,
    #[serde(default)]
    limit: Option<u64>,
    #[serde(default, borrow)]
    after: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnMessagesJson<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "request_type")]
    _request_type: IgnoredAny,
    #[serde(borrow)]
    message_ids: Vec<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteUserJson<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "request_type")]
    _request_type: IgnoredAny,
    #[serde(borrow)]
    username: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangePasswordJson<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "request_type")]
    _request_type: IgnoredAny,
    #[serde(borrow)]
    password: Cow<'a, str>,
    #[serde(borrow)]
    new_password: Cow<'a, str>,
}

impl ChatRequest {
    /// Reads one request.
    ///
    /// # Errors
    ///
    /// The first field that is not what it must be.
    pub fn parse(text: &str) -> Result<Self, InvalidRequest> {
        if text.len() > REQUEST_BYTES_MAX {
            let problem = format!("must be at most {REQUEST_BYTES_MAX} bytes of JSON");
            return Err(InvalidRequest::new("request", problem));
        }
        let kind: Kind<'_> = json::read(text)?;
        match &*kind.request_type {
            "CREATE_USER" => json::read::<CredentialsJson<'_>>(text)?
                .check()
                .map(Self::CreateUser),
            "LOGIN" => json::read::<CredentialsJson<'_>>(text)?
                .check()
                .map(Self::Login),
            "SEND_MESSAGE" => json::read::<SendMessageJson<'_>>(text)?
                .check()
                .map(Self::SendMessage),
            "GET_MESSAGES" => json::read::<GetMessagesJson<'_>>(text)?
                .check()
                .map(Self::GetMessages),
            "LOGOUT" => json::read::<LogoutJson<'_>>(text)?
                .check()
                .map(Self::Logout),
            "LIST_USERS" => json::read::<ListUsersJson<'_>>(text)?
                .check()
                .map(Self::ListUsers),
            "READ_MESSAGES" => json::read::<OwnMessagesJson<'_>>(text)?
                .check()
                .map(Self::ReadMessages),
            "DELETE_MESSAGES" => json::read::<OwnMessagesJson<'_>>(text)?
                .check()
                .map(Self::DeleteMessages),
            "DELETE_USER" => json::read::<DeleteUserJson<'_>>(text)?
                .check()
                .map(Self::DeleteUser),
            "CHANGE_PASSWORD" => json::read::<ChangePasswordJson<'_>>(text)?
                .check()
                .map(Self::ChangePassword),
            _ => {
                let problem = format!("must be one of {KNOWN_TYPES}");
                Err(InvalidRequest::new("request_type", problem))
            }
        }
    }

    /// The client's id of the request.
    pub fn id(&self) -> RequestId {
        match self {
            Self::CreateUser(credentials) | Self::Login(credentials) => credentials.id,
            Self::Logout(id) => *id,
            Self::GetMessages(inbox) => inbox.id,
            Self::ListUsers(listing) => listing.id,
            Self::SendMessage(message) => message.id,
            Self::ReadMessages(messages) | Self::DeleteMessages(messages) => messages.id,
            Self::DeleteUser(removal) => removal.id,
            Self::ChangePassword(change) => change.id,
        }
    }

    /// Its `request_type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateUser(_) => "CREATE_USER",
            Self::Login(_) => "LOGIN",
            Self::Logout(_) => "LOGOUT",
            Self::GetMessages(_) => "GET_MESSAGES",
            Self::ListUsers(_) => "LIST_USERS",
            Self::SendMessage(_) => "SEND_MESSAGE",
            Self::ReadMessages(_) => "READ_MESSAGES",
            Self::DeleteMessages(_) => "DELETE_MESSAGES",
            Self::DeleteUser(_) => "DELETE_USER",
            Self::ChangePassword(_) => "CHANGE_PASSWORD",
        }
    }

    /// In whose name it is asked.
    pub(crate) fn claim(&self) -> AuthScope<'_> {
        match self {
            Self::CreateUser(_) | Self::Login(_) => AuthScope::Public,
            Self::Logout(_)
            | Self::ListUsers(_)
            | Self::ReadMessages(_)
            | Self::DeleteMessages(_)
            | Self::ChangePassword(_) => AuthScope::OwnAccount,
            Self::GetMessages(GetMessagesRequest { username, .. })
            | Self::DeleteUser(DeleteUserRequest { username, .. }) => AuthScope::NamedAccount {
                field: "username",
                username,
            },
            Self::SendMessage(message) => AuthScope::NamedAccount {
                field: "message.sender",
                username: &message.sender,
            },
        }
    }

    /// Whether it reads a page, and changes nothing.
    pub(crate) fn only_reads(&self) -> bool {
        matches!(self, Self::GetMessages(_) | Self::ListUsers(_))
    }

    /// Whether it ends the session in whose name it is asked, so that its retry comes without one.
    pub(crate) fn ends_its_session(&self) -> bool {
        matches!(
            self,
            Self::Logout(_) | Self::DeleteUser(_) | Self::ChangePassword(_)
        )
    }
}

impl CredentialsJson<'_> {
    fn check(self) -> Result<Credentials, InvalidRequest> {
        Ok(Credentials {
            id: RequestId::parse("id", &self.id)?,
            username: Username::parse("username", self.username)?,
            digest: Digest::parse("password", self.password)?,
        })
    }
}

impl SendMessageJson<'_> {
    fn check(self) -> Result<SendMessageRequest, InvalidRequest> {
        let json::Object(message) = self.message;
        Ok(SendMessageRequest {
            id: RequestId::parse("id", &self.id)?,
            message_id: MessageId::parse("message.id", &message.id)?,
            sender: Username::parse("message.sender", message.sender)?,
            recipient: Username::parse("message.recipient", message.recipient)?,
            body: MessageBody::parse("message.body", message.body)?,
        })
    }
}

impl GetMessagesJson<'_> {
    fn check(self) -> Result<GetMessagesRequest, InvalidRequest> {
        let limit = page_limit(self.limit)?;
        let after = self
            .after
            .map(|after| decode_page_token(&after))
            .transpose()?;
        Ok(GetMessagesRequest {
            id: RequestId::parse("id", &self.id)?,
            username: Username::parse("username", self.username)?,
            query: InboxQuery {
                limit,
                after,
                unread_only: self.unread_only,
                oldest_first: self.oldest_first,
            },
        })
    }
}

impl LogoutJson<'_> {
    fn check(self) -> Result<RequestId, InvalidRequest> {
        RequestId::parse("id", &self.id)
    }
}

impl ListUsersJson<'_> {
    fn check(self) -> Result<ListUsersRequest, InvalidRequest> {
        let after = self
            .after
            .map(|after| Username::parse("after", after).map_err(|_no_name| invalid_page_token()));
        Ok(ListUsersRequest {
            id: RequestId::parse("id", &self.id)?,
            pattern: Pattern::parse("pattern", self.pattern)?,
            limit: page_limit(self.limit)?,
            after: after.transpose()?,
        })
    }
}

impl OwnMessagesJson<'_> {
    fn check(self) -> Result<MessageIdsRequest, InvalidRequest> {
        if self.message_ids.len() > MESSAGE_IDS_MAX {
            let problem = format!("must be at most {MESSAGE_IDS_MAX} ids");
            return Err(InvalidRequest::new("message_ids", problem));
        }
        let ids = self.message_ids.iter().enumerate();
        let message_ids = ids.map(|(place, id)| {
            MessageId::parse("message_ids", id).map_err(|mut invalid| {
                invalid.field = format!("message_ids[{place}]");
                invalid
            })
        });
        Ok(MessageIdsRequest {
            id: RequestId::parse("id", &self.id)?,
            message_ids: message_ids.collect::<Result<_, _>>()?,
        })
    }
}

impl DeleteUserJson<'_> {
    fn check(self) -> Result<DeleteUserRequest, InvalidRequest> {
        Ok(DeleteUserRequest {
            id: RequestId::parse("id", &self.id)?,
            username: Username::parse("username", self.username)?,
        })
    }
}

impl ChangePasswordJson<'_> {
    fn check(self) -> Result<ChangePasswordRequest, InvalidRequest> {
        Ok(ChangePasswordRequest {
            id: RequestId::parse("id", &self.id)?,
            digest: Digest::parse("password", self.password)?,
            new_digest: Digest::parse("new_password", self.new_password)?,
        })
    }
}

fn page_limit(limit: Option<u64>) -> Result<usize, InvalidRequest> {
    let limit = limit.unwrap_or(PAGE_LIMIT_DEFAULT);
    if !(1..=PAGE_LIMIT_MAX).contains(&limit) {
        let problem = format!("must be 1 to {PAGE_LIMIT_MAX}");
        return Err(InvalidRequest::new("limit", problem));
    }
    Ok(usize::try_from(limit).expect("a page's limit fits every machine"))
}

fn invalid_page_token() -> InvalidRequest {
    InvalidRequest::new("after", "must be the `next` of an earlier reply")
}

/// The text of `next` in a reply; opaque to clients, an index of the log to us.
pub fn encode_page_token(index: LogIndex) -> String {
    index.0.to_string()
}

fn decode_page_token(text: &str) -> Result<LogIndex, InvalidRequest> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // SQLite's integers end there.
    let index = text
        .parse()
        .ok()
        .filter(|index| *index <= i64::MAX.cast_unsigned());
    match index {
        Some(index) if digits => Ok(LogIndex(index)),
        _ => Err(invalid_page_token()),
    }
}

#[cfg(test)]
mod tests;
