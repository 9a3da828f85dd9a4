//! Stores messages in inboxes: many rows a statement, then retries and rejections one by one.

use std::collections::HashSet;

use bytes::Bytes;
use chat_consensus::{LogIndex, Position, Term};
use sqlx::Row;

use super::apply_context::ApplyContext;
use super::command::{NewMessage, SessionClaim};
use super::copies::{Copies, NewCopy};
use super::error::StateError;
use super::events::{BatchResult, Change};
use super::inbox_counts::CountChanges;
use super::message::{Direction, Message};
use super::outcome;
use crate::batched_statement::{BatchedStatement, ROWS_MAX};
use crate::database::Database;

/// An id that is there already is looked at afterwards.
const ON_CONFLICT: &str = "ON CONFLICT (id) DO NOTHING";

/// A message from an authenticated sender.
#[derive(Debug)]
pub(super) struct SentMessage {
    /// The index of its entry in the batch.
    pub(super) batch_index: usize,
    /// As it will be in the inbox.
    pub(super) message: Message,
    /// Its sender gets a copy, too.
    keeps_copy: bool,
}

/// A message that is not stored yet, and the commit that created its recipient's account.
#[derive(Debug)]
struct PendingMessage {
    sent: SentMessage,
    recipient: LogIndex,
}

impl SentMessage {
    /// The message as it will be in the inbox, sent by the account of `claim`.
    pub(super) fn new(message: NewMessage, claim: &SessionClaim, context: &ApplyContext) -> Self {
        // The box of its sender has a message to oneself already (C4).
        let keeps_copy = message.options.keep_copy && message.recipient != claim.username;
        Self {
            batch_index: context.batch_index,
            keeps_copy,
            message: Message {
                id: message.id,
                sender: claim.username.clone(),
                sender_since: claim.credential.incarnation,
                recipient: message.recipient,
                direction: Direction::Received,
                body: message.body,
                reply_to: message.options.reply_to,
                written_at: message.options.written_at,
                timestamp: context.timestamp,
                read: false,
                commit: context.commit,
            },
        }
    }
}

/// Messages that are not in the table yet. Empty between two batches.
#[derive(Debug)]
pub(super) struct PendingMessages {
    insert: BatchedStatement,
    /// For rows of which one has what most messages do not have.
    insert_with_options: BatchedStatement,
    copies: Copies,
    /// In the order of their commits, each id once.
    messages: Vec<PendingMessage>,
    ids: HashSet<String>,
}

impl PendingMessages {
    pub(super) fn new() -> Self {
        let target = "messages (commit_index, commit_term, id, sender, sender_since, recipient, \
                      body, timestamp)";
        Self {
            insert: BatchedStatement::insert(target, 8, ON_CONFLICT),
            insert_with_options: BatchedStatement::insert(
                "messages (commit_index, commit_term, id, sender, sender_since, recipient, body, \
                 timestamp, reply_to, written_at)",
                10,
                ON_CONFLICT,
            ),
            copies: Copies::new(),
            messages: Vec::new(),
            ids: HashSet::new(),
        }
    }

    /// What it stores copies with.
    pub(super) fn copies(&self) -> &Copies {
        &self.copies
    }

    /// Adds the message, or sets its outcome at once. `recipient` is the commit that created the
    /// recipient's account, if it exists.
    ///
    /// A retry gets the original outcome even if its recipient was deleted since, so the id is
    /// checked before the recipient.
    pub(super) async fn send(
        &mut self,
        database: &mut Database,
        counts: &mut CountChanges,
        (sent, recipient): (SentMessage, Option<LogIndex>),
        results: &mut BatchResult,
    ) -> Result<(), StateError> {
        if self.ids.contains(&sent.message.id) || self.messages.len() == ROWS_MAX {
            self.flush(database, counts, results).await?;
        }
        if let Some(recipient) = recipient {
            // Whether it was sent before is checked by `flush`.
            self.ids.insert(sent.message.id.clone());
            self.messages.push(PendingMessage { sent, recipient });
        } else {
            let original = original_outcome(database, &sent).await?;
            results.set_outcome(
                sent.batch_index,
                original.unwrap_or_else(outcome::recipient_not_found),
            );
        }
        Ok(())
    }

