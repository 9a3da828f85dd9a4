//! Accounts and sessions as applying sees them, with the recently used ones in memory.
//!
//! The memory only mirrors rows, so that it changes how fast an answer is found and never which.

use std::collections::HashMap;
use std::hash::Hash;

use bytes::Bytes;
use chat_consensus::LogIndex;
use sqlx::Row;

use super::command::{CreateSession, CreateUser, RequestId, SendMessage, TokenHash};
use super::queries::credential_at;
use super::{Credential, StateError, outcome};
use crate::database::Database;

/// How many accounts, and how many sessions, are kept in memory: some ten MB of each. When one more
/// is needed all are forgotten, which costs less than keeping their order of use.
const CACHED_ROWS_MAX: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// Accounts that exist. That one does not exist is never remembered.
    credentials: HashMap<String, Credential>,
    /// Sessions that exist, though their account may have become another one.
    sessions: HashMap<TokenHash, SessionRow>,
}

#[derive(Debug, PartialEq, Eq)]
struct SessionRow {
    username: String,
    credential: Credential,
}

impl Accounts {
    /// Creates an account and its first session, unless the name is taken.
    pub(super) fn create_user(
        &mut self,
        database: &mut Database,
        user: &CreateUser,
        request: RequestId,
        index: LogIndex,
        timestamp: f64,
    ) -> Result<Bytes, StateError> {
        if self.credential(database, &user.username)?.is_some() {
            let query = sqlx::query("SELECT created_by_request FROM users WHERE username = ?");
            let row = database
                .fetch_optional(query.bind(&user.username))?
                .ok_or(StateError::Damaged { table: "users" })?;
            let repeated = row.try_get::<&[u8], _>(0)? == request;
            return Ok(if repeated {
                outcome::already_created_by_this_request()
            } else {
                outcome::username_taken()
            });
        }
        let credential = Credential {
            incarnation: index,
            version: index,
        };
        let query = sqlx::query("INSERT INTO users VALUES (?, ?, ?, ?, ?)")
            .bind(&user.username)
            .bind(&user.password_hash)
            .bind(index.0.cast_signed())
            .bind(index.0.cast_signed())
            .bind(request.to_vec());
        database.execute(query)?;
        remember(&mut self.credentials, user.username.clone(), credential);
        let row = SessionRow {
            username: user.username.clone(),
            credential,
        };
        self.insert_session(database, user.token_hash, row, timestamp)?;
        Ok(outcome::created(credential))
    }

    /// Adds a session to an account that still is what the leader checked.
    pub(super) fn create_session(
        &mut self,
        database: &mut Database,
        session: &CreateSession,
        timestamp: f64,
    ) -> Result<Bytes, StateError> {
        let credential = session.credential;
        if self.credential(database, &session.username)? != Some(credential) {
            return Ok(outcome::unauthenticated());
        }
        let row = SessionRow {
            username: session.username.clone(),
            credential,
        };
        match self.session(database, &session.token_hash)? {
            // The same command was proposed twice.
            Some(existing) if *existing == row => {}
            Some(_) => return Ok(outcome::unauthenticated()),
            None => self.insert_session(database, session.token_hash, row, timestamp)?,
        }
        let query = sqlx::query(super::queries::UNREAD_COUNT).bind(&session.username);
        let row = database
            .fetch_optional(query)?
            .expect("a count is always one row");
        Ok(outcome::session_created(
            row.try_get::<i64, _>(0)?.cast_unsigned(),
        ))
    }

    /// Whether the message's session is one of its sender, who still is what the leader checked.
    pub(super) fn authenticates(
        &mut self,
        database: &mut Database,
        message: &SendMessage,
    ) -> Result<bool, StateError> {
        let session = self.session(database, &message.token_hash)?;
        let session_fits = session.is_some_and(|session| {
            session.username == message.sender && session.credential == message.credential
        });
        Ok(session_fits && self.credential(database, &message.sender)? == Some(message.credential))
    }

    /// What the account is now; `None` when there is none.
    pub(super) fn credential(
        &mut self,
        database: &mut Database,
        username: &str,
    ) -> Result<Option<Credential>, StateError> {
        if let Some(&credential) = self.credentials.get(username) {
            return Ok(Some(credential));
        }
        let query =
            sqlx::query("SELECT incarnation, credential_version FROM users WHERE username = ?");
        let Some(row) = database.fetch_optional(query.bind(username))? else {
            return Ok(None);
        };
        let credential = credential_at(&row, 0)?;
        remember(&mut self.credentials, username.to_owned(), credential);
        Ok(Some(credential))
    }

    fn session(
        &mut self,
        database: &mut Database,
        token_hash: &TokenHash,
    ) -> Result<Option<&SessionRow>, StateError> {
        if !self.sessions.contains_key(token_hash) {
            let query = sqlx::query(
                "SELECT username, incarnation, credential_version FROM sessions \
                 WHERE token_hash = ?",
            );
            let Some(row) = database.fetch_optional(query.bind(token_hash.as_slice()))? else {
                return Ok(None);
            };
            let session = SessionRow {
                username: row.try_get(0)?,
                credential: credential_at(&row, 1)?,
            };
            remember(&mut self.sessions, *token_hash, session);
        }
        Ok(self.sessions.get(token_hash))
    }

    fn insert_session(
        &mut self,
        database: &mut Database,
        token_hash: TokenHash,
        row: SessionRow,
        timestamp: f64,
    ) -> Result<(), StateError> {
        // Only the same 32 random bytes, drawn twice, could conflict; the first session stays then.
        let query = sqlx::query(
            "INSERT INTO sessions VALUES (?, ?, ?, ?, ?) ON CONFLICT (token_hash) DO NOTHING",
        )
        .bind(token_hash.as_slice())
        .bind(&row.username)
        .bind(row.credential.incarnation.0.cast_signed())
        .bind(row.credential.version.0.cast_signed())
        .bind(timestamp);
        if database.execute(query)? == 1 {
            remember(&mut self.sessions, token_hash, row);
        }
        Ok(())
    }
}

fn remember<K: Eq + Hash, V>(cache: &mut HashMap<K, V>, key: K, value: V) {
    if cache.len() >= CACHED_ROWS_MAX {
        cache.clear();
    }
    cache.insert(key, value);
}
