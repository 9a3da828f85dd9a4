//! Accounts, their sessions, and what ends them.

use super::*;

impl Oracle {
    pub(super) fn create_user(&mut self, user: proto::CreateUser, request: &Bytes) -> String {
        if let Some(existing) = self.users.get(&user.username) {
            return error(if existing.created_by == request {
                ErrorCode::AlreadyCreatedByThisRequest
            } else {
                ErrorCode::UsernameTaken
            });
        }
        let is_same =
            |(name, by, ..): &(String, Bytes, u64, i64)| *name == user.username && by == request;
        if self.deleted_accounts.iter().any(is_same) {
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

    pub(super) fn create_session(&mut self, session: proto::CreateSession) -> String {
        let credential = session.credential.unwrap();
        let username = &session.username;
        if self.users.get(username).map(|user| user.credential) != Some(credential)
            || !self.open(username, credential, session.token_hash, session.lifetime)
        {
            return error(ErrorCode::Unauthenticated);
        }
        format!("session, {} unread", self.inbox(username).1)
    }

    pub(super) fn open(
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
        let (idle, max_expires_at) = (
            i64::from(lifetime.idle_seconds),
            now + i64::from(lifetime.absolute_seconds),
        );
        let held = HeldSession {
            username: username.to_owned(),
            credential,
            idle,
            max_expires_at,
            last_used: now,
            idle_expires_at: max_expires_at.min(now + idle),
            ended_by_request: None,
        };
        self.sessions.insert(token, held);
        true
    }

    /// Uses the session if it is valid, and returns the commit that created its account. Otherwise
    /// returns whether this request ended it.
    pub(super) fn check_session(
        &mut self,
        session: Option<proto::Session>,
        request: &Bytes,
    ) -> Result<u64, bool> {
        let session = session.unwrap();
        let now = self.now();
        let credential = session.credential.unwrap();
        let held = self.sessions.get_mut(&session.token_hash).ok_or(false)?;
        if held.username != session.username || held.credential != credential {
            return Err(false);
        }
        if let Some(ended_by) = &held.ended_by_request {
            return Err(ended_by == request);
        }
        let user = self.users.get(&session.username).ok_or(false)?;
        if held.idle_expires_at <= now || user.credential != credential {
            return Err(false);
        }
        if held.last_used + held.idle / 16 <= now {
            held.last_used = now;
            held.idle_expires_at = held.max_expires_at.min(now + held.idle);
        }
        Ok(credential.incarnation)
    }

    pub(super) fn in_session(
        &mut self,
        session: Option<proto::Session>,
        request: &Bytes,
        work: impl FnOnce(&mut Self, &str, u64) -> Option<Change>,
    ) -> (String, Option<Change>) {
        let owner = session.as_ref().unwrap().username.clone();
        match self.check_session(session, request) {
            Ok(since) => ("done".to_owned(), work(self, &owner, since)),
            Err(_) => (error(ErrorCode::Unauthenticated), None),
        }
    }

    pub(super) fn end(&mut self, token: &Bytes, request: &Bytes) {
        let retain_until = self.now() + self.retention.seconds;
        let held = self.sessions.get_mut(token).unwrap();
        held.ended_by_request = Some(request.clone());
        held.idle_expires_at = retain_until;
    }

    pub(super) fn logout(
        &mut self,
        session: &proto::Session,
        request: &Bytes,
    ) -> (String, Option<Change>) {
        match self.check_session(Some(session.clone()), request) {
            Ok(_) => {
                self.end(&session.token_hash, request);
                let token_hash = session.token_hash.as_ref().try_into().unwrap();
                ("done".to_owned(), Some(Change::SessionEnded { token_hash }))
            }
            Err(true) => ("done".to_owned(), None),
            Err(false) => (error(ErrorCode::Unauthenticated), None),
        }
    }

    pub(super) fn delete_user(
        &mut self,
        session: &proto::Session,
        request: &Bytes,
    ) -> (String, Option<Change>) {
        match self.check_session(Some(session.clone()), request) {
            Ok(since) => {
                let username = session.username.clone();
                let user = self.users.remove(&username).unwrap();
                let (index, now) = (self.index, self.now());
                self.deleted_accounts
                    .push((username.clone(), user.created_by, index, now));
                self.end(&session.token_hash, request);
                let limit = self.retention.deleted_at_once_max;
                if self.delete_oldest(&username, (index, now), limit) == limit {
                    self.pending_deletions.push((index, now, username.clone()));
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

    pub(super) fn change_password(
        &mut self,
        change: proto::ChangePassword,
        request: &Bytes,
    ) -> (String, Option<Change>) {
        let session = change.session.unwrap();
        match self.check_session(Some(session.clone()), request) {
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

    pub(in super::super) fn credential(&self, username: &str) -> Option<proto::Credential> {
        Some(self.users.get(username)?.credential)
    }
}
