//! Accounts: one by its name, and the Argon2 parameters that most of them have.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;

use futures::TryStreamExt;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use crate::chat_state::credential::{Credential, credential_at};
use crate::chat_state::error::StateError;

/// An account.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub username: String,
    /// The password's salted hash, a PHC string. Kept out of `Debug`.
    pub password_hash: String,
    /// Its current credential.
    pub credential: Credential,
    /// The id of the request that created it: a retry of that request verifies the password again.
    pub created_by_request: [u8; 16],
    /// The id of the request that last changed its password, if any: the same applies to it.
    pub password_request: Option<[u8; 16]>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("username", &self.username)
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

pub(crate) async fn account(
    connection: &mut SqliteConnection,
    username: &str,
) -> Result<Option<Account>, StateError> {
    let query = sqlx::query(
        "SELECT username, password, created_by_request, incarnation, credential_version, \
         password_request FROM users WHERE username = ?",
    );
    let Some(row) = query
        .bind(username)
        .fetch_optional(&mut *connection)
        .await?
    else {
        return Ok(None);
    };
    let password_request: Option<&[u8]> = row.try_get(5)?;
    Ok(Some(Account {
        username: row.try_get(0)?,
        password_hash: row.try_get(1)?,
        credential: credential_at(&row, 3)?,
        created_by_request: request_id(row.try_get(2)?)?,
        password_request: password_request.map(request_id).transpose()?,
    }))
}

/// The most common prefix before the salt among the first `accounts_max` stored hashes; `None` if
/// there are no hashes.
pub(crate) async fn common_argon2_params(
    connection: &mut SqliteConnection,
    accounts_max: usize,
) -> Result<Option<String>, StateError> {
    let accounts_max = i64::try_from(accounts_max).unwrap_or(i64::MAX);
    let query = sqlx::query("SELECT password FROM users LIMIT ?").bind(accounts_max);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows = pin!(query.fetch(&mut *connection));
    while let Some(row) = rows.try_next().await? {
        let password: &str = row.try_get(0)?;
        // "$argon2id$v=19$m=19456,t=2,p=1$salt$hash"
        let Some((salt, _)) = password.match_indices('$').nth(3) else {
            continue;
        };
        let params = &password[..salt];
        match counts.get_mut(params) {
            Some(count) => *count += 1,
            None => {
                counts.insert(params.to_owned(), 1);
            }
        }
    }
    let common = counts.into_iter().max_by_key(|(_, count)| *count);
    Ok(common.map(|(params, _)| params))
}

fn request_id(bytes: &[u8]) -> Result<[u8; 16], StateError> {
    bytes
        .try_into()
        .map_err(|_wrong_length| StateError::Damaged { table: "users" })
}
