//! What only the leader does, before anything is appended: limits, the clock, random numbers and
//! passwords (R16).
//!
//! A request of a node is a command without its time, or one of three that need a secret: a new
//! account, a login and a change of the password. A command that the state machine cannot decode would
//! stop every node permanently, so it is decoded here by the same code.

mod leader_preparation;
mod reply_builder;
mod secrets;

use bytes::Bytes;
use chat_proto::{forwarded::v1 as forwarded, storage::v1 as storage};
use chat_replication::Prepared;
use chat_store::{ProposedCommand, ProposedOperation};
use prost::Message as _;
use uuid::Uuid;

use crate::error::RequestError;
use crate::host::{Host, PasswordHasher, ReadBarrier};
use crate::limits::inbox_room::InboxAdmission;
use crate::limits::quotas::Usage;
use crate::origin::Origin;
use forwarded::request::Operation;

use secrets::{READ_TIMEOUT, SecretOperation, SecretRequest};

pub use leader_preparation::{Counters, LeaderPreparation, SessionLifetime};
pub use reply_builder::ReplyBuilder;

/// The outcome of a preparation, or what is left to do.
#[derive(Debug)]
pub enum Preparing {
    /// It needed neither a read nor a password.
    Ready(Prepared<ReplyBuilder>),
    /// [`LeaderPreparation::finish`] has the outcome.
    Unfinished(Unfinished),
}

/// A request whose preparation needs a read or a password.
#[derive(Debug)]
pub struct Unfinished(Rest);

#[derive(Debug)]
enum Rest {
    /// The inbox of the recipient must be counted first.
    Uncounted(ProposedCommand),
    /// A limit rejects the message, unless it was stored already.
    Exceeded(ProposedCommand, RequestError),
    Secret(SecretRequest),
}

impl<P: PasswordHasher, H: Host> LeaderPreparation<P, H> {
    /// Decodes a `forwarded.v1.Request`, compares it with the limits, and prepares it if that needs
    /// nothing that waits.
    pub fn begin(&self, request: Bytes) -> Preparing {
        match forwarded::Request::decode(request) {
            Ok(request) => self.begin_request(request),
            Err(error) => self.fail_unknown(&error),
        }
    }

    fn begin_request(&self, request: forwarded::Request) -> Preparing {
        let operation = match request.operation {
            Some(Operation::Command(command)) => return self.begin_command(command),
            Some(Operation::CreateUser(user)) => SecretOperation::CreateUser(user),
            Some(Operation::Login(login)) => SecretOperation::Login(login),
            Some(Operation::ChangePassword(change)) => SecretOperation::ChangePassword(change),
            None => return self.fail_unknown(&"it has no operation that is known here"),
        };
        let Ok(id) = Uuid::from_slice(&request.request_id) else {
            return self.fail_unknown(&"its id does not have 16 bytes");
        };
        log_request(id);
        if let Err(error) = self.quotas.admit(&Usage::OF_A_SECRET, self.host.now()) {
            self.log_exceeded(&error);
            return Preparing::Ready(reply_builder::session_error(&error));
        }
        let (origin, timeout) = Origin::from_proto(request.origin);
        Preparing::Unfinished(Unfinished(Rest::Secret(SecretRequest {
            id,
            operation,
            origin,
            timeout,
        })))
    }

    /// The hot path: no query and no wait.
    fn begin_command(&self, command: Bytes) -> Preparing {
        let command = match ProposedCommand::decode(command) {
            Ok(command) => command,
            Err(error) => return self.fail_unknown(&error),
        };
        log_request(Uuid::from_bytes(command.request_id()));
        let now = self.host.now();
        if let Err(error) = self.quotas.admit(&Usage::from(&command), now) {
            return Preparing::Unfinished(Unfinished(Rest::Exceeded(command, error)));
        }
        let ProposedOperation::SendMessage(message) = command.operation() else {
            return Preparing::Ready(self.append(command));
        };
        match self.inboxes.reserve(&message.recipient, now) {
            InboxAdmission::Free => Preparing::Ready(self.append(command)),
            InboxAdmission::Uncounted => {
                Preparing::Unfinished(Unfinished(Rest::Uncounted(command)))
            }
            InboxAdmission::Full => {
                Preparing::Unfinished(Unfinished(Rest::Exceeded(command, RequestError::InboxFull)))
            }
        }
    }

