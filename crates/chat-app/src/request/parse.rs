//! From a request's text to a [`ChatRequest`], by its `request_type`.

use std::borrow::Cow;

use serde::Deserialize;

use super::chat_request::{ChangeRequest, ChatRequest, ReadRequest, SignInRequest};
use super::invalid_request::InvalidRequest;
use super::json;
use super::shapes::{
    ChangePasswordJson, CredentialsJson, DeleteUserJson, GetMessagesJson, ListUsersJson,
    LogoutJson, MessageIdsJson, SendMessageJson,
};

/// The longest request, in bytes of JSON.
pub const REQUEST_BYTES_MAX: usize = 128 * 1024;

/// The types of request, as the error for an unknown one lists them.
pub(super) const KNOWN_TYPES: &str = "CREATE_USER, LOGIN, LOGOUT, GET_MESSAGES, LIST_USERS, SEND_MESSAGE, \
     READ_MESSAGES, DELETE_MESSAGES, DELETE_USER, CHANGE_PASSWORD";

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
