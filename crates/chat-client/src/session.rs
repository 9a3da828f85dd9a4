//! Who asks: what proves it, and where it came from.

use std::fmt;

use tonic::metadata::AsciiMetadataValue;

use crate::error::ClientError;

/// Somebody who has proven who they are. Keep [`Session::token`] as safe as a password.
#[derive(Clone)]
pub struct Session {
    username: String,
    token: String,
    authorization: AsciiMetadataValue,
}

/// A new session of an existing account.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// The session.
    pub session: Session,
    /// How many messages wait unread.
    pub unread: u64,
}

impl Session {
    /// A session that was opened earlier.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unusable`] when that can be no token.
    pub fn new(username: &str, token: &str) -> Result<Self, ClientError> {
        let mut authorization: AsciiMetadataValue = format!("Bearer {token}")
            .parse()
            .map_err(|_invalid| ClientError::Unusable("this is no session token".to_owned()))?;
        authorization.set_sensitive(true);
        Ok(Self {
            username: username.to_owned(),
            token: token.to_owned(),
            authorization,
        })
    }

    /// Whose it is.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// For `authorization`.
    pub(crate) fn authorization(&self) -> AsciiMetadataValue {
        self.authorization.clone()
    }

    /// What proves it.
    pub fn token(&self) -> &str {
        &self.token
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}
