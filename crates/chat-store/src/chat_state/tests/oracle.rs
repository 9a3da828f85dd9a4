//! What the tables should contain and return, in the simplest form: no SQL, no batches, no cache.

mod accounts;
mod dump;
mod inbox;

use std::collections::BTreeMap;

use super::*;
use crate::chat_state::retention::Retention;
use proto::ErrorCode;

pub(super) struct Oracle {
    pub(super) retention: Retention,
    pub(super) index: u64,
    time: f64,
    users: BTreeMap<String, User>,
    /// Name, request, commit of the deletion, its second.
    deleted_accounts: Vec<(String, Bytes, u64, i64)>,
    sessions: BTreeMap<Bytes, HeldSession>,
    /// By commit.
    messages: BTreeMap<u64, Stored>,
    /// By the commit of their messages.
    copies: BTreeMap<u64, Copied>,
    /// How many tombstones were kept for a copy, and how many were renewed because its owner deleted it.
    pub(super) kept_and_renewed: (u32, u32),
    /// Commit of the deletion, its second, name.
    pending_deletions: Vec<(u64, i64, String)>,
}

struct User {
    credential: proto::Credential,
    created_by: Bytes,
}

struct HeldSession {
    username: String,
    credential: proto::Credential,
    idle: i64,
    max_expires_at: i64,
    last_used: i64,
    idle_expires_at: i64,
    ended_by_request: Option<Bytes>,
}

struct Stored {
    message: Message,
    deleted: Option<(u64, i64)>,
    /// A tombstone that would have been removed without its copy.
    kept: bool,
}

struct Copied {
    owner: String,
    recipient_since: u64,
    body: String,
    reply_to: Option<String>,
}

impl Stored {
    fn delete(&mut self, deleted: (u64, i64)) {
        self.message.body.clear();
        self.message.reply_to = None;
        self.deleted = Some(deleted);
    }
}

impl Oracle {
    pub(super) fn new(retention: Retention) -> Self {
        Self {
            retention,
            index: 0,
            time: 0.0,
            users: BTreeMap::new(),
            deleted_accounts: Vec::new(),
            sessions: BTreeMap::new(),
            messages: BTreeMap::new(),
            copies: BTreeMap::new(),
            kept_and_renewed: (0, 0),
            pending_deletions: Vec::new(),
        }
    }

    /// The outcome in the format of [`show`], and the change.
    pub(super) fn apply(&mut self, command: &proto::Command) -> (String, Option<Change>) {
        self.index += 1;
        if self.index.is_multiple_of(self.retention.entries_between) {
            self.clean_up();
        }
        self.time = self.time.max(command.time);
        let request = &command.request_id;
        match command.operation.clone().unwrap() {
            Operation::CreateUser(user) => (self.create_user(user, request), None),
            Operation::CreateSession(session) => (self.create_session(session), None),
            Operation::SendMessage(message) => {
                let plain = proto::SendWithOptions {
                    message: Some(message),
                    ..proto::SendWithOptions::default()
                };
                self.send_in_session(plain, request)
            }
            Operation::SendWithOptions(send) => self.send_in_session(send, request),
            Operation::ReadMessages(read) => {
                self.in_session(read.session, request, |chat, owner, since| {
                    let changed = chat.each_own(owner, since, &read.message_ids, |stored| {
                        !std::mem::replace(&mut stored.message.read, true)
                    });
                    changed.map(|message_ids| Change::MessagesRead {
                        username: owner.to_owned(),
                        message_ids,
                    })
                })
            }
            Operation::DeleteMessages(delete) => {
                self.in_session(delete.session, request, |chat, owner, since| {
                    let deleted = (chat.index, chat.now());
                    let ids = &delete.message_ids;
                    let received = chat.each_own(owner, since, ids, |stored| {
                        stored.delete(deleted);
                        true
                    });
                    let message_ids = received.unwrap_or_default();
                    let copy_ids = chat.delete_copies(owner, since, ids);
                    let any = !message_ids.is_empty() || !copy_ids.is_empty();
                    any.then(|| Change::MessagesDeleted {
                        username: owner.to_owned(),
                        message_ids,
                        copy_ids,
                    })
                })
            }
            Operation::RenewSession(renew) => {
                self.in_session(renew.session, request, |_, _, _| None)
            }
            Operation::Logout(logout) => self.logout(&logout.session.unwrap(), request),
            Operation::DeleteUser(delete) => self.delete_user(&delete.session.unwrap(), request),
            Operation::ChangePassword(change) => self.change_password(change, request),
        }
    }

    fn now(&self) -> i64 {
        self.time as i64
    }

    fn clean_up(&mut self) {
        let now = self.now();
        let rows = self.retention.rows_max as usize;
        let mut expired: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, held)| held.idle_expires_at <= now)
            .map(|(token, held)| (held.idle_expires_at, token.clone()))
            .collect();
        expired.sort();
        for (_, token) in expired.into_iter().take(rows) {
            self.sessions.remove(&token);
        }
        if let Some((index, at, username)) = self.pending_deletions.first().cloned() {
            let limit = self.retention.rows_max;
            if self.delete_oldest(&username, (index, at), limit) < limit {
                self.pending_deletions.remove(0);
            }
        }
        let before = self.index.saturating_sub(self.retention.commits);
        let is_old =
            |(index, at): (u64, i64)| index <= before && at <= now - self.retention.seconds;
        let mut old: Vec<_> = self
            .messages
            .iter()
            .filter(|(_, stored)| !stored.kept)
            .filter_map(|(commit, stored)| Some((stored.deleted?, *commit)))
            .filter(|(deleted, _)| is_old(*deleted))
            .collect();
        old.sort_unstable();
        for (_, commit) in old.into_iter().take(rows) {
            if self.copies.contains_key(&commit) {
                self.messages.get_mut(&commit).unwrap().kept = true;
                self.kept_and_renewed.0 += 1;
            } else {
                self.messages.remove(&commit);
            }
        }
        let old = self.deleted_accounts.iter().take(rows);
        let old = old.take_while(|(.., index, at)| is_old((*index, *at)));
        let old = old.count();
        self.deleted_accounts.drain(..old);
    }
}

fn error(code: ErrorCode) -> String {
    format!("{code:?}")
}
