//! From the JSON object of a request to its values: by its `request_type`, and then field by field.

use std::borrow::Cow;

use chat_store::{DirectionFilter, InboxQuery};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::chat_request::{
    ChangePasswordRequest, ChangeRequest, ChatRequest, Credentials, DeleteUserRequest,
    GetMessagesRequest, ListUsersRequest, MessageIdsRequest, ReadRequest, SendMessageRequest,
    SignInRequest,
};
use super::fields::{Digest, MessageBody, MessageId, Pattern, RequestId, Username, WrittenAt};
use super::invalid_request::InvalidRequest;
use super::json;
use super::paging::{decode_page_token, invalid_page_token, page_limit};

/// The longest request, in bytes of JSON.
pub const REQUEST_BYTES_MAX: usize = 128 * 1024;

/// The types of request, as the error for an unknown one lists them.
pub(super) const KNOWN_TYPES: &str = "CREATE_USER, LOGIN, LOGOUT, GET_MESSAGES, CHECK_MESSAGES, LIST_USERS, \
     SEND_MESSAGE, READ_MESSAGES, DELETE_MESSAGES, DELETE_USER, CHANGE_PASSWORD";

/// The most messages that one request checks, reads or deletes.
const MESSAGE_IDS_MAX: usize = 1000;

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    request_type: Cow<'a, str>,
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
                .map(SignInRequest::CreateUser)
                .map(Self::SignIn),
            "LOGIN" => json::read::<CredentialsJson<'_>>(text)?
                .check()
                .map(SignInRequest::Login)
                .map(Self::SignIn),
            "GET_MESSAGES" => json::read::<GetMessagesJson<'_>>(text)?
                .check()
                .map(ReadRequest::GetMessages)
                .map(Self::Read),
            "CHECK_MESSAGES" => json::read::<MessageIdsJson<'_>>(text)?
                .check()
                .map(ReadRequest::CheckMessages)
                .map(Self::Read),
            "LIST_USERS" => json::read::<ListUsersJson<'_>>(text)?
                .check()
                .map(ReadRequest::ListUsers)
                .map(Self::Read),
            _ => parse_change(&kind.request_type, text).map(Self::Change),
        }
    }
}

fn parse_change(request_type: &str, text: &str) -> Result<ChangeRequest, InvalidRequest> {
    match request_type {
        "SEND_MESSAGE" => json::read::<SendMessageJson<'_>>(text)?
            .check()
            .map(ChangeRequest::SendMessage),
        "READ_MESSAGES" => json::read::<MessageIdsJson<'_>>(text)?
            .check()
            .map(ChangeRequest::ReadMessages),
        "DELETE_MESSAGES" => json::read::<MessageIdsJson<'_>>(text)?
            .check()
            .map(ChangeRequest::DeleteMessages),
        "LOGOUT" => json::read::<LogoutJson<'_>>(text)?
            .check()
            .map(ChangeRequest::Logout),
        "DELETE_USER" => json::read::<DeleteUserJson<'_>>(text)?
            .check()
            .map(ChangeRequest::DeleteUser),
        "CHANGE_PASSWORD" => json::read::<ChangePasswordJson<'_>>(text)?
            .check()
            .map(ChangeRequest::ChangePassword),
        _ => {
            let problem = format!("must be one of {KNOWN_TYPES}");
            Err(InvalidRequest::new("request_type", problem))
        }
    }
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
    #[serde(default)]
    keep_copy: bool,
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
    /// The exercise's clients send one; the leader's clock decides.
    #[serde(default, rename = "timestamp")]
    _timestamp: IgnoredAny,
    #[serde(default, borrow)]
    reply_to: Option<Cow<'a, str>>,
    #[serde(default)]
    written_at: Option<f64>,
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
    #[serde(default, borrow)]
    direction: Option<Cow<'a, str>>,
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
struct MessageIdsJson<'a> {
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
        let reply_to = message
            .reply_to
            .map(|id| MessageId::parse("message.reply_to", &id));
        let written_at = message
            .written_at
            .map(|seconds| WrittenAt::parse("message.written_at", seconds));
        Ok(SendMessageRequest {
            id: RequestId::parse("id", &self.id)?,
            message_id: MessageId::parse("message.id", &message.id)?,
            sender: Username::parse("message.sender", message.sender)?,
            recipient: Username::parse("message.recipient", message.recipient)?,
            body: MessageBody::parse("message.body", message.body)?,
            keep_copy: self.keep_copy,
            reply_to: reply_to.transpose()?,
            written_at: written_at.transpose()?.flatten(),
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
            names_direction: self.direction.is_some(),
            query: InboxQuery {
                limit,
                after,
                directions: self
                    .direction
                    .map_or(Ok(DirectionFilter::Received), direction)?,
                unread_only: self.unread_only,
                oldest_first: self.oldest_first,
            },
        })
    }
}

fn direction(text: Cow<'_, str>) -> Result<DirectionFilter, InvalidRequest> {
    match &*text {
        "received" => Ok(DirectionFilter::Received),
        "sent" => Ok(DirectionFilter::Sent),
        "all" => Ok(DirectionFilter::All),
        _ => {
            let problem = "must be `received`, `sent` or `all`";
            Err(InvalidRequest::new("direction", problem))
        }
    }
}

impl LogoutJson<'_> {
    fn check(self) -> Result<RequestId, InvalidRequest> {
        RequestId::parse("id", &self.id)
    }
}

impl ListUsersJson<'_> {
    fn check(self) -> Result<ListUsersRequest, InvalidRequest> {
        let after = self.after.map(|after| {
            Username::parse("after", after).map_err(|_not_a_name| invalid_page_token())
        });
        Ok(ListUsersRequest {
            id: RequestId::parse("id", &self.id)?,
            pattern: Pattern::parse("pattern", self.pattern)?,
            limit: page_limit(self.limit)?,
            after: after.transpose()?,
        })
    }
}

impl MessageIdsJson<'_> {
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
