//! One request to one node, once: no other node is tried and nothing is repeated.

use std::net::SocketAddr;
use std::time::Duration;

use chat_proto::chat::v1::ExecuteRequest;
use chat_proto::chat::v1::chat_client::ChatClient;
use serde_json::Value;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// A connection to one node.
#[derive(Clone, Debug)]
pub struct PlainClient {
    stub: ChatClient<Channel>,
}

impl PlainClient {
    /// Connects.
    ///
    /// # Panics
    ///
    /// When nobody listens there.
    pub async fn connect(address: SocketAddr) -> Self {
        let stub = ChatClient::connect(format!("http://{address}")).await;
        let stub = stub.unwrap_or_else(|error| panic!("{address} cannot be reached: {error}"));
        Self { stub }
    }

    /// Asks once, with `timeout` as the request's deadline on both sides.
    ///
    /// # Errors
    ///
    /// What the server, or the connection, answered instead of a reply.
    ///
    /// # Panics
    ///
    /// When the reply is no JSON.
    pub async fn execute(
        &self,
        request: &Value,
        token: Option<&str>,
        timeout: Duration,
    ) -> Result<Value, Status> {
        let mut call = Request::new(ExecuteRequest {
            request: request.to_string(),
        });
        call.set_timeout(timeout);
        if let Some(token) = token {
            let authorization = format!("Bearer {token}");
            let authorization = authorization.parse().expect("tokens are ASCII");
            call.metadata_mut().insert("authorization", authorization);
        }
        let reply = self.stub.clone().execute(call).await?.into_inner();
        Ok(serde_json::from_str(&reply.response).expect("replies are JSON"))
    }
}
