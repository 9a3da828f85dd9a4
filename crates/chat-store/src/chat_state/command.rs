//! Commands, decoded from the payload of an entry; and as a node proposes them, before the leader has
//! given them their time.
//!
//! Only what applying depends on is checked here: a command that fails these checks stops every
//! node permanently. The format of names and messages is checked before proposing, and nowhere
//! else.

use std::fmt;

use bytes::{BufMut as _, Bytes, BytesMut};
use chat_consensus::LogIndex;
use chat_proto::storage::v1 as proto;
use prost::Message as _;

use super::credential::Credential;
use super::error::InvalidCommand;
use super::queries::StoredMessage;

/// The number of the field `time` in `storage.v1.Command`.
const TIME_FIELD: u32 = 2;
/// The length of that field: its key and a double.
const TIME_BYTES: usize = 9;

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
    /// All other operations are requested in a session. Nothing else about them is checked before
    /// the session is.
    InSession(SessionClaim, SessionOperation),
}

pub(super) enum SessionOperation {
    SendMessage(NewMessage),
    ReadMessages(Vec<String>),
    DeleteMessages(Vec<String>),
    Logout,
    DeleteUser,
    ChangePassword(NewPassword),
    RenewSession,
}

pub(super) struct CreateUser {
    pub(super) username: String,
    pub(super) password_hash: String,
    pub(super) token_hash: TokenHash,
    pub(super) lifetime: Lifetime,
}

pub(super) struct CreateSession {
    pub(super) username: String,
    pub(super) credential: Credential,
    pub(super) token_hash: TokenHash,
    pub(super) lifetime: Lifetime,
    /// The same password, hashed with other Argon2 parameters.
    pub(super) rehashed: Option<String>,
}

/// The session in which an operation is requested, with the account that the proposing node found for
/// it.
pub(super) struct SessionClaim {
    pub(super) token_hash: TokenHash,
    pub(super) username: String,
    pub(super) credential: Credential,
}

/// A message to store. Its text is kept out of `Debug`.
#[derive(PartialEq)]
pub struct NewMessage {
    /// A UUID in its canonical form.
    pub id: String,
    /// The recipient's username.
    pub recipient: String,
    /// The text.
    pub body: String,
    /// What most messages do not have.
    pub options: SendOptions,
}

/// What a message may have besides recipient and text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SendOptions {
    /// Its sender gets a copy.
    pub keep_copy: bool,
    /// The id of the message that it replies to.
    pub reply_to: Option<String>,
    /// When it was written by its sender's clock, in seconds since 1970; finite.
    pub written_at: Option<f64>,
}

impl fmt::Debug for NewMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewMessage")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

pub(super) struct NewPassword {
    pub(super) password_hash: String,
    pub(super) token_hash: TokenHash,
    pub(super) lifetime: Lifetime,
}

/// How long a session lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) idle_seconds: u32,
    pub(super) absolute_seconds: u32,
}

impl Command {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, InvalidCommand> {
        proto::Command::decode(bytes)?.try_into()
    }
}

impl TryFrom<proto::Command> for Command {
    type Error = InvalidCommand;

    fn try_from(command: proto::Command) -> Result<Self, InvalidCommand> {
        if !command.time.is_finite() {
            return Err(InvalidCommand::TimeNotFinite);
        }
        let operation = command.operation.ok_or(InvalidCommand::UnknownOperation)?;
        Ok(Self {
            request_id: fixed("request_id", &command.request_id)?,
            time: command.time,
            operation: decode_operation(operation)?,
        })
    }
}

fn decode_operation(operation: proto::command::Operation) -> Result<Operation, InvalidCommand> {
    use proto::command::Operation as Encoded;
    let (session, operation) = match operation {
        Encoded::CreateUser(user) => {
            return Ok(Operation::CreateUser(CreateUser {
                username: user.username,
                password_hash: user.password_hash,
                token_hash: fixed("token_hash", &user.token_hash)?,
                lifetime: lifetime(user.lifetime)?,
            }));
        }
        Encoded::CreateSession(session) => {
            return Ok(Operation::CreateSession(CreateSession {
                username: session.username,
                credential: credential(session.credential)?,
                token_hash: fixed("token_hash", &session.token_hash)?,
                lifetime: lifetime(session.lifetime)?,
                rehashed: Some(session.password_hash).filter(|hash| !hash.is_empty()),
            }));
        }
        Encoded::SendMessage(message) => return send_message(message, SendOptions::default()),
        Encoded::SendWithOptions(send) => {
            if !send.written_at.is_finite() {
                return Err(InvalidCommand::TimeNotFinite);
            }
            let options = SendOptions {
                keep_copy: send.keep_copy,
                reply_to: Some(send.reply_to).filter(|id| !id.is_empty()),
                written_at: Some(send.written_at).filter(|time| *time != 0.0),
            };
            let message = send.message.ok_or(InvalidCommand::MissingMessage)?;
            return send_message(message, options);
        }
        Encoded::Logout(logout) => (logout.session, SessionOperation::Logout),
        Encoded::ReadMessages(read) => (
            read.session,
            SessionOperation::ReadMessages(read.message_ids),
        ),
        Encoded::DeleteMessages(delete) => (
            delete.session,
            SessionOperation::DeleteMessages(delete.message_ids),
        ),
        Encoded::DeleteUser(delete) => (delete.session, SessionOperation::DeleteUser),
        Encoded::ChangePassword(change) => {
            let new = NewPassword {
                password_hash: change.password_hash,
                token_hash: fixed("token_hash", &change.token_hash)?,
                lifetime: lifetime(change.lifetime)?,
            };
            (change.session, SessionOperation::ChangePassword(new))
        }
        Encoded::RenewSession(renew) => (renew.session, SessionOperation::RenewSession),
    };
    Ok(Operation::InSession(claim(session)?, operation))
}

