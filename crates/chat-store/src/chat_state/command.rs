//! A command, once its bytes are known to be one.
//!
//! Only what applying depends on is checked: a command that is refused here stops every node for
//! good, so what a name or a message may look like is checked before proposing, and nowhere else.

use chat_consensus::{LogIndex, Position};
use chat_proto::storage::v1 as proto;
use prost::Message as _;

use super::error::InvalidCommand;
use super::messages::SentMessage;
use super::{Credential, Message};

pub(super) type RequestId = [u8; 16];
pub(super) type TokenHash = [u8; 32];

pub(super) struct Command {
    pub(super) request_id: RequestId,
    /// Seconds since 1970 by the leader's clock; finite.
    pub(super) time: f64,
    pub(super) operation: Operation,
}

pub(super) enum Operation {
    CreateUser(CreateUser),
    CreateSession(CreateSession),
    SendMessage(SendMessage),
}

pub(super) struct CreateUser {
    pub(super) username: String,
    pub(super) password_hash: String,
    pub(super) token_hash: TokenHash,
}

pub(super) struct CreateSession {
    pub(super) username: String,
    pub(super) credential: Credential,
    pub(super) token_hash: TokenHash,
}

pub(super) struct SendMessage {
    pub(super) token_hash: TokenHash,
    pub(super) credential: Credential,
    pub(super) id: String,
    pub(super) sender: String,
    pub(super) recipient: String,
    pub(super) body: String,
}

impl Command {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, InvalidCommand> {
        let command = proto::Command::decode(bytes)?;
        if !command.time.is_finite() {
            return Err(InvalidCommand::TimeNotFinite);
        }
        let operation = match command.operation.ok_or(InvalidCommand::UnknownOperation)? {
            proto::command::Operation::CreateUser(user) => Operation::CreateUser(CreateUser {
                username: user.username,
                password_hash: user.password_hash,
                token_hash: fixed("token_hash", &user.token_hash)?,
            }),
            proto::command::Operation::CreateSession(session) => {
                Operation::CreateSession(CreateSession {
                    username: session.username,
                    credential: credential(session.credential)?,
                    token_hash: fixed("token_hash", &session.token_hash)?,
                })
            }
            proto::command::Operation::SendMessage(message) => {
                Operation::SendMessage(SendMessage {
                    token_hash: fixed("token_hash", &message.token_hash)?,
                    credential: credential(message.credential)?,
                    id: message.message_id,
                    sender: message.sender,
                    recipient: message.recipient,
                    body: message.body,
                })
            }
        };
        Ok(Self {
            request_id: fixed("request_id", &command.request_id)?,
            time: command.time,
            operation,
        })
    }
}

impl SendMessage {
    /// The message as it enters the inbox; its outcome belongs into `slot`.
    pub(super) fn sent(self, slot: usize, timestamp: f64, commit: Position) -> SentMessage {
        let message = Message {
            id: self.id,
            sender: self.sender,
            recipient: self.recipient,
            body: self.body,
            timestamp,
            read: false,
            commit,
        };
        SentMessage { slot, message }
    }
}

fn fixed<const LENGTH: usize>(
    field: &'static str,
    bytes: &[u8],
) -> Result<[u8; LENGTH], InvalidCommand> {
    match bytes.try_into() {
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(InvalidCommand::WrongLength {
            field,
            found: bytes.len(),
        }),
    }
}

fn credential(credential: Option<proto::Credential>) -> Result<Credential, InvalidCommand> {
    let credential = credential.ok_or(InvalidCommand::MissingCredential)?;
    Ok(Credential {
        incarnation: LogIndex(credential.incarnation),
        version: LogIndex(credential.version),
    })
}
