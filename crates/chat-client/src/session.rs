//! A session: the account, its token, and the cluster that opened it.

use std::fmt;

use tonic::metadata::AsciiMetadataValue;

use crate::error::ClientError;

/// The proof that a person has logged in to an account. Keep [`Session::token`] as safe as a password.
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
    /// How many messages are unread.
    pub unread: u64,
}

impl Session {
    /// A session that was opened earlier.
    ///
    /// # Errors
    ///
    /// [`ClientError::InvalidInput`] when `token` cannot be a token.
    pub fn new(username: &str, token: &str) -> Result<Self, ClientError> {
        let mut authorization: AsciiMetadataValue =
            format!("Bearer {token}").parse().map_err(|_invalid| {
                ClientError::InvalidInput("this is not a session token".to_owned())
            })?;
        authorization.set_sensitive(true);
        Ok(Self {
            username: username.to_owned(),
            token: token.to_owned(),
            authorization,
            cluster_id: None,
        })
    }

    /// The same session, whose token is sent only to nodes that report this cluster; see
    /// [`ChatClient::cluster_id`](crate::ChatClient::cluster_id).
    ///
    /// This protects against addresses at which other servers listen now. It does not protect against
    /// a server that reports a false cluster: until there is TLS, only the network can.
    #[must_use]
    pub fn of_cluster(self, cluster_id: &str) -> Self {
        Self {
            cluster_id: Some(cluster_id.to_owned()),
            ..self
        }
    }

    /// The cluster whose nodes may receive the token; `None` if every node may.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// A newer session of the same account on the same cluster.
    pub(crate) fn renewed(&self, token: &str) -> Result<Self, ClientError> {
        let mut renewed = Self::new(&self.username, token)?;
        renewed.cluster_id.clone_from(&self.cluster_id);
        Ok(renewed)
    }

    /// The account.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The value of the metadata `authorization`.
    pub(crate) fn authorization(&self) -> AsciiMetadataValue {
        self.authorization.clone()
    }

    /// The token.
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
