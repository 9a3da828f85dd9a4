//! What the tables should hold and answer, in the plainest words: no SQL, no batches, no cache.

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
    former: Vec<(String, Bytes, u64, i64)>,
    sessions: BTreeMap<Bytes, Held>,
    /// By commit.
    messages: BTreeMap<u64, Stored>,
    /// Commit of the deletion, its second, name.
    erasures: Vec<(u64, i64, String)>,
}

struct User {
    credential: proto::Credential,
    created_by: Bytes,
}

struct Held {
    username: String,
    credential: proto::Credential,
    idle: i64,
    ends: i64,
    last_used: i64,
    expires: i64,
    ended_by: Option<Bytes>,
}

struct Stored {
    message: Message,
    deleted: Option<(u64, i64)>,
}

impl Oracle {
    pub(super) fn new(retention: Retention) -> Self {
        Self {
            retention,
            index: 0,
            time: 0.0,
            users: BTreeMap::new(),
            former: Vec::new(),
            sessions: BTreeMap::new(),
            messages: BTreeMap::new(),
            erasures: Vec::new(),
        }
    }

    /// The outcome as [`show`] shows it, and what it changed.
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
                let session = proto::Session {
                    token_hash: message.token_hash.clone(),
                    username: message.sender.clone(),
                    credential: message.credential,
                };
                match self.enter(Some(session), request) {
                    Ok(since) => self.send(message, since),
                    Err(_) => (error(ErrorCode::Unauthenticated), None),
                }
            }
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
                    let changed = chat.each_own(owner, since, &delete.message_ids, |stored| {
                        stored.message.body.clear();
                        stored.deleted = Some(deleted);
                        true
                    });
                    changed.map(|message_ids| Change::MessagesDeleted {
                        username: owner.to_owned(),
                        message_ids,
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

    fn create_user(&mut self, user: proto::CreateUser, request: &Bytes) -> String {
        if let Some(existing) = self.users.get(&user.username) {
            return error(if existing.created_by == request {
                ErrorCode::AlreadyCreatedByThisRequest
            } else {
                ErrorCode::UsernameTaken
            });
        }
        let is_same =
            |(name, by, ..): &(String, Bytes, u64, i64)| *name == user.username && by == request;
        if self.former.iter().any(is_same) {
            return error(ErrorCode::AlreadyCreatedByThisRequest);
        }
        let credential = credential(self.index).unwrap();
        self.open(&user.username, credential, user.token_hash, user.lifetime);
        let created_by = request.clone();
        let account = User {
            credential,
            created_by,
        };
        self.users.insert(user.username, account);
        format!("created {}.{}", self.index, self.index)
    }

    fn create_session(&mut self, session: proto::CreateSession) -> String {
        let credential = session.credential.unwrap();
        let username = &session.username;
        if self.users.get(username).map(|user| user.credential) != Some(credential)
            || !self.open(username, credential, session.token_hash, session.lifetime)
        {
            return error(ErrorCode::Unauthenticated);
        }
        format!("session, {} unread", self.inbox(username).1)
    }

    fn open(
        &mut self,
        username: &str,
        credential: proto::Credential,
        token: Bytes,
        lifetime: Option<proto::SessionLifetime>,
    ) -> bool {
        if let Some(held) = self.sessions.get(&token) {
            return held.username == username && held.credential == credential;
        }
        let lifetime = lifetime.unwrap();
        let now = self.now();
        let (idle, ends) = (
            i64::from(lifetime.idle_seconds),
            now + i64::from(lifetime.absolute_seconds),
        );
        let held = Held {
            username: username.to_owned(),
            credential,
            idle,
            ends,
            last_used: now,
            expires: ends.min(now + idle),
            ended_by: None,
        };
        self.sessions.insert(token, held);
        true
    }

    /// The commit that created the session's account, if the session may be used; it is, then.
    /// Otherwise whether this request has ended it.
    fn enter(&mut self, session: Option<proto::Session>, request: &Bytes) -> Result<u64, bool> {
        let session = session.unwrap();
        let now = self.now();
        let credential = session.credential.unwrap();
        let held = self.sessions.get_mut(&session.token_hash).ok_or(false)?;
        if held.username != session.username || held.credential != credential {
            return Err(false);
        }
        if let Some(ended_by) = &held.ended_by {
            return Err(ended_by == request);
        }
        let user = self.users.get(&session.username).ok_or(false)?;
        if held.expires <= now || user.credential != credential {
            return Err(false);
        }
        if held.last_used + held.idle / 16 <= now {
            held.last_used = now;
            held.expires = held.ends.min(now + held.idle);
        }
        Ok(credential.incarnation)
    }

    fn in_session(
        &mut self,
        session: Option<proto::Session>,
        request: &Bytes,
        work: impl FnOnce(&mut Self, &str, u64) -> Option<Change>,
    ) -> (String, Option<Change>) {
        let owner = session.as_ref().unwrap().username.clone();
        match self.enter(session, request) {
            Ok(since) => ("done".to_owned(), work(self, &owner, since)),
            Err(_) => (error(ErrorCode::Unauthenticated), None),
        }
    }

    fn send(&mut self, message: proto::SendMessage, since: u64) -> (String, Option<Change>) {
        let sent = |message: &Message| {
            let (commit, timestamp) = (message.commit, message.timestamp);
            format!("sent {} at {timestamp} as {}@1", message.id, commit.index.0)
        };
        let mut stored = self.messages.values();
        if let Some(first) = stored.find(|first| first.message.id == message.message_id) {
            let is_same = since < first.message.commit.index.0
                && first.message.sender == message.sender
                && first.message.recipient == message.recipient
                && (first.deleted.is_some() || first.message.body == message.body);
            return if is_same {
                (sent(&first.message), None)
            } else {
                (error(ErrorCode::DuplicateMessage), None)
            };
        }
        if !self.users.contains_key(&message.recipient) {
            return (error(ErrorCode::RecipientNotFound), None);
        }
        let message = Message {
            id: message.message_id,
            sender: message.sender,
            sender_since: LogIndex(since),
            recipient: message.recipient,
            body: message.body,
            timestamp: self.time,
            read: false,
            commit: Position::new(self.index, 1),
        };
        let stored = Stored {
            message: message.clone(),
            deleted: None,
        };
        self.messages.insert(self.index, stored);
        (sent(&message), Some(Change::MessageStored(message)))
    }

    /// The ids, of those given, of the messages that are there and that `work` has changed.
    fn each_own(
        &mut self,
        owner: &str,
        since: u64,
        ids: &[String],
        work: impl Fn(&mut Stored) -> bool,
    ) -> Option<Vec<String>> {
        let own = self.messages.range_mut(since..).filter(|(_, stored)| {
            stored.message.recipient == owner
                && stored.deleted.is_none()
                && ids.contains(&stored.message.id)
        });
        let changed: Vec<String> = own
            .filter_map(|(_, stored)| work(stored).then(|| stored.message.id.clone()))
            .collect();
        (!changed.is_empty()).then_some(changed)
    }

    fn end(&mut self, token: &Bytes, request: &Bytes) {
        let retain_until = self.now() + self.retention.seconds;
        let held = self.sessions.get_mut(token).unwrap();
        held.ended_by = Some(request.clone());
        held.expires = retain_until;
    }

    fn logout(&mut self, session: &proto::Session, request: &Bytes) -> (String, Option<Change>) {
        match self.enter(Some(session.clone()), request) {
            Ok(_) => {
                self.end(&session.token_hash, request);
                let token_hash = session.token_hash.as_ref().try_into().unwrap();
                ("done".to_owned(), Some(Change::SessionEnded { token_hash }))
            }
            Err(true) => ("done".to_owned(), None),
            Err(false) => (error(ErrorCode::Unauthenticated), None),
        }
    }

    fn delete_user(
        &mut self,
        session: &proto::Session,
        request: &Bytes,
    ) -> (String, Option<Change>) {
        match self.enter(Some(session.clone()), request) {
            Ok(since) => {
                let username = session.username.clone();
                let user = self.users.remove(&username).unwrap();
                let (index, now) = (self.index, self.now());
                self.former
                    .push((username.clone(), user.created_by, index, now));
                self.end(&session.token_hash, request);
                let limit = self.retention.deleted_at_once_max;
                if self.delete_oldest(&username, (index, now), limit) == limit {
                    self.erasures.push((index, now, username.clone()));
                }
                let change = Change::AccountDeleted {
                    username,
                    incarnation: LogIndex(since),
                };
                ("done".to_owned(), Some(change))
            }
            Err(true) => ("done".to_owned(), None),
            Err(false) => (error(ErrorCode::Unauthenticated), None),
        }
    }

    fn delete_oldest(&mut self, username: &str, deleted: (u64, i64), limit: u32) -> u32 {
        let theirs = self
            .messages
            .range_mut(..deleted.0)
            .filter(|(_, stored)| stored.message.recipient == username && stored.deleted.is_none());
        let mut erased = 0;
        for (_, stored) in theirs.take(limit as usize) {
            stored.message.body.clear();
            stored.deleted = Some(deleted);
            erased += 1;
        }
        erased
    }

    fn change_password(
        &mut self,
        change: proto::ChangePassword,
        request: &Bytes,
    ) -> (String, Option<Change>) {
        let session = change.session.unwrap();
        match self.enter(Some(session.clone()), request) {
            Ok(since) => {
                let credential = proto::Credential {
                    incarnation: since,
                    version: self.index,
                };
                let username = session.username;
                self.users.get_mut(&username).unwrap().credential = credential;
                self.end(&session.token_hash, request);
                self.open(&username, credential, change.token_hash, change.lifetime);
                let credential = Credential {
                    incarnation: LogIndex(since),
                    version: LogIndex(self.index),
                };
                let change = Change::PasswordChanged {
                    username,
                    credential,
                };
                ("done".to_owned(), Some(change))
            }
            Err(true) => (error(ErrorCode::AlreadyChangedByThisRequest), None),
            Err(false) => (error(ErrorCode::Unauthenticated), None),
        }
    }

    fn clean_up(&mut self) {
        let now = self.now();
        let rows = self.retention.rows_max as usize;
        let mut expired: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, held)| held.expires <= now)
            .map(|(token, held)| (held.expires, token.clone()))
            .collect();
        expired.sort();
        for (_, token) in expired.into_iter().take(rows) {
            self.sessions.remove(&token);
        }
        if let Some((index, at, username)) = self.erasures.first().cloned() {
            let limit = self.retention.rows_max;
            if self.delete_oldest(&username, (index, at), limit) < limit {
                self.erasures.remove(0);
            }
        }
        let before = self.index.saturating_sub(self.retention.commits);
        let is_old =
            |(index, at): (u64, i64)| index <= before && at <= now - self.retention.seconds;
        let mut old: Vec<_> = self
            .messages
            .iter()
            .filter_map(|(commit, stored)| Some((stored.deleted?, *commit)))
            .filter(|(deleted, _)| is_old(*deleted))
            .collect();
        old.sort_unstable();
        for (_, commit) in old.into_iter().take(rows) {
            self.messages.remove(&commit);
        }
        let old = self.former.iter().take(rows);
        let old = old.take_while(|(.., index, at)| is_old((*index, *at)));
        let old = old.count();
        self.former.drain(..old);
    }

    /// How many messages the account has, and how many of them are unread, counted anew.
    fn inbox(&self, username: &str) -> (usize, usize) {
        let since = self.users[username].credential.incarnation;
        let inbox = self
            .messages
            .range(since..)
            .filter(|(_, stored)| stored.message.recipient == username && stored.deleted.is_none());
        let unread = inbox.clone().filter(|(_, stored)| !stored.message.read);
        (inbox.count(), unread.count())
    }

    /// As [`super::properties::DUMP`] shows the tables.
    pub(super) fn dump(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, user) in &self.users {
            let proto::Credential {
                incarnation,
                version,
            } = user.credential;
            lines.push(format!("user {name} {incarnation} {version}"));
        }
        for name in self.users.keys() {
            let (messages, unread) = self.inbox(name);
            lines.push(format!("inbox {name} {messages} {unread}"));
        }
        for (token, held) in &self.sessions {
            let ended = held.ended_by.as_ref().map_or(0, |by| by[0]);
            let Held {
                username,
                last_used,
                expires,
                ..
            } = held;
            lines.push(format!(
                "session {} {username} {last_used} {expires} {ended}",
                token[0]
            ));
        }
        for (commit, stored) in &self.messages {
            let Message {
                id,
                sender,
                sender_since,
                recipient,
                body,
                read,
                ..
            } = &stored.message;
            let (deleted, at) = stored.deleted.unwrap_or_default();
            let read = u8::from(*read);
            lines.push(format!(
                "message {commit} {id} {sender} {sender_since} {recipient} [{body}] {read} {deleted} {at}"
            ));
        }
        let former = self.former.iter();
        lines.extend(former.map(|(name, _, index, at)| format!("former {index} {name} {at}")));
        let erasures = self.erasures.iter();
        lines.extend(erasures.map(|(index, _, name)| format!("erasure {index} {name}")));
        lines
    }

    /// A session that somebody may hold, mostly a valid one.
    pub(super) fn some_session(&self, random: &mut fastrand::Rng) -> Option<proto::Session> {
        let now = self.now();
        let any = random.u8(0..8) == 0;
        let held = self.sessions.iter().filter(|(_, held)| {
            let valid = held.ended_by.is_none()
                && now < held.expires
                && self.credential(&held.username) == Some(held.credential);
            any || valid
        });
        let (token, held) = random.choice(held.collect::<Vec<_>>())?;
        Some(proto::Session {
            token_hash: token.clone(),
            username: held.username.clone(),
            credential: Some(held.credential),
        })
    }

    pub(super) fn credential(&self, username: &str) -> Option<proto::Credential> {
        Some(self.users.get(username)?.credential)
    }

    /// How many messages and tombstones there are.
    pub(super) fn kept(&self) -> (usize, usize) {
        let tombstones = self
            .messages
            .values()
            .filter(|stored| stored.deleted.is_some());
        let tombstones = tombstones.count();
        (self.messages.len() - tombstones, tombstones)
    }
}

fn error(code: ErrorCode) -> String {
    format!("{code:?}")
}
