//! What each command does to the tables, one entry after the other, in an open transaction.
//!
//! Applying is deterministic (R16): no clock, no randomness, no order of a hash map.

use bytes::Bytes;
use chat_consensus::Position;

use super::accounts::Accounts;
use super::apply_context::ApplyContext;
use super::command::{Command, Operation, SessionClaim, SessionOperation};
use super::error::StateError;
use super::events::{ApplyResult, BatchResult, Change};
use super::inbox_changes::{Deleted, InboxChanges};
use super::inbox_counts::CountChanges;
use super::outcome;
use super::pending_messages::{PendingMessages, SentMessage};
use super::progress::Progress;
use super::retention::Retention;
use super::sessions::SessionCheck;
use crate::database::Database;
use chat_consensus::CommittedEntry;

/// Applies entries; what it has applied is not committed until [`Self::commit`].
#[derive(Debug)]
pub(super) struct Applier {
    accounts: Accounts,
    pending: PendingMessages,
    inbox_changes: InboxChanges,
    counts: CountChanges,
    retention: Retention,
    /// Includes what the open transaction has applied.
    progress: Progress,
}

impl Applier {
    pub(super) fn new(retention: Retention, progress: Progress) -> Self {
        Self {
            accounts: Accounts::default(),
            pending: PendingMessages::new(),
            inbox_changes: InboxChanges::new(),
            counts: CountChanges::new(),
            retention,
            progress,
        }
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Applies the entries that follow the last applied one, in the open transaction.
    pub(super) async fn apply(
        &mut self,
        database: &mut Database,
        entries: &[CommittedEntry],
    ) -> Result<ApplyResult, StateError> {
        let mut results = BatchResult::new(entries.len());
        for (batch_index, entry) in entries.iter().enumerate() {
            let position = Position {
                term: entry.term,
                index: entry.index,
            };
            self.progress.advance(position, entry.chain);
            if self.retention.is_due(entry.index) {
                self.clean_up(database, &mut results).await?;
            }
            if let Some(command) = &entry.command {
                let command =
                    Command::decode(command).map_err(|source| StateError::InvalidCommand {
                        index: entry.index,
                        source,
                    })?;
                self.apply_command(database, command, batch_index, &mut results)
                    .await?;
            }
        }
        self.flush(database, &mut results).await?;
        Ok(results.finish())
    }

    /// Ends the open transaction.
    pub(super) async fn commit(&mut self, database: &mut Database) -> Result<(), StateError> {
        self.counts.write(database).await?;
        self.progress.save_and_commit(database).await
    }

    /// Writes the pending messages into the table.
    async fn flush(
        &mut self,
        database: &mut Database,
        results: &mut BatchResult,
    ) -> Result<(), StateError> {
        self.pending
            .flush(database, &mut self.counts, results)
            .await
    }

    /// Runs at the entry that `progress` has just reached, before its command.
    async fn clean_up(
        &mut self,
        database: &mut Database,
        results: &mut BatchResult,
    ) -> Result<(), StateError> {
        // Pending messages may be retries of messages that the clean-up removes.
        self.flush(database, results).await?;
        let (index, now) = (self.progress.applied.index, self.progress.now());
        self.retention
            .clean_up(database, &mut self.accounts, index, now)
            .await
    }

    /// Applies the command of the entry that `progress` has just reached.
    async fn apply_command(
        &mut self,
        database: &mut Database,
        command: Command,
        batch_index: usize,
        results: &mut BatchResult,
    ) -> Result<(), StateError> {
        let timestamp = self.progress.timestamp(command.time);
        let now = self.progress.now();
        let context = ApplyContext {
            batch_index,
            commit: self.progress.applied,
            request: command.request_id,
            timestamp,
            now,
            retain_until: now.saturating_add(self.retention.seconds),
        };
        let outcome = match command.operation {
            Operation::CreateUser(user) => {
                self.accounts.create_user(database, &user, &context).await?
            }
            Operation::CreateSession(session) => {
                // Its outcome contains how many of the messages sent before it are unread.
                self.flush(database, results).await?;
                self.accounts
                    .create_session(database, &self.counts, &session, &context)
                    .await?
            }
            Operation::InSession(claim, operation) => {
                let check = self.accounts.check_session(database, &claim, &context);
                match check.await? {
                    SessionCheck::Valid => {
                        return self
                            .apply_in_session(database, &claim, operation, &context, results)
                            .await;
                    }
                    SessionCheck::EndedByThisRequest => replayed_outcome(&operation),
                    SessionCheck::Invalid => outcome::unauthenticated(),
                }
            }
        };
        results.set_outcome(batch_index, outcome);
        Ok(())
    }

    /// Applies an operation that was requested in a session which is valid.
    async fn apply_in_session(
        &mut self,
        database: &mut Database,
        claim: &SessionClaim,
        operation: SessionOperation,
        context: &ApplyContext,
        results: &mut BatchResult,
    ) -> Result<(), StateError> {
        let username = || claim.username.clone();
        let change = match operation {
            SessionOperation::SendMessage(message) => {
                let message = SentMessage::new(message, claim, context);
                return self.send_message(database, message, results).await;
            }
            SessionOperation::ReadMessages(ids) => {
                self.flush(database, results).await?;
                self.read_messages(database, claim, &ids).await?
            }
            SessionOperation::DeleteMessages(ids) => {
                self.flush(database, results).await?;
                self.delete_messages(database, claim, &ids, context).await?
            }
            SessionOperation::Logout => {
                self.accounts.logout(database, claim, context).await?;
                Some(Change::SessionEnded {
                    token_hash: claim.token_hash,
                })
            }
            SessionOperation::DeleteUser => {
                // Pending messages belong to the inbox that is deleted.
                self.flush(database, results).await?;
                self.delete_user(database, claim, context).await?;
                Some(Change::AccountDeleted {
                    username: username(),
                    incarnation: claim.credential.incarnation,
                })
            }
            SessionOperation::ChangePassword(new) => {
                let credential = self
                    .accounts
                    .change_password(database, claim, &new, context)
                    .await?;
                Some(Change::PasswordChanged {
                    username: username(),
                    credential,
                })
            }
            SessionOperation::RenewSession => None,
        };
        results.set_outcome(context.batch_index, outcome::done());
        if let Some(change) = change {
            results.set_change(context.batch_index, context.commit, change);
        }
        Ok(())
    }

    async fn send_message(
        &mut self,
        database: &mut Database,
        sent: SentMessage,
        results: &mut BatchResult,
    ) -> Result<(), StateError> {
        let recipient = self.accounts.credential(database, &sent.message.recipient);
        let recipient = recipient.await?.map(|credential| credential.incarnation);
        self.pending
            .send(database, &mut self.counts, (sent, recipient), results)
            .await
    }

    async fn read_messages(
        &mut self,
        database: &mut Database,
        claim: &SessionClaim,
        ids: &[String],
    ) -> Result<Option<Change>, StateError> {
        let message_ids = self.inbox_changes.read(database, claim, ids).await?;
        let account = claim.credential.incarnation;
        self.counts.read(account, message_ids.len());
        Ok((!message_ids.is_empty()).then(|| Change::MessagesRead {
            username: claim.username.clone(),
            message_ids,
        }))
    }

    async fn delete_messages(
        &mut self,
        database: &mut Database,
        claim: &SessionClaim,
        ids: &[String],
        context: &ApplyContext,
    ) -> Result<Option<Change>, StateError> {
        let Deleted {
            message_ids,
            unread,
        } = self
            .inbox_changes
            .delete(database, claim, ids, context)
            .await?;
        let account = claim.credential.incarnation;
        self.counts.deleted(account, message_ids.len(), unread);
        let deleted = (context.commit.index, context.now);
        let copies = self.pending.copies();
        let copy_ids = copies.delete(database, claim, ids, deleted).await?;
        self.counts.copies_deleted(account, copy_ids.len());
        let some = !message_ids.is_empty() || !copy_ids.is_empty();
        Ok(some.then(|| Change::MessagesDeleted {
            username: claim.username.clone(),
            message_ids,
            copy_ids,
        }))
    }

    async fn delete_user(
        &mut self,
        database: &mut Database,
        claim: &SessionClaim,
        context: &ApplyContext,
    ) -> Result<(), StateError> {
        self.accounts.delete_user(database, claim, context).await?;
        self.counts
            .remove(database, claim.credential.incarnation)
            .await?;
        let deleted = (context.commit.index, context.now);
        self.retention
            .begin_deletion(database, &claim.username, deleted)
            .await
    }
}

/// The outcome for a repetition of the request that ended the session in which it is sent (R15).
fn replayed_outcome(operation: &SessionOperation) -> Bytes {
    match operation {
        SessionOperation::Logout | SessionOperation::DeleteUser => outcome::done(),
        SessionOperation::ChangePassword(_) => outcome::already_changed_by_this_request(),
        SessionOperation::SendMessage(_)
        | SessionOperation::ReadMessages(_)
        | SessionOperation::DeleteMessages(_)
        | SessionOperation::RenewSession => outcome::unauthenticated(),
    }
}
