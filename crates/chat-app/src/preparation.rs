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
    /// Boxes must be counted first.
    Uncounted(ProposedCommand, Uncounted),
    /// A limit rejects the message, unless it was stored already.
    Exceeded(ProposedCommand, RequestError),
    Secret(SecretRequest),
}

/// What must be counted before a message has room.
#[derive(Clone, Copy, Debug)]
struct Uncounted {
    /// The copies of its sender.
    copies: bool,
    /// The inbox of its recipient.
    inbox: bool,
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
        // First that of the sender: if the copy has no room, the inbox is not charged.
        let copy = if command.keeps_copy() {
            self.copies.reserve(command.account(), now)
        } else {
            InboxAdmission::Free
        };
        let rest = if copy == InboxAdmission::Full {
            Rest::Exceeded(command, RequestError::CopiesFull)
        } else {
            let inbox = self.inboxes.reserve(&message.recipient, now);
            let uncounted = Uncounted {
                copies: copy == InboxAdmission::Uncounted,
                inbox: inbox == InboxAdmission::Uncounted,
            };
            match inbox {
                InboxAdmission::Full => Rest::Exceeded(command, RequestError::InboxFull),
                InboxAdmission::Free if !uncounted.copies => {
                    return Preparing::Ready(self.append(command));
                }
                _ => Rest::Uncounted(command, uncounted),
            }
        };
        Preparing::Unfinished(Unfinished(rest))
    }

    /// What needs a read of the tables, or a password.
    pub async fn finish(
        &self,
        unfinished: Unfinished,
        leader: &impl ReadBarrier,
    ) -> Prepared<ReplyBuilder> {
        let prepared = match unfinished.0 {
            Rest::Uncounted(command, uncounted) => self.count(command, uncounted, leader).await,
            Rest::Exceeded(command, error) => self.exceeded(&command, error, leader).await,
            Rest::Secret(request) => {
                let prepared = self.prepare_secret(request, leader).await;
                return prepared.unwrap_or_else(|error| reply_builder::session_error(&error));
            }
        };
        prepared.unwrap_or_else(|error| reply_builder::error(&error))
    }

    /// Counts boxes when the room that is known to be left in them is used up.
    async fn count(
        &self,
        command: ProposedCommand,
        uncounted: Uncounted,
        leader: &impl ReadBarrier,
    ) -> Result<Prepared<ReplyBuilder>, RequestError> {
        let ProposedOperation::SendMessage(message) = command.operation() else {
            return Ok(self.append(command));
        };
        let read_error = |error| RequestError::log_read_error(&error);
        if uncounted.copies {
            let owner = command.account();
            let copies = self.reader.copy_count(owner).await.map_err(read_error)?;
            let now = self.host.now();
            if self.copies.counted(owner, copies, now) == InboxAdmission::Full {
                return self
                    .exceeded(&command, RequestError::CopiesFull, leader)
                    .await;
            }
        }
        if uncounted.inbox {
            let counts = self.reader.inbox_counts(&message.recipient).await;
            let messages = counts.map_err(read_error)?.unwrap_or_default().messages;
            let now = self.host.now();
            let inbox = self.inboxes.counted(&message.recipient, messages, now);
            if inbox == InboxAdmission::Full {
                return self
                    .exceeded(&command, RequestError::InboxFull, leader)
                    .await;
            }
        }
        Ok(self.append(command))
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
