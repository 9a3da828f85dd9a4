//! The expected outcome of each command, by R15 alone: a model of the chat in a few maps.
//!
//! Written independently of `chat-store`, and slow where that is simple. Does not model the clean-up,
//! sessions that expire, or nodes.

use bytes::Bytes;
use chat_consensus::{LogIndex, Position};
use chat_proto::storage::v1 as proto;
use chat_store::{Direction, Message};
use proto::ErrorCode;
use proto::command::Operation;
use proto::outcome::Result as Outcome;

use super::{Account, AccountLifetime, Copied, Held, Kept, Ledger};
use crate::chat::situations::Situation;

const DONE: Outcome = Outcome::Done(proto::Done {});

impl Ledger {
    /// The expected outcome of the entry.
    pub(super) fn learn(&mut self, position: Position, command: &proto::Command) -> Outcome {
        let index = position.index.0;
        self.time = self.time.max(command.time);
        let request = &command.request_id;
        let operation = command.operation.clone().expect("it was prepared here");
        match operation {
            Operation::CreateUser(user) => self.create(index, request, &user),
            Operation::CreateSession(session) => self.log_in(index, &session),
            Operation::SendMessage(message) => {
                let plain = proto::SendWithOptions {
                    message: Some(message),
                    ..proto::SendWithOptions::default()
                };
                self.send_in_session(position, request, plain)
            }
            Operation::SendWithOptions(send) => self.send_in_session(position, request, send),
            Operation::ReadMessages(read) => {
                self.in_session(read.session.as_ref(), request, |ledger, owner| {
                    ledger.each_own(owner, &read.message_ids, |kept| {
                        kept.read.get_or_insert(index);
                    });
                })
            }
            Operation::DeleteMessages(delete) => {
                self.in_session(delete.session.as_ref(), request, |ledger, owner| {
                    ledger.each_own(owner, &delete.message_ids, |kept| {
                        kept.deleted = Some(index);
                    });
                    ledger.delete_copies(index, owner, |kept| {
                        delete.message_ids.contains(&kept.message.id)
                    });
                })
            }
            Operation::RenewSession(renew) => {
                self.in_session(renew.session.as_ref(), request, |_, _| {})
            }
            Operation::Logout(logout) => {
                let session = logout.session.expect("it was prepared here");
                self.ending(&session, request, |ledger, _| {
                    ledger.end(&session.token_hash, index, request);
                })
            }
            Operation::DeleteUser(delete) => {
                let session = delete.session.expect("it was prepared here");
                self.ending(&session, request, |ledger, owner| {
                    ledger.accounts.remove(&owner.username);
                    let theirs = |life: &&mut AccountLifetime| life.username == owner.username;
                    let life = ledger.lifetimes.iter_mut().rev().find(theirs);
                    life.expect("its session is good").ended = Some(index);
                    ledger.end(&session.token_hash, index, request);
                    ledger.end_sessions_of(&owner.username, index);
                    let all = ledger.messages.values_mut();
                    for kept in all.filter(|kept| kept.message.recipient == owner.username) {
                        kept.deleted.get_or_insert(index);
                    }
                    ledger.delete_copies(index, owner, |_| true);
                })
            }
            Operation::ChangePassword(change) => self.change_password(index, request, &change),
        }
    }

    fn create(&mut self, index: u64, request: &Bytes, user: &proto::CreateUser) -> Outcome {
        let created = (user.username.clone(), request.clone());
        if let Some(existing) = self.accounts.get(&user.username)
            && existing.created_by != request
        {
            return error(ErrorCode::UsernameTaken);
        }
        if !self.created.insert(created) {
            if !self.accounts.contains_key(&user.username) {
                self.occurrences.note(Situation::LateSignUp);
            }
            return error(ErrorCode::AlreadyCreatedByThisRequest);
        }
        if self
            .lifetimes
            .iter()
            .any(|life| life.username == user.username)
        {
            self.occurrences.note(Situation::AccountCreatedAgain);
        }
        self.lifetimes.push(AccountLifetime {
            username: user.username.clone(),
            began: index,
            ended: None,
        });
        let credential = proto::Credential {
            incarnation: index,
            version: index,
        };
        let account = Account {
            credential,
            created_by: request.clone(),
            password: user.password_hash.clone(),
        };
        self.accounts.insert(user.username.clone(), account);
        self.open(index, &user.token_hash, (&user.username, credential));
        Outcome::Created(proto::Created {
            credential: Some(credential),
        })
    }

