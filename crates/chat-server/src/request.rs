//! The JSON edge: a request's text becomes a type that cannot be wrong, or a refusal that names the
//! field and the limit. Nothing further in checks a name or a length again.
//!
//! Knows nothing of sessions, accounts or the log.

mod fields;
mod json;

use chat_store::{InboxQuery, LogIndex};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

pub use fields::{Digest, MessageBody, MessageId, RequestId, Username};

/// The longest request, in bytes of JSON.
pub const REQUEST_BYTES_MAX: usize = 128 * 1024;

/// The most messages of one page, and how many there are when the request does not say.
const PAGE_LIMIT_MAX: u64 = 500;
const PAGE_LIMIT_DEFAULT: u64 = 100;

/// The types of request, as the refusal of another one lists them.
const KNOWN_TYPES: &str = "CREATE_USER, LOGIN, SEND_MESSAGE, GET_MESSAGES";

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatRequest {
    /// A new account, and its first session.
    CreateUser(Credentials),
    /// A new session of an account.
    Login(Credentials),
    /// A message to somebody.
    SendMessage(Outgoing),
    /// A page of one's own inbox.
    GetMessages(InboxRequest),
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
pub struct Outgoing {
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
pub struct InboxRequest {
    /// The same on every retry.
    pub id: RequestId,
    /// Must be the session's account.
    pub username: Username,
    /// The page.
    pub query: InboxQuery,
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
            Self::SendMessage(message) => message.id,
            Self::GetMessages(inbox) => inbox.id,
        }
    }

    /// Its `request_type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateUser(_) => "CREATE_USER",
            Self::Login(_) => "LOGIN",
            Self::SendMessage(_) => "SEND_MESSAGE",
            Self::GetMessages(_) => "GET_MESSAGES",
        }
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
    fn check(self) -> Result<Outgoing, InvalidRequest> {
        let json::Object(message) = self.message;
        Ok(Outgoing {
            id: RequestId::parse("id", &self.id)?,
            message_id: MessageId::parse("message.id", &message.id)?,
            sender: Username::parse("message.sender", message.sender)?,
            recipient: Username::parse("message.recipient", message.recipient)?,
            body: MessageBody::parse("message.body", message.body)?,
        })
    }
}

impl GetMessagesJson<'_> {
    fn check(self) -> Result<InboxRequest, InvalidRequest> {
        let limit = self.limit.unwrap_or(PAGE_LIMIT_DEFAULT);
        if !(1..=PAGE_LIMIT_MAX).contains(&limit) {
            let problem = format!("must be 1 to {PAGE_LIMIT_MAX}");
            return Err(InvalidRequest::new("limit", problem));
        }
        let after = self.after.map(|after| page_start(&after)).transpose()?;
        Ok(InboxRequest {
            id: RequestId::parse("id", &self.id)?,
            username: Username::parse("username", self.username)?,
            query: InboxQuery {
                limit: usize::try_from(limit).expect("a page's limit fits every machine"),
                after,
                unread_only: self.unread_only,
                oldest_first: self.oldest_first,
            },
        })
    }
}

/// The text of `next` in a reply; opaque to clients, an index of the log to us.
pub fn page_end(index: LogIndex) -> String {
    index.0.to_string()
}

fn page_start(text: &str) -> Result<LogIndex, InvalidRequest> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // SQLite's integers end there.
    let index = text
        .parse()
        .ok()
        .filter(|index| *index <= i64::MAX.cast_unsigned());
    match index {
        Some(index) if digits => Ok(LogIndex(index)),
        _ => Err(InvalidRequest::new(
            "after",
            "must be the `next` of an earlier reply",
        )),
    }
}

#[cfg(test)]
mod tests;
