//! Sessions as applying sees them: how long they last, and what ends them.
//!
//! Everything is by the log's own time in whole seconds, so that every node ends a session at the
//! same entry. A session that has ended by being used up is kept for a while with the request that
//! ended it, because that request may come again (R15).

use std::collections::HashMap;

use sqlx::Row;

use super::accounts::remember;
use super::command::{Authority, Lifetime, RequestId, TokenHash};
use super::queries::credential_at;
use super::{Credential, StateError};
use crate::database::Database;

/// Using a session writes its row only after this part of its idle time, so that messages do not
/// cost a row more each. It may end that much earlier than it should.
pub(super) const RENEWALS_PER_IDLE_TIME: i64 = 16;

/// The sessions that were used recently, as their rows are.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    known: HashMap<TokenHash, SessionRow>,
}

/// Whether something may be done in the name of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Valid,
    /// It was, until this very request ended it.
    EndedByThisRequest,
    Void,
}

#[derive(Debug)]
struct SessionRow {
    username: String,
    credential: Credential,
    idle_seconds: i64,
    /// When it ends however much it is used.
    ends: i64,
    last_used: i64,
    /// When it ends if it is not used again; once ended, until when the row is kept.
    expires: i64,
    ended_by: Option<RequestId>,
}

impl Sessions {
    /// Adds a session, unless its token exists: then whether it is the same one, proposed twice.
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
        let ends = now.saturating_add(lifetime.absolute_seconds.into());
        let idle_seconds = i64::from(lifetime.idle_seconds);
        let row = SessionRow {
            username: username.to_owned(),
            credential,
            idle_seconds,
            ends,
            last_used: now,
            expires: now.saturating_add(idle_seconds).min(ends),
            ended_by: None,
        };
        let query = sqlx::query("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)")
            .bind(token_hash.as_slice())
            .bind(username)
            .bind(credential.incarnation.0.cast_signed())
            .bind(credential.version.0.cast_signed())
            .bind(row.idle_seconds)
            .bind(row.ends)
            .bind(row.last_used)
            .bind(row.expires);
        database.execute(query).await?;
        remember(&mut self.known, token_hash, row);
        Ok(true)
    }

    /// What the session is worth to `request`, as far as the session itself goes.
    pub(super) async fn standing(
        &mut self,
        database: &mut Database,
        authority: &Authority,
        request: &RequestId,
        now: i64,
    ) -> Result<Standing, StateError> {
        let Some(row) = self.find(database, &authority.token_hash).await? else {
            return Ok(Standing::Void);
        };
        if row.username != authority.username || row.credential != authority.credential {
            return Ok(Standing::Void);
        }
        Ok(match &row.ended_by {
            Some(ended_by) if ended_by == request => Standing::EndedByThisRequest,
            None if now < row.expires => Standing::Valid,
            Some(_) | None => Standing::Void,
        })
    }

    /// A valid session is used.
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
        row.expires = now.saturating_add(row.idle_seconds).min(row.ends);
        let query =
            sqlx::query("UPDATE sessions SET last_used = ?, expires = ? WHERE token_hash = ?")
                .bind(row.last_used)
                .bind(row.expires)
                .bind(token_hash.as_slice());
        database.execute(query).await?;
        Ok(())
    }

    /// `request` ends a valid session; its row is kept until `kept_until`.
    pub(super) async fn end(
        &mut self,
        database: &mut Database,
        token_hash: &TokenHash,
        request: RequestId,
        kept_until: i64,
    ) -> Result<(), StateError> {
        let query =
            sqlx::query("UPDATE sessions SET ended_by = ?, expires = ? WHERE token_hash = ?")
                .bind(request.to_vec())
                .bind(kept_until)
                .bind(token_hash.as_slice());
        database.execute(query).await?;
        self.known.remove(token_hash);
        Ok(())
    }

    /// The row is gone.
    pub(super) fn forget(&mut self, token_hash: &TokenHash) {
        self.known.remove(token_hash);
    }

    async fn find(
        &mut self,
        database: &mut Database,
        token_hash: &TokenHash,
    ) -> Result<Option<&mut SessionRow>, StateError> {
        if !self.known.contains_key(token_hash) {
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
                ends: row.try_get(4)?,
                last_used: row.try_get(5)?,
                expires: row.try_get(6)?,
                ended_by: match ended_by.map(RequestId::try_from) {
                    None => None,
                    Some(Ok(request)) => Some(request),
                    Some(Err(_)) => return Err(StateError::Damaged { table: "sessions" }),
                },
            };
            remember(&mut self.known, *token_hash, session);
        }
        Ok(self.known.get_mut(token_hash))
    }
}

/// From when on the use of a session is worth a row.
pub(super) fn renewal_due(last_used: i64, idle_seconds: i64) -> i64 {
    last_used.saturating_add(idle_seconds / RENEWALS_PER_IDLE_TIME)
}
