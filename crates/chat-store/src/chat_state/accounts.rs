//! Accounts while applying, with the recently used ones in memory (see `cache`).

use std::collections::HashMap;

use bytes::Bytes;
use sqlx::Row;

use super::apply_context::ApplyContext;
use super::cache::cache_insert;
use super::command::{CreateSession, CreateUser, NewPassword, RequestId, SessionClaim};
use super::credential::{Credential, credential_at};
use super::error::StateError;
use super::inbox_counts::CountChanges;
use super::outcome;
use super::sessions::{SessionCheck, Sessions};
use crate::database::Database;

#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// Accounts that exist. That an account does not exist is never cached.
    credentials: HashMap<String, Credential>,
    sessions: Sessions,
}

impl Accounts {
    /// Creates an account and its first session, unless the name is taken.
    pub(super) async fn create_user(
        &mut self,
        database: &mut Database,
        user: &CreateUser,
        context: &ApplyContext,
    ) -> Result<Bytes, StateError> {
        if self.credential(database, &user.username).await?.is_some() {
            let query = sqlx::query("SELECT created_by_request FROM users WHERE username = ?");
            let row = database
                .fetch_optional(query.bind(&user.username))
                .await?
                .ok_or(StateError::Damaged { table: "users" })?;
            let repeated = row.try_get::<&[u8], _>(0)? == context.request;
            return Ok(if repeated {
                outcome::already_created_by_this_request()
            } else {
                outcome::username_taken()
            });
        }
        if was_deleted(database, &user.username, &context.request).await? {
            // A late retry must not bring the account back (R15).
            return Ok(outcome::already_created_by_this_request());
        }
        let credential = Credential {
            incarnation: context.commit.index,
            version: context.commit.index,
        };
        let query = sqlx::query("INSERT INTO users VALUES (?, ?, ?, ?, ?, NULL)")
            .bind(&user.username)
            .bind(&user.password_hash)
            .bind(credential.incarnation.0.cast_signed())
            .bind(credential.version.0.cast_signed())
            .bind(context.request.to_vec());
        database.execute(query).await?;
        CountChanges::create(database, credential.incarnation).await?;
        cache_insert(&mut self.credentials, user.username.clone(), credential);
        // A token can only exist already if the same 32 random bytes were drawn twice. It then
        // remains the token of the first session.
        self.sessions
            .open(
                database,
                (&user.username, credential),
                (user.token_hash, user.lifetime),
                context.now,
            )
            .await?;
        Ok(outcome::created(credential))
    }

    /// Adds a session to an account that still has the credential that the leader checked.
    pub(super) async fn create_session(
        &mut self,
        database: &mut Database,
        counts: &CountChanges,
        session: &CreateSession,
        context: &ApplyContext,
    ) -> Result<Bytes, StateError> {
        let credential = session.credential;
        if self.credential(database, &session.username).await? != Some(credential) {
            return Ok(outcome::unauthenticated());
        }
        let opened = self
            .sessions
            .open(
                database,
                (&session.username, credential),
                (session.token_hash, session.lifetime),
                context.now,
            )
            .await?;
        if !opened {
            return Ok(outcome::unauthenticated());
        }
        if let Some(rehashed) = &session.rehashed {
            let query = sqlx::query("UPDATE users SET password = ? WHERE username = ?");
            let query = query.bind(rehashed).bind(&session.username);
            database.execute(query).await?;
        }
        let unread = counts.unread(database, credential.incarnation).await?;
        Ok(outcome::session_created(unread))
    }

    /// Whether the session is valid for this entry. If it is, this counts as a use of it.
    pub(super) async fn check_session(
        &mut self,
        database: &mut Database,
        claim: &SessionClaim,
        context: &ApplyContext,
    ) -> Result<SessionCheck, StateError> {
        let request = &context.request;
        let check = self
            .sessions
            .check(database, claim, request, context.now)
            .await?;
        if check != SessionCheck::Valid {
            return Ok(check);
        }
        if self.credential(database, &claim.username).await? != Some(claim.credential) {
            return Ok(SessionCheck::Invalid);
        }
        self.sessions
            .renew(database, &claim.token_hash, context.now)
            .await?;
        Ok(SessionCheck::Valid)
    }

    /// Ends a valid session.
    pub(super) async fn logout(
        &mut self,
        database: &mut Database,
        claim: &SessionClaim,
        context: &ApplyContext,
    ) -> Result<(), StateError> {
        self.sessions
            .end(
                database,
                &claim.token_hash,
                context.request,
                context.retain_until,
            )
            .await
    }

    /// Sets another password, which invalidates all sessions, and opens a new one for the client.
    pub(super) async fn change_password(
        &mut self,
        database: &mut Database,
        claim: &SessionClaim,
        new: &NewPassword,
        context: &ApplyContext,
    ) -> Result<Credential, StateError> {
        let credential = Credential {
            incarnation: claim.credential.incarnation,
            version: context.commit.index,
        };
        let query = sqlx::query(
            "UPDATE users SET password = ?, credential_version = ?, password_request = ? \
             WHERE username = ?",
        )
        .bind(&new.password_hash)
        .bind(credential.version.0.cast_signed())
        .bind(context.request.to_vec())
        .bind(&claim.username);
        database.execute(query).await?;
        cache_insert(&mut self.credentials, claim.username.clone(), credential);
        self.logout(database, claim, context).await?;
        self.sessions
            .open(
                database,
                (&claim.username, credential),
                (new.token_hash, new.lifetime),
                context.now,
            )
            .await?;
        Ok(credential)
    }

    /// Removes an account, which invalidates all its sessions. The caller must delete its inbox.
    pub(super) async fn delete_user(
        &mut self,
        database: &mut Database,
        claim: &SessionClaim,
        context: &ApplyContext,
    ) -> Result<(), StateError> {
        let query = sqlx::query(
            "INSERT INTO former_accounts (username, created_by_request, deleted, deleted_at) \
             SELECT username, created_by_request, ?, ? FROM users WHERE username = ?",
        )
        .bind(context.commit.index.0.cast_signed())
        .bind(context.now)
        .bind(&claim.username);
        database.execute(query).await?;
        let query = sqlx::query("DELETE FROM users WHERE username = ?");
        database.execute(query.bind(&claim.username)).await?;
        self.credentials.remove(&claim.username);
        self.logout(database, claim, context).await
    }

    /// The current credential of the account; `None` if it does not exist.
    pub(super) async fn credential(
        &mut self,
        database: &mut Database,
        username: &str,
    ) -> Result<Option<Credential>, StateError> {
        if let Some(&credential) = self.credentials.get(username) {
            return Ok(Some(credential));
        }
        let query =
            sqlx::query("SELECT incarnation, credential_version FROM users WHERE username = ?");
        let Some(row) = database.fetch_optional(query.bind(username)).await? else {
            return Ok(None);
        };
        let credential = credential_at(&row, 0)?;
        cache_insert(&mut self.credentials, username.to_owned(), credential);
        Ok(Some(credential))
    }

    /// Sessions whose rows the clean-up may remove.
    pub(super) fn sessions_mut(&mut self) -> &mut Sessions {
        &mut self.sessions
    }
}

async fn was_deleted(
    database: &mut Database,
    username: &str,
    request: &RequestId,
) -> Result<bool, StateError> {
    let query =
        sqlx::query("SELECT 1 FROM former_accounts WHERE username = ? AND created_by_request = ?")
            .bind(username)
            .bind(request.as_slice());
    Ok(database.fetch_optional(query).await?.is_some())
}