    fn log_in(&mut self, index: u64, session: &proto::CreateSession) -> Outcome {
        let account = self.accounts.get(&session.username);
        let credential = account.map(|account| account.credential);
        let Some(credential) = credential.filter(|now| Some(*now) == session.credential) else {
            return error(ErrorCode::Unauthenticated);
        };
        self.open(index, &session.token_hash, (&session.username, credential));
        let unread = self.messages.range(credential.incarnation..);
        let unread = unread.filter(|(_, kept)| {
            kept.message.recipient == session.username
                && kept.read.is_none()
                && kept.deleted.is_none()
        });
        let unread = unread.count() as u64;
        Outcome::SessionCreated(proto::SessionCreated { unread })
    }

    fn change_password(
        &mut self,
        index: u64,
        request: &Bytes,
        change: &proto::ChangePassword,
    ) -> Outcome {
        let session = change.session.as_ref();
        match self.valid_session(session, request) {
            Ok(owner) => {
                let credential = proto::Credential {
                    incarnation: owner.credential.incarnation,
                    version: index,
                };
                let account = self.accounts.get_mut(&owner.username);
                let account = account.expect("its session is good");
                account.credential = credential;
                account.password.clone_from(&change.password_hash);
                let token = session.expect("it is good").token_hash.clone();
                self.end(&token, index, request);
                self.end_sessions_of(&owner.username, index);
                self.open(index, &change.token_hash, (&owner.username, credential));
                DONE
            }
            Err(true) => error(ErrorCode::AlreadyChangedByThisRequest),
            Err(false) => error(ErrorCode::Unauthenticated),
        }
    }

    fn send_in_session(
        &mut self,
        position: Position,
        request: &Bytes,
        mut send: proto::SendWithOptions,
    ) -> Outcome {
        let message = send.message.take().expect("it was prepared here");
        let session = proto::Session {
            token_hash: message.token_hash.clone(),
            username: message.sender.clone(),
            credential: message.credential,
        };
        match self.valid_session(Some(&session), request) {
            Ok(owner) => {
                let since = owner.credential.incarnation;
                self.send(position, message, (send.keep_copy, send.reply_to), since)
            }
            Err(_) => error(ErrorCode::Unauthenticated),
        }
    }

    fn send(
        &mut self,
        position: Position,
        message: proto::SendMessage,
        (keep_copy, reply_to): (bool, String),
        since: u64,
    ) -> Outcome {
        let index = position.index.0;
        let reply_to = Some(reply_to).filter(|id| !id.is_empty());
        if let Some(first) = self.ids.get(&message.message_id) {
            let kept = &self.messages[first];
            let is_same = since < *first
                && kept.message.sender == message.sender
                && kept.message.recipient == message.recipient
                && (kept.deleted.is_some()
                    || kept.message.body == message.body && kept.message.reply_to == reply_to);
            return if is_same {
                self.occurrences.note(if kept.deleted.is_some() {
                    Situation::DeletedSentAgain
                } else {
                    Situation::SentAgain
                });
                sent(&kept.message)
            } else {
                error(ErrorCode::DuplicateMessage)
            };
        }
        let Some(recipient) = self.accounts.get(&message.recipient) else {
            return error(ErrorCode::RecipientNotFound);
        };
        let is_copied = keep_copy && message.recipient != message.sender;
        let copy = is_copied.then_some(Copied {
            recipient_since: LogIndex(recipient.credential.incarnation),
            deleted: None,
        });
        if is_copied {
            self.occurrences.note(Situation::CopyKept);
        }
        let message = Message {
            id: message.message_id,
            sender: message.sender,
            sender_since: LogIndex(since),
            recipient: message.recipient,
            direction: Direction::Received,
            body: message.body,
            reply_to,
            written_at: None,
            timestamp: self.time,
            read: false,
            commit: position,
        };
        let answer = sent(&message);
        self.ids.insert(message.id.clone(), index);
        let kept = Kept {
            message,
            read: None,
            deleted: None,
            copy,
        };
        self.messages.insert(index, kept);
        answer
    }

