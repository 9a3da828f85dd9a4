//! Parsing of requests: a request's text becomes a value whose type excludes mistakes, or an error that
//! names the field and the limit. Code further in does not check a name or a length again.
//!
//! Does not depend on sessions, accounts or the log.

mod chat_request;
mod fields;
mod invalid_request;
mod json;
mod paging;
mod parse;

#[cfg(test)]
mod tests;

pub use chat_request::{
    ChangePasswordRequest, ChangeRequest, ChatRequest, Credentials, DeleteUserRequest,
    GetMessagesRequest, ListUsersRequest, MessageIdsRequest, ReadRequest, SendMessageRequest,
    SignInRequest,
};
pub use fields::{Digest, MessageBody, MessageId, Pattern, RequestId, Username, WrittenAt};
pub use invalid_request::InvalidRequest;
pub use paging::encode_page_token;
pub use parse::REQUEST_BYTES_MAX;