/// Its session is in fields of its own.
fn send_message(
    message: proto::SendMessage,
    options: SendOptions,
) -> Result<Operation, InvalidCommand> {
    let claim = SessionClaim {
        token_hash: fixed("token_hash", &message.token_hash)?,
        username: message.sender,
        credential: credential(message.credential)?,
    };
    let message = NewMessage {
        id: message.message_id,
        recipient: message.recipient,
        body: message.body,
        options,
    };
    Ok(Operation::InSession(
        claim,
        SessionOperation::SendMessage(message),
    ))
}

fn claim(session: Option<proto::Session>) -> Result<SessionClaim, InvalidCommand> {
    let session = session.ok_or(InvalidCommand::MissingSession)?;
    Ok(SessionClaim {
        token_hash: fixed("token_hash", &session.token_hash)?,
        username: session.username,
        credential: credential(session.credential)?,
    })
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

fn lifetime(lifetime: Option<proto::SessionLifetime>) -> Result<Lifetime, InvalidCommand> {
    let lifetime = lifetime.ok_or(InvalidCommand::MissingLifetime)?;
    Ok(Lifetime {
        idle_seconds: lifetime.idle_seconds,
        absolute_seconds: lifetime.absolute_seconds,
    })
}

/// A command that only lacks its time, and that applying will accept.
pub struct ProposedCommand {
    bytes: Bytes,
    request_id: [u8; 16],
    session: SessionClaim,
    operation: ProposedOperation,
}

/// What a proposed command does.
#[derive(Debug, PartialEq)]
pub enum ProposedOperation {
    /// Sends a message to another account, or to the same one.
    SendMessage(NewMessage),
    /// Marks the messages with these ids as read.
    ReadMessages(Vec<String>),
    /// Deletes the messages with these ids.
    DeleteMessages(Vec<String>),
    /// Ends the session.
    Logout,
    /// Ends the account.
    DeleteUser,
    /// Records that the session was used.
    RenewSession,
}

/// Without text and token.
impl fmt::Debug for ProposedCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProposedCommand")
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

impl ProposedCommand {
    /// Reads the encoding of a `storage.v1.Command` without time, whose operation needs no secret.
    ///
    /// # Errors
    ///
    /// It is a command that applying would reject. Or it contains more than this program knows, which
    /// nodes of different versions would apply differently (R16). Or it has a time already. Or only a
    /// leader may make it.
    pub fn decode(bytes: Bytes) -> Result<Self, InvalidCommand> {
        let command = proto::Command::decode(bytes.clone())?;
        // Every other encoding of the known fields is longer, has them in another order, or has another
        // number for true, which means the same everywhere. That is so as long as no operation has a packed
        // field, an enumeration or a map.
        if command.encoded_len() != bytes.len() {
            return Err(InvalidCommand::UnknownField);
        }
        if command.time.to_bits() != 0 {
            return Err(InvalidCommand::TimeSet);
        }
        let command = Command::try_from(command)?;
        let Operation::InSession(session, operation) = command.operation else {
            return Err(InvalidCommand::OnlyForLeader);
        };
        let operation = match operation {
            SessionOperation::SendMessage(message) => ProposedOperation::SendMessage(message),
            SessionOperation::ReadMessages(ids) => ProposedOperation::ReadMessages(ids),
            SessionOperation::DeleteMessages(ids) => ProposedOperation::DeleteMessages(ids),
            SessionOperation::Logout => ProposedOperation::Logout,
            SessionOperation::DeleteUser => ProposedOperation::DeleteUser,
            SessionOperation::RenewSession => ProposedOperation::RenewSession,
            SessionOperation::ChangePassword(_) => return Err(InvalidCommand::OnlyForLeader),
        };
        Ok(Self {
            bytes,
            request_id: command.request_id,
            session,
            operation,
        })
    }

    /// The client's request id.
    pub fn request_id(&self) -> [u8; 16] {
        self.request_id
    }

    /// The account in whose session it is requested.
    pub fn account(&self) -> &str {
        &self.session.username
    }

    /// What it does.
    pub fn operation(&self) -> &ProposedOperation {
        &self.operation
    }

    /// The message that it sends, as it would be stored; `None` for the other operations.
    pub fn message(&self) -> Option<StoredMessage<'_>> {
        let ProposedOperation::SendMessage(message) = &self.operation else {
            return None;
        };
        Some(StoredMessage {
            id: &message.id,
            sender: &self.session.username,
            sender_since: self.session.credential.incarnation,
            recipient: &message.recipient,
            body: &message.body,
            reply_to: message.options.reply_to.as_deref(),
        })
    }

    /// Of the message that it sends: whether its sender's box gets a copy, which that of a message to
    /// oneself does not.
    pub fn keeps_copy(&self) -> bool {
        let ProposedOperation::SendMessage(message) = &self.operation else {
            return false;
        };
        message.options.keep_copy && message.recipient != self.session.username
    }

    /// The payload of its entry: the same bytes, and the leader's time after them, which is finite.
    pub fn into_entry(self, time: f64) -> Bytes {
        assert!(time.is_finite(), "a node would stop at this entry: {time}");
        let mut entry = BytesMut::with_capacity(self.bytes.len() + TIME_BYTES);
        entry.put_slice(&self.bytes);
        prost::encoding::double::encode(TIME_FIELD, &time, &mut entry);
        entry.freeze()
    }
}
