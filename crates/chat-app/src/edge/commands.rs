//! From a request and its session to the operation that the log will have.

use bytes::Bytes;
use chat_proto::storage::v1 as storage;
use chat_store::Session;
use storage::command::Operation;

use crate::request::{MessageId, SendMessageRequest};
use crate::token::TokenHash;

/// A message, which has the parts of its session that are not in its own fields.
pub(super) fn send_message(message: SendMessageRequest, session: storage::Session) -> Operation {
    Operation::SendMessage(storage::SendMessage {
        token_hash: session.token_hash,
        credential: session.credential,
        message_id: message.message_id.0,
        sender: message.sender.0,
        recipient: message.recipient.0,
        body: message.body.0,
    })
}

pub(super) fn texts(ids: Vec<MessageId>) -> Vec<String> {
    ids.into_iter().map(|id| id.0).collect()
}

/// The session in the form that applying checks again.
pub(super) fn session_claim(session: &Session, token: TokenHash) -> storage::Session {
    storage::Session {
        token_hash: Bytes::copy_from_slice(&token.0),
        username: session.username.clone(),
        credential: Some(storage::Credential {
            incarnation: session.credential.incarnation.0,
            version: session.credential.version.0,
        }),
    }
}