    /// What needs a read of the tables, or a password.
    pub async fn finish(
        &self,
        unfinished: Unfinished,
        leader: &impl ReadBarrier,
    ) -> Prepared<ReplyBuilder> {
        let prepared = match unfinished.0 {
            Rest::Uncounted(command) => self.count_inbox(command, leader).await,
            Rest::Exceeded(command, error) => self.exceeded(&command, error, leader).await,
            Rest::Secret(request) => {
                let prepared = self.prepare_secret(request, leader).await;
                return prepared.unwrap_or_else(|error| reply_builder::session_error(&error));
            }
        };
        prepared.unwrap_or_else(|error| reply_builder::error(&error))
    }

    /// Counts the recipient's inbox when the room that is known to be left is used up.
    async fn count_inbox(
        &self,
        command: ProposedCommand,
        leader: &impl ReadBarrier,
    ) -> Result<Prepared<ReplyBuilder>, RequestError> {
        let ProposedOperation::SendMessage(message) = command.operation() else {
            return Ok(self.append(command));
        };
        let counts = self.reader.inbox_counts(&message.recipient).await;
        let counts = counts.map_err(|error| RequestError::log_read_error(&error))?;
        let messages = counts.unwrap_or_default().messages;
        let now = self.host.now();
        match self.inboxes.counted(&message.recipient, messages, now) {
            InboxAdmission::Full => {
                self.exceeded(&command, RequestError::InboxFull, leader)
                    .await
            }
            InboxAdmission::Free | InboxAdmission::Uncounted => Ok(self.append(command)),
        }
    }

    /// A request that a limit rejects may be the retry of one that was done: then it gets its answer. An
    /// earlier attempt may also be in the log and not yet applied, so the error is about this attempt
    /// only (R15).
    async fn exceeded(
        &self,
        command: &ProposedCommand,
        error: RequestError,
        leader: &impl ReadBarrier,
    ) -> Result<Prepared<ReplyBuilder>, RequestError> {
        self.log_exceeded(&error);
        let Some(message) = command.message() else {
            // The others change nothing the second time, so their retries need no answer now.
            return Err(error);
        };
        let Some(_lookup) = self.counters.begin_lookup() else {
            return Err(error);
        };
        let deadline = self.host.now() + READ_TIMEOUT;
        // Everything acknowledged before this is visible to the read below.
        if leader.ensure_linearizable(deadline).await.is_err() {
            return Err(error);
        }
        let stored = self.reader.stored_message(message).await;
        let stored = stored.map_err(|error| RequestError::log_read_error(&error))?;
        let Some((timestamp, commit)) = stored else {
            return Err(error);
        };
        Ok(reply_builder::sent(storage::Sent {
            id: message.id.to_owned(),
            timestamp,
            commit_index: commit.index.0,
            commit_term: commit.term.0,
        }))
    }

    fn append(&self, command: ProposedCommand) -> Prepared<ReplyBuilder> {
        Prepared::Append {
            command: command.into_entry(self.clock.propose()),
            make_reply: ReplyBuilder::Outcome,
        }
    }

    /// Its outcome is unknown: a node of another version would misread a reply.
    fn fail_unknown(&self, reason: &dyn std::fmt::Display) -> Preparing {
        if let Some(times) = self.counters.not_understood.record(self.host.now()) {
            tracing::error!(%reason, times, "a node sent what cannot be read; is it of another version?");
        }
        Preparing::Ready(Prepared::Failed)
    }

    fn log_exceeded(&self, error: &RequestError) {
        if let Some(times) = self.counters.exceeded.record(self.host.now()) {
            tracing::warn!(%error, times, "a request is rejected");
        }
    }
}

/// The node that the client reached logs the same id.
fn log_request(id: Uuid) {
    tracing::debug!(request = %id, "the leader prepares");
}
