//! The JSON objects of requests, and the checks that turn each into a request's values.

use std::borrow::Cow;

use chat_store::InboxQuery;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::chat_request::{
    ChangePasswordRequest, Credentials, DeleteUserRequest, GetMessagesRequest, ListUsersRequest,
    MessageIdsRequest, SendMessageRequest,
};
use super::fields::{Digest, MessageBody, MessageId, Pattern, RequestId, Username};
use super::invalid_request::InvalidRequest;
use super::json;
use super::paging::{decode_page_token, invalid_page_token, page_limit};

/// The most messages that one request reads or deletes.
const MESSAGE_IDS_MAX: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialsJson<'a> {
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
pub(super) struct SendMessageJson<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "request_type")]
    _request_type: IgnoredAny,
    #[serde(borrow)]
    message: json::Object<MessageJson<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageJson<'a> {
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GetMessagesJson<'a> {
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
pub(super) struct LogoutJson<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "request_type")]
    _request_type: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListUsersJson<'a> {
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
pub(super) struct MessageIdsJson<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "request_type")]
    _request_type: IgnoredAny,
    #[serde(borrow)]
    message_ids: Vec<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteUserJson<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "request_type")]
    _request_type: IgnoredAny,
    #[serde(borrow)]
    username: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePasswordJson<'a> {
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
    pub(super) fn check(self) -> Result<Credentials, InvalidRequest> {
        Ok(Credentials {
            id: RequestId::parse("id", &self.id)?,
            username: Username::parse("username", self.username)?,
            digest: Digest::parse("password", self.password)?,
        })
    }
}

impl SendMessageJson<'_> {
    pub(super) fn check(self) -> Result<SendMessageRequest, InvalidRequest> {
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
    pub(super) fn check(self) -> Result<GetMessagesRequest, InvalidRequest> {
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
    pub(super) fn check(self) -> Result<RequestId, InvalidRequest> {
        RequestId::parse("id", &self.id)
    }
}

impl ListUsersJson<'_> {
    pub(super) fn check(self) -> Result<ListUsersRequest, InvalidRequest> {
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
    pub(super) fn check(self) -> Result<MessageIdsRequest, InvalidRequest> {
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
    pub(super) fn check(self) -> Result<DeleteUserRequest, InvalidRequest> {
        Ok(DeleteUserRequest {
            id: RequestId::parse("id", &self.id)?,
            username: Username::parse("username", self.username)?,
        })
    }
}

impl ChangePasswordJson<'_> {
    pub(super) fn check(self) -> Result<ChangePasswordRequest, InvalidRequest> {
        Ok(ChangePasswordRequest {
            id: RequestId::parse("id", &self.id)?,
            digest: Digest::parse("password", self.password)?,
            new_digest: Digest::parse("new_password", self.new_password)?,
        })
    }
}