    /// The session, if it is valid; otherwise whether this request ended it.
    fn valid_session(
        &mut self,
        session: Option<&proto::Session>,
        request: &Bytes,
    ) -> Result<Held, bool> {
        let session = session.ok_or(false)?;
        let held = self.sessions.get(&session.token_hash).ok_or(false)?;
        if held.username != session.username || Some(held.credential) != session.credential {
            return Err(false);
        }
        match &held.ended {
            None => Ok(held.clone()),
            Some(_) => {
                let by_itself = held.ended_by.as_ref() == Some(request);
                self.occurrences.note(if by_itself {
                    Situation::EndedByItself
                } else {
                    Situation::EndedSessionUsed
                });
                Err(by_itself)
            }
        }
    }

    fn in_session(
        &mut self,
        session: Option<&proto::Session>,
        request: &Bytes,
        work: impl FnOnce(&mut Self, &Held),
    ) -> Outcome {
        match self.valid_session(session, request) {
            Ok(owner) => {
                work(self, &owner);
                DONE
            }
            Err(_) => error(ErrorCode::Unauthenticated),
        }
    }

    /// As [`Self::in_session`], for a request that ends the session and may come again with it.
    fn ending(
        &mut self,
        session: &proto::Session,
        request: &Bytes,
        work: impl FnOnce(&mut Self, &Held),
    ) -> Outcome {
        match self.valid_session(Some(session), request) {
            Ok(owner) => {
                work(self, &owner);
                DONE
            }
            Err(true) => DONE,
            Err(false) => error(ErrorCode::Unauthenticated),
        }
    }

    fn each_own(&mut self, owner: &Held, ids: &[String], work: impl Fn(&mut Kept)) {
        for id in ids {
            let commit = self.ids.get(id);
            let commit = commit.filter(|commit| **commit > owner.credential.incarnation);
            let kept = commit.and_then(|commit| self.messages.get_mut(commit));
            let own = kept
                .filter(|kept| kept.message.recipient == owner.username && kept.deleted.is_none());
            own.into_iter().for_each(&work);
        }
    }

    /// Deletes those copies of the account that `chosen` names.
    fn delete_copies(&mut self, index: u64, owner: &Held, chosen: impl Fn(&Kept) -> bool) {
        let account = (owner.username.as_str(), owner.credential.incarnation);
        for kept in self.messages.values_mut() {
            if kept.has_copy_at(account, LogIndex(u64::MAX)) && chosen(kept) {
                self.occurrences.note(Situation::CopyDeleted);
                kept.copy.as_mut().expect("it has one").deleted = Some(index);
            }
        }
    }

    fn open(&mut self, index: u64, token: &Bytes, owner: (&str, proto::Credential)) {
        let held = Held {
            username: owner.0.to_owned(),
            credential: owner.1,
            opened: index,
            ended: None,
            ended_by: None,
        };
        self.sessions.entry(token.clone()).or_insert(held);
    }

    fn end(&mut self, token: &Bytes, index: u64, request: &Bytes) {
        if let Some(held) = self.sessions.get_mut(token) {
            held.ended = Some(index);
            held.ended_by = Some(request.clone());
        }
    }

    fn end_sessions_of(&mut self, username: &str, index: u64) {
        let theirs = self.sessions.values_mut();
        for held in theirs.filter(|held| held.username == username) {
            held.ended.get_or_insert(index);
        }
    }
}

fn sent(message: &Message) -> Outcome {
    Outcome::Sent(proto::Sent {
        id: message.id.clone(),
        timestamp: message.timestamp,
        commit_index: message.commit.index.0,
        commit_term: message.commit.term.0,
    })
}

fn error(code: ErrorCode) -> Outcome {
    Outcome::Error(proto::Error {
        code: code.into(),
        retry_after_ms: 0,
    })
}