    /// Writes the messages into the table and sets their outcomes.
    pub(super) async fn flush(
        &mut self,
        database: &mut Database,
        counts: &mut CountChanges,
        results: &mut BatchResult,
    ) -> Result<(), StateError> {
        let (Some(first), Some(last)) = (self.messages.first(), self.messages.last()) else {
            return Ok(());
        };
        let range = (
            first.sent.message.commit.index,
            last.sent.message.commit.index,
        );
        let inserted = self.insert(database).await?;
        let stored = if inserted == self.messages.len() {
            None
        } else {
            Some(stored_commits_in(database, range).await?)
        };
        self.insert_copies(database, counts, stored.as_ref())
            .await?;
        self.ids.clear();
        for PendingMessage { sent, recipient } in self.messages.drain(..) {
            let SentMessage {
                batch_index,
                message,
                keeps_copy,
            } = &sent;
            let is_stored = stored
                .as_ref()
                .is_none_or(|stored| stored.contains(&message.commit.index));
            if is_stored {
                let outcome = outcome::sent(&message.id, message.timestamp, message.commit);
                results.set_outcome(*batch_index, outcome);
                counts.stored(recipient);
                let (batch_index, commit) = (*batch_index, message.commit);
                let change = if *keeps_copy {
                    Change::MessageCopied {
                        message: sent.message,
                        recipient_since: recipient,
                    }
                } else {
                    Change::MessageStored(sent.message)
                };
                results.set_change(batch_index, commit, change);
            } else {
                let original = original_outcome(database, &sent).await?;
                let outcome = original.ok_or(StateError::Damaged { table: "messages" })?;
                results.set_outcome(*batch_index, outcome);
            }
        }
        Ok(())
    }

    /// Inserts the messages whose ids are new. Returns how many it inserted.
    async fn insert(&self, database: &mut Database) -> Result<usize, StateError> {
        let has_options = |pending: &PendingMessage| {
            let message = &pending.sent.message;
            message.reply_to.is_some() || message.written_at.is_some()
        };
        let have_options = self.messages.iter().any(has_options);
        let statement = if have_options {
            &self.insert_with_options
        } else {
            &self.insert
        };
        let mut query = sqlx::query(statement.for_count(self.messages.len()));
        for PendingMessage { sent, .. } in &self.messages {
            let message = &sent.message;
            query = query
                .bind(message.commit.index.0.cast_signed())
                .bind(message.commit.term.0.cast_signed())
                .bind(&message.id)
                .bind(&message.sender)
                .bind(message.sender_since.0.cast_signed())
                .bind(&message.recipient)
                .bind(&message.body)
                .bind(message.timestamp);
            if have_options {
                query = query
                    .bind(message.reply_to.as_deref())
                    .bind(message.written_at);
            }
        }
        let inserted = database.execute(query).await?;
        Ok(usize::try_from(inserted).expect("no more rows than were bound"))
    }

    /// Inserts the copies of those messages that are new, which are all without `stored`.
    async fn insert_copies(
        &self,
        database: &mut Database,
        counts: &mut CountChanges,
        stored: Option<&HashSet<LogIndex>>,
    ) -> Result<(), StateError> {
        let mut copies = Vec::new();
        for PendingMessage { sent, recipient } in &self.messages {
            let message = &sent.message;
            let is_stored = stored.is_none_or(|stored| stored.contains(&message.commit.index));
            if sent.keeps_copy && is_stored {
                counts.copied(message.sender_since);
                copies.push(NewCopy {
                    commit: message.commit.index,
                    owner: &message.sender,
                    recipient_since: *recipient,
                    body: &message.body,
                    reply_to: message.reply_to.as_deref(),
                    written_at: message.written_at,
                });
            }
        }
        if !copies.is_empty() {
            self.copies.insert(database, &copies).await?;
        }
        Ok(())
    }
}

/// The commits from `first` to `last` whose messages are in the table.
async fn stored_commits_in(
    database: &mut Database,
    (first, last): (LogIndex, LogIndex),
) -> Result<HashSet<LogIndex>, StateError> {
    let query = sqlx::query("SELECT commit_index FROM messages WHERE commit_index BETWEEN ? AND ?")
        .bind(first.0.cast_signed())
        .bind(last.0.cast_signed());
    let mut stored = HashSet::new();
    database
        .for_each_row::<StateError>(query, |row| {
            stored.insert(LogIndex(row.try_get::<i64, _>(0)?.cast_unsigned()));
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .await?;
    Ok(stored)
}

/// The original outcome if the same message was sent before, and a rejection if another message has
/// this id. `None` if the id is new.
async fn original_outcome(
    database: &mut Database,
    sent: &SentMessage,
) -> Result<Option<Bytes>, StateError> {
    let message = &sent.message;
    let query = sqlx::query(
        "SELECT sender, recipient, body, deleted, timestamp, commit_index, commit_term, reply_to \
         FROM messages WHERE id = ?",
    );
    let Some(row) = database.fetch_optional(query.bind(&message.id)).await? else {
        return Ok(None);
    };
    let commit = Position {
        index: LogIndex(row.try_get::<i64, _>(5)?.cast_unsigned()),
        term: Term(row.try_get::<i64, _>(6)?.cast_unsigned()),
    };
    // An earlier account may have had the sender's name. The text of a deleted message is gone and
    // cannot be compared.
    let is_same = message.sender_since < commit.index
        && row.try_get::<&str, _>(0)? == message.sender
        && row.try_get::<&str, _>(1)? == message.recipient
        && (row.try_get::<i64, _>(3)? != 0
            || (row.try_get::<&str, _>(2)? == message.body
                && row.try_get::<Option<&str>, _>(7)? == message.reply_to.as_deref()));
    if !is_same {
        return Ok(Some(outcome::duplicate_message()));
    }
    Ok(Some(outcome::sent(&message.id, row.try_get(4)?, commit)))
}
