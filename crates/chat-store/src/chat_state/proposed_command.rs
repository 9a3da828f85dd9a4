//! A command as a node proposes it, before the leader has given it its time.

use std::fmt;

use bytes::{BufMut as _, Bytes, BytesMut};
use chat_proto::storage::v1 as proto;
use prost::Message as _;

use super::command::{Command, NewMessage, Operation, SessionClaim, SessionOperation};
use super::error::InvalidCommand;
use super::queries::StoredMessage;

/// The number of the field `time` in `storage.v1.Command`.
const TIME_FIELD: u32 = 2;
/// The length of that field: its key and a double.
const TIME_BYTES: usize = 9;

/// A command that only lacks its time, and that applying will accept.
pub struct ProposedCommand {
    bytes: Bytes,
    request_id: [u8; 16],
    session: SessionClaim,
    operation: ProposedOperation,
}

/// What a proposed command does.
#[derive(Debug, PartialEq, Eq)]
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
        // Every other encoding of the known fields is longer, or has them in another order. That is so
        // as long as no operation has a packed field, an enumeration or a map.
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
        })
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
