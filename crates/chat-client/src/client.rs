//! The client: a pool of nodes, and a deadline for each request. Its requests are in `accounts`,
//! `messages`, `watch` and `status`.

use std::sync::Arc;
use std::time::Duration;

use crate::error::ClientError;
use crate::node_pool::{EncodedRequest, NodePool};
use crate::requests::{self, Request};
use crate::search::Search;
use crate::session::Session;

/// How long a request is tried unless [`ChatClient::with_deadline`] sets another deadline.
const DEADLINE: Duration = Duration::from_secs(10);

/// A client of the chat. Clones share its connections, its knowledge about the nodes, and its budget
/// of retries.
#[derive(Clone, Debug)]
pub struct ChatClient {
    pool: Arc<NodePool>,
    deadline: Duration,
}

impl ChatClient {
    /// A client of the nodes at these client addresses, each a host and a port. Connects to none
    /// of them yet.
    ///
    /// # Errors
    ///
    /// [`ClientError::InvalidInput`] when there is no address, or when one is not a valid address.
    pub fn new<A: Into<String>>(
        addresses: impl IntoIterator<Item = A>,
    ) -> Result<Self, ClientError> {
        let addresses = addresses.into_iter().map(Into::into).collect();
        Ok(Self {
            pool: Arc::new(NodePool::new(addresses)?),
            deadline: DEADLINE,
        })
    }

    /// The same client, whose requests are tried for at most this long.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Sends one text under one request id to one node after the other, until a node replies or the
    /// deadline passes.
    pub(crate) async fn execute<T: for<'a> serde::Deserialize<'a>>(
        &self,
        request: &Request<'_>,
        session: Option<&Session>,
    ) -> Result<T, ClientError> {
        let text = request.to_json();
        let encoded = EncodedRequest {
            text: &text,
            session,
        };
        let search = Search::new(&self.pool, request, encoded, self.deadline);
        requests::decode(&search.run().await?)
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(crate) fn pool(&self) -> &NodePool {
        &self.pool
    }

    pub(crate) fn shared_pool(&self) -> Arc<NodePool> {
        Arc::clone(&self.pool)
    }
}

#[cfg(test)]
mod tests;
