//! The requests about messages.

use uuid::Uuid;

use crate::client::ChatClient;
use crate::error::ClientError;
use crate::requests::{
    Done, InboxPage, InboxQuery, MessageJson, Request, Sent, StoredMessage, StoredMessages,
};
use crate::session::Session;

/// A message with the ids that its caller keeps, to repeat it when the outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The permanent id of the message; sending it again with this id changes nothing.
    pub id: Uuid,
    /// The id of the request, the same for every repetition.
    pub request_id: Uuid,
    /// The account that receives it.
    pub recipient: String,
    /// The text.
    pub body: String,
}

/// What a message may have besides recipient and text. A cluster in which not all nodes know these options
/// rejects a message that has any of them, or its outcome is unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SendOptions {
    /// The sender gets a copy, which every device of the account finds. Whether there is one is decided by
    /// the first attempt to send the message.
    pub keep_copy: bool,
    /// The message that it replies to, whether or not there is one. A part of the message, as its text is.
    pub reply_to: Option<Uuid>,
    /// When it was written, in seconds since 1970, by the clock of the sender.
    pub written_at: Option<f64>,
}

impl OutgoingMessage {
    /// A new message with new ids.
    pub fn new(recipient: impl Into<String>, body: impl Into<String>) -> Self {
        Self {
            id: Uuid::now_v7(),
            request_id: Uuid::new_v4(),
            recipient: recipient.into(),
            body: body.into(),
        }
    }
}

impl ChatClient {
    /// Sends a new message. To be able to repeat it after an unknown outcome, keep an
    /// [`OutgoingMessage`] and use [`Self::send_message`] instead.
    ///
    /// # Errors
    ///
    /// [`ClientError::Application`] with `recipient_not_found`; see the contract for the others.
    pub async fn send(
        &self,
        session: &Session,
        recipient: &str,
        body: &str,
    ) -> Result<Sent, ClientError> {
        self.send_message(session, &OutgoingMessage::new(recipient, body))
            .await
    }

    /// Sends a message. However often it is repeated, it is delivered once.
    ///
    /// # Errors
    ///
    /// [`ClientError::Application`] with `recipient_not_found` or, when the id was used for another
    /// message, `duplicate_message`; see the contract for the others.
    pub async fn send_message(
        &self,
        session: &Session,
        message: &OutgoingMessage,
    ) -> Result<Sent, ClientError> {
        self.send_message_with(session, message, &SendOptions::default())
            .await
    }

    /// As [`Self::send_message`], with options, which are the same for every repetition.
    ///
    /// # Errors
    ///
    /// See [`Self::send_message`]; [`ClientError::Status`] also when the account has as many copies as it may.
    pub async fn send_message_with(
        &self,
        session: &Session,
        message: &OutgoingMessage,
        options: &SendOptions,
    ) -> Result<Sent, ClientError> {
        let request = Request::SendMessage {
            id: message.request_id,
            keep_copy: options.keep_copy,
            message: MessageJson {
                id: message.id,
                sender: session.username(),
                recipient: &message.recipient,
                body: &message.body,
                reply_to: options.reply_to,
                written_at: options.written_at,
            },
        };
        self.execute(&request, Some(session)).await
    }

    /// Which of these messages are stored, of those that the account has sent or received, in the order of
    /// their commits; with every message that was acknowledged before the call. An id that is missing was never
    /// stored for this account, or was deleted long ago.
    ///
    /// # Errors
    ///
    /// See the contract; never [`ClientError::OutcomeUnknown`]. [`ClientError::Status`] also for more than
    /// 1,000 ids.
    pub async fn check_messages(
        &self,
        session: &Session,
        message_ids: &[Uuid],
    ) -> Result<Vec<StoredMessage>, ClientError> {
        let request = Request::CheckMessages {
            id: Uuid::new_v4(),
            message_ids,
        };
        let stored: StoredMessages = self.execute(&request, Some(session)).await?;
        Ok(stored.messages)
    }

    /// A page of the session's messages, with every message that was acknowledged before the call.
    ///
    /// # Errors
    ///
    /// See the contract; never [`ClientError::OutcomeUnknown`].
    pub async fn inbox(
        &self,
        session: &Session,
        query: &InboxQuery,
    ) -> Result<InboxPage, ClientError> {
        let request = Request::GetMessages {
            id: Uuid::new_v4(),
            username: session.username(),
            query,
        };
        self.execute(&request, Some(session)).await
    }

    /// Marks messages of the session's inbox as read. Ids that are not in the inbox change nothing.
    ///
    /// # Errors
    ///
    /// See the contract. [`ClientError::Status`] also for more than 1,000 ids.
    pub async fn mark_read(
        &self,
        session: &Session,
        message_ids: &[Uuid],
    ) -> Result<(), ClientError> {
        let request = Request::ReadMessages {
            id: Uuid::new_v4(),
            message_ids,
        };
        let Done {} = self.execute(&request, Some(session)).await?;
        Ok(())
    }

    /// Deletes messages of the session's inbox, and copies of sent ones. Ids of others change nothing.
    ///
    /// # Errors
    ///
    /// See the contract. [`ClientError::Status`] also for more than 1,000 ids.
    pub async fn delete_messages(
        &self,
        session: &Session,
        message_ids: &[Uuid],
    ) -> Result<(), ClientError> {
        let request = Request::DeleteMessages {
            id: Uuid::new_v4(),
            message_ids,
        };
        let Done {} = self.execute(&request, Some(session)).await?;
        Ok(())
    }
}
