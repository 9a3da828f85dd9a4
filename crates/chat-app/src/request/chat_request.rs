//! The requests that clients can make, each with the values that it needs.

use chat_store::InboxQuery;

use super::fields::{Digest, MessageBody, MessageId, Pattern, RequestId, Username, WrittenAt};

/// A request of a client.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatRequest {
    /// It opens a session, and needs none.
    SignIn(SignInRequest),
    /// It reads, in a session.
    Read(ReadRequest),
    /// It changes something, in a session.
    Change(ChangeRequest),
}

/// A request that opens a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInRequest {
    /// A new account, and its first session.
    CreateUser(Credentials),
    /// A new session of an account.
    Login(Credentials),
}

/// A request that only reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadRequest {
    /// A page of the account's messages.
    GetMessages(GetMessagesRequest),
    /// Where messages that the account sent or received are in the log.
    CheckMessages(MessageIdsRequest),
    /// A page of the names of all accounts.
    ListUsers(ListUsersRequest),
}

/// A request that changes something.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeRequest {
    /// A message to another account, or to the same one.
    SendMessage(SendMessageRequest),
    /// Messages in the account's inbox that were read.
    ReadMessages(MessageIdsRequest),
    /// Messages in the account's inbox to delete.
    DeleteMessages(MessageIdsRequest),
    /// The end of the session.
    Logout(RequestId),
    /// The end of the account.
    DeleteUser(DeleteUserRequest),
    /// A new password for the account.
    ChangePassword(ChangePasswordRequest),
}

/// The name and the password of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The same on every retry.
    pub id: RequestId,
    /// The account.
    pub username: Username,
    /// Of the password.
    pub digest: Digest,
}

/// A message to send.
#[derive(Clone, Debug, PartialEq)]
pub struct SendMessageRequest {
    /// The same on every retry.
    pub id: RequestId,
    /// Made by the client; what makes a retry harmless (R15).
    pub message_id: MessageId,
    /// Must be the session's account.
    pub sender: Username,
    /// The account whose inbox it goes to.
    pub recipient: Username,
    /// Its text.
    pub body: MessageBody,
    /// Whether its sender's box gets a copy.
    pub keep_copy: bool,
    /// The message that it replies to, whether or not there is one.
    pub reply_to: Option<MessageId>,
    /// By its client's clock.
    pub written_at: Option<WrittenAt>,
}

/// Which page of the messages of which account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetMessagesRequest {
    /// The same on every retry.
    pub id: RequestId,
    /// Must be the session's account.
    pub username: Username,
    /// The page.
    pub query: InboxQuery,
    /// Whether the request names a direction, so that the reply does, too.
    pub names_direction: bool,
}

/// Which names to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListUsersRequest {
    /// The same on every retry.
    pub id: RequestId,
    /// The pattern that they match.
    pub pattern: Pattern,
    /// The most names of the page.
    pub limit: usize,
    /// The page begins after this name.
    pub after: Option<Username>,
}

/// Some messages of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageIdsRequest {
    /// The same on every retry.
    pub id: RequestId,
    /// Ids of messages of other accounts are ignored.
    pub message_ids: Vec<MessageId>,
}

/// An account to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteUserRequest {
    /// The same on every retry.
    pub id: RequestId,
    /// Must be the session's account.
    pub username: Username,
}

/// A new password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangePasswordRequest {
    /// The same on every retry; what makes a retry harmless (R15).
    pub id: RequestId,
    /// Of the password.
    pub digest: Digest,
    /// Of the new password.
    pub new_digest: Digest,
}

impl ChatRequest {
    /// The client's id of the request.
    pub fn id(&self) -> RequestId {
        match self {
            Self::SignIn(request) => request.credentials().id,
            Self::Read(request) => request.id(),
            Self::Change(request) => request.id(),
        }
    }

    /// Its `request_type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SignIn(SignInRequest::CreateUser(_)) => "CREATE_USER",
            Self::SignIn(SignInRequest::Login(_)) => "LOGIN",
            Self::Read(ReadRequest::GetMessages(_)) => "GET_MESSAGES",
            Self::Read(ReadRequest::CheckMessages(_)) => "CHECK_MESSAGES",
            Self::Read(ReadRequest::ListUsers(_)) => "LIST_USERS",
            Self::Change(request) => request.name(),
        }
    }
}

impl SignInRequest {
    fn credentials(&self) -> &Credentials {
        match self {
            Self::CreateUser(credentials) | Self::Login(credentials) => credentials,
        }
    }
}

impl ReadRequest {
    /// The client's id of the request.
    pub fn id(&self) -> RequestId {
        match self {
            Self::GetMessages(inbox) => inbox.id,
            Self::CheckMessages(messages) => messages.id,
            Self::ListUsers(listing) => listing.id,
        }
    }
}

impl ChangeRequest {
    /// The client's id of the request.
    pub fn id(&self) -> RequestId {
        match self {
            Self::SendMessage(message) => message.id,
            Self::ReadMessages(messages) | Self::DeleteMessages(messages) => messages.id,
            Self::Logout(id) => *id,
            Self::DeleteUser(removal) => removal.id,
            Self::ChangePassword(change) => change.id,
        }
    }

    /// Whether it ends the session with which it is made, so that its retry comes without a session.
    pub(crate) fn ends_its_session(&self) -> bool {
        matches!(
            self,
            Self::Logout(_) | Self::DeleteUser(_) | Self::ChangePassword(_)
        )
    }

    fn name(&self) -> &'static str {
        match self {
            Self::SendMessage(_) => "SEND_MESSAGE",
            Self::ReadMessages(_) => "READ_MESSAGES",
            Self::DeleteMessages(_) => "DELETE_MESSAGES",
            Self::Logout(_) => "LOGOUT",
            Self::DeleteUser(_) => "DELETE_USER",
            Self::ChangePassword(_) => "CHANGE_PASSWORD",
        }
    }
}
