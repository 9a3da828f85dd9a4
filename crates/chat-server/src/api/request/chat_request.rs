//! The requests that clients can make, each with the values that it needs.

use chat_store::InboxQuery;

use super::fields::{Digest, MessageBody, MessageId, Pattern, RequestId, Username};

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

impl ChatRequest {
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
