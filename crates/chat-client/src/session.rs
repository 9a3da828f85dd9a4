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
    cluster_id: Option<String>,
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
    /// [`ClientError::InvalidInput`] when that can be no token.
    pub fn new(username: &str, token: &str) -> Result<Self, ClientError> {
        let mut authorization: AsciiMetadataValue = format!("Bearer {token}")
            .parse()
            .map_err(|_invalid| ClientError::InvalidInput("this is no session token".to_owned()))?;
        authorization.set_sensitive(true);
        Ok(Self {
            username: username.to_owned(),
            token: token.to_owned(),
            authorization,
            cluster_id: None,
        })
    }

    /// The same session, whose token is sent only to nodes that say they are of this cluster; see
    /// [`ChatClient::cluster_id`](crate::ChatClient::cluster_id).
    ///
    /// That guards against addresses that lead elsewhere than they did. It proves nothing about a
    /// node that wants to lie: until there is TLS only the network can.
    #[must_use]
    pub fn of_cluster(self, cluster_id: &str) -> Self {
        Self {
            cluster_id: Some(cluster_id.to_owned()),
            ..self
        }
    }

    /// The cluster whose nodes alone get the token; any that is asked if `None`.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// A newer session of the same account on the same cluster.
    pub(crate) fn renewed(&self, token: &str) -> Result<Self, ClientError> {
        let mut renewed = Self::new(&self.username, token)?;
        renewed.cluster_id.clone_from(&self.cluster_id);
        Ok(renewed)
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
