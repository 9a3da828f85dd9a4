//! Sessions while applying: how long they last, and what ends them.
//!
//! All times are the log's, in whole seconds, so that all nodes end a session at the same entry. A
//! session that a request ended is kept for a while with the id of that request, because the
//! request may be retried (R15).

use std::collections::HashMap;

use sqlx::Row;

use super::cache::cache_insert;
use super::command::{Lifetime, RequestId, SessionClaim, TokenHash};
use super::credential::{Credential, credential_at};
use super::error::StateError;
use crate::database::Database;

/// A use of a session writes its row only after this fraction of its idle time, so that a message
/// does not cost one more row. The session may expire that much too early.
pub(super) const RENEWALS_PER_IDLE_TIME: i64 = 16;

/// The rows of recently used sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    cached: HashMap<TokenHash, SessionRow>,
}

/// Whether a request may use a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionCheck {
    Valid,
    /// It was valid until this same request ended it.
    EndedByThisRequest,
    Invalid,
}

#[derive(Debug)]
struct SessionRow {
    username: String,
    credential: Credential,
    idle_seconds: i64,
    /// When it expires even if it is used. The column is `ends`.
    max_expires_at: i64,
    last_used: i64,
    /// When it expires if it is not used again; once ended, until when the row is kept. The column
    /// is `expires`.
    idle_expires_at: i64,
    /// The column is `ended_by`.
    ended_by_request: Option<RequestId>,
}

impl Sessions {
    /// Adds a session and returns true. If its token exists, returns whether that is the same
    /// session, proposed twice.
    pub(super) async fn open(
        &mut self,
        database: &mut Database,
        (username, credential): (&str, Credential),
        (token_hash, lifetime): (TokenHash, Lifetime),
        now: i64,
    ) -> Result<bool, StateError> {
        if let Some(existing) = self.find(database, &token_hash).await? {
            return Ok(existing.username == username && existing.credential == credential);
        }
        let max_expires_at = now.saturating_add(lifetime.absolute_seconds.into());
        let idle_seconds = i64::from(lifetime.idle_seconds);
        let row = SessionRow {
            username: username.to_owned(),
            credential,
            idle_seconds,
            max_expires_at,
            last_used: now,
            idle_expires_at: now.saturating_add(idle_seconds).min(max_expires_at),
            ended_by_request: None,
        };
        let query = sqlx::query("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)")
            .bind(token_hash.as_slice())
            .bind(username)
            .bind(credential.incarnation.0.cast_signed())
            .bind(credential.version.0.cast_signed())
            .bind(row.idle_seconds)
            .bind(row.max_expires_at)
            .bind(row.last_used)
            .bind(row.idle_expires_at);
        database.execute(query).await?;
        cache_insert(&mut self.cached, token_hash, row);
        Ok(true)
    }

    /// Whether `request` may use the session, without checking its account.
    pub(super) async fn check(
        &mut self,
        database: &mut Database,
        claim: &SessionClaim,
        request: &RequestId,
        now: i64,
    ) -> Result<SessionCheck, StateError> {
        let Some(row) = self.find(database, &claim.token_hash).await? else {
            return Ok(SessionCheck::Invalid);
        };
        if row.username != claim.username || row.credential != claim.credential {
            return Ok(SessionCheck::Invalid);
        }
        Ok(match &row.ended_by_request {
            Some(ended_by) if ended_by == request => SessionCheck::EndedByThisRequest,
            None if now < row.idle_expires_at => SessionCheck::Valid,
            Some(_) | None => SessionCheck::Invalid,
        })
    }

    /// Records a use of a valid session.
    pub(super) async fn renew(
        &mut self,
        database: &mut Database,
        token_hash: &TokenHash,
        now: i64,
    ) -> Result<(), StateError> {
        let row = self.find(database, token_hash).await?;
        let row = row.expect("only a session that was found is renewed");
        if now < renewal_due(row.last_used, row.idle_seconds) {
            return Ok(());
        }
        row.last_used = now;
        row.idle_expires_at = now.saturating_add(row.idle_seconds).min(row.max_expires_at);
        let query =
            sqlx::query("UPDATE sessions SET last_used = ?, expires = ? WHERE token_hash = ?")
                .bind(row.last_used)
                .bind(row.idle_expires_at)
                .bind(token_hash.as_slice());
        database.execute(query).await?;
        Ok(())
    }

    /// Ends a valid session by `request`. Its row is kept until `retain_until`.
    pub(super) async fn end(
        &mut self,
        database: &mut Database,
        token_hash: &TokenHash,
        request: RequestId,
        retain_until: i64,
    ) -> Result<(), StateError> {
        let query =
            sqlx::query("UPDATE sessions SET ended_by = ?, expires = ? WHERE token_hash = ?")
                .bind(request.to_vec())
                .bind(retain_until)
                .bind(token_hash.as_slice());
        database.execute(query).await?;
        self.cached.remove(token_hash);
        Ok(())
    }

    /// Removes a session from the cache, because its row is removed.
    pub(super) fn cache_remove(&mut self, token_hash: &TokenHash) {
        self.cached.remove(token_hash);
    }

    async fn find(
        &mut self,
        database: &mut Database,
        token_hash: &TokenHash,
    ) -> Result<Option<&mut SessionRow>, StateError> {
        if !self.cached.contains_key(token_hash) {
            let query = sqlx::query(
                "SELECT username, incarnation, credential_version, idle_seconds, ends, last_used, \
                 expires, ended_by FROM sessions WHERE token_hash = ?",
            );
            let Some(row) = database
                .fetch_optional(query.bind(token_hash.as_slice()))
                .await?
            else {
                return Ok(None);
            };
            let ended_by: Option<&[u8]> = row.try_get(7)?;
            let session = SessionRow {
                username: row.try_get(0)?,
                credential: credential_at(&row, 1)?,
                idle_seconds: row.try_get(3)?,
                max_expires_at: row.try_get(4)?,
                last_used: row.try_get(5)?,
                idle_expires_at: row.try_get(6)?,
                ended_by_request: match ended_by.map(RequestId::try_from) {
                    None => None,
                    Some(Ok(request)) => Some(request),
                    Some(Err(_)) => return Err(StateError::Damaged { table: "sessions" }),
                },
            };
            cache_insert(&mut self.cached, *token_hash, session);
        }
        Ok(self.cached.get_mut(token_hash))
    }
}

/// From when on a use of the session is recorded in its row.
pub(super) fn renewal_due(last_used: i64, idle_seconds: i64) -> i64 {
    last_used.saturating_add(idle_seconds / RENEWALS_PER_IDLE_TIME)
}
