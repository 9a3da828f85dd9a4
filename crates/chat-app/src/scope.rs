//! For which account a request acts, from its type and the account that it names.

use crate::request::{
    ChangeRequest, DeleteUserRequest, GetMessagesRequest, ReadRequest, SendMessageRequest, Username,
};

/// For which account a request acts that is made in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthScope<'a> {
    /// For the account of the session.
    OwnAccount,
    /// For an account that the request names, which must be the account of the session.
    NamedAccount {
        /// The field that names it.
        field: &'static str,
        /// The name.
        username: &'a Username,
    },
}

impl<'a> From<&'a ReadRequest> for AuthScope<'a> {
    fn from(request: &'a ReadRequest) -> Self {
        match request {
            ReadRequest::ListUsers(_) | ReadRequest::CheckMessages(_) => Self::OwnAccount,
            ReadRequest::GetMessages(GetMessagesRequest { username, .. }) => Self::NamedAccount {
                field: "username",
                username,
            },
        }
    }
}

impl<'a> From<&'a ChangeRequest> for AuthScope<'a> {
    fn from(request: &'a ChangeRequest) -> Self {
        match request {
            ChangeRequest::Logout(_)
            | ChangeRequest::ReadMessages(_)
            | ChangeRequest::DeleteMessages(_)
            | ChangeRequest::ChangePassword(_) => Self::OwnAccount,
            ChangeRequest::DeleteUser(DeleteUserRequest { username, .. }) => Self::NamedAccount {
                field: "username",
                username,
            },
            ChangeRequest::SendMessage(SendMessageRequest { sender, .. }) => Self::NamedAccount {
                field: "message.sender",
                username: sender,
            },
        }
    }
}
