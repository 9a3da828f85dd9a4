//! For which account a request acts, from its type and the account that it names.

use crate::api::request::{
    ChatRequest, DeleteUserRequest, GetMessagesRequest, SendMessageRequest, Username,
};

/// For which account a request acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthScope<'a> {
    /// For none: the client has no session yet.
    Public,
    /// For the account of the session.
    OwnAccount,
    /// For an account that the request names, which must be the account of the session.
    NamedAccount {
        /// The field that names it.
        field: &'static str,
        username: &'a Username,
    },
}

impl<'a> From<&'a ChatRequest> for AuthScope<'a> {
    fn from(request: &'a ChatRequest) -> Self {
        match request {
            ChatRequest::CreateUser(_) | ChatRequest::Login(_) => Self::Public,
            ChatRequest::Logout(_)
            | ChatRequest::ListUsers(_)
            | ChatRequest::ReadMessages(_)
            | ChatRequest::DeleteMessages(_)
            | ChatRequest::ChangePassword(_) => Self::OwnAccount,
            ChatRequest::GetMessages(GetMessagesRequest { username, .. })
            | ChatRequest::DeleteUser(DeleteUserRequest { username, .. }) => Self::NamedAccount {
                field: "username",
                username,
            },
            ChatRequest::SendMessage(SendMessageRequest { sender, .. }) => Self::NamedAccount {
                field: "message.sender",
                username: sender,
            },
        }
    }
}
