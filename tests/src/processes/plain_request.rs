//! One request to one node: no other node is tried, and nothing is repeated unless the test requests
//! it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use chat_proto::chat::v1::chat_client::ChatClient;
use chat_proto::chat::v1::{ExecuteRequest, WatchEvent, WatchRequest};
use serde_json::Value;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use crate::processes::waiting::{WAIT_TIMEOUT, until};

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
    /// When nothing listens there.
    pub async fn connect(address: SocketAddr) -> Self {
        let stub = ChatClient::connect(format!("http://{address}")).await;
        let stub = stub.unwrap_or_else(|error| panic!("{address} cannot be reached: {error}"));
        Self { stub }
    }

    /// Connects from an address of this machine.
    ///
    /// # Errors
    ///
    /// Why there is no connection.
    ///
    /// # Panics
    ///
    /// Never: an address makes a good URI.
    pub async fn connect_from(
        from: IpAddr,
        address: SocketAddr,
    ) -> Result<Self, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        let endpoint = endpoint
            .expect("it is an address")
            .local_address(Some(from));
        let stub = ChatClient::new(endpoint.connect().await?);
        Ok(Self { stub })
    }

    /// Sends the request once, with `timeout` as the request's deadline on both sides.
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
        self.execute_text(request.to_string(), token, timeout).await
    }

    /// Sends the request, and again as long as the node replies that it is unavailable, or that the
    /// deadline has passed and nothing was changed, which is safe (R15): for requests that may fail
    /// only because the machine was suspended for a while, or is slow.
    ///
    /// # Errors
    ///
    /// Whatever else the server, or the connection, answered instead of a reply.
    ///
    /// # Panics
    ///
    /// When the reply is no JSON, and when the node is unavailable for too long.
    pub async fn execute_until_available(
        &self,
        request: &Value,
        token: Option<&str>,
    ) -> Result<Value, Status> {
        until("the request is answered", async || {
            match self.execute(request, token, WAIT_TIMEOUT).await {
                Err(status) if changed_nothing(&status) => Err(format!("{status:?}")),
                answered => Ok(answered),
            }
        })
        .await
    }

    /// [`Self::execute`] for a text that need be no JSON.
    ///
    /// # Errors
    ///
    /// What the server, or the connection, answered instead of a reply.
    ///
    /// # Panics
    ///
    /// When the reply is no JSON.
    pub async fn execute_text(
        &self,
        request: String,
        token: Option<&str>,
        timeout: Duration,
    ) -> Result<Value, Status> {
        let mut call = with_token(ExecuteRequest { request }, token);
        call.set_timeout(timeout);
        let reply = self.stub.clone().execute(call).await?.into_inner();
        Ok(serde_json::from_str(&reply.response).expect("replies are JSON"))
    }

    /// Begins to watch an inbox, from now on.
    ///
    /// # Errors
    ///
    /// What the server, or the connection, answered instead.
    pub async fn watch(&self, token: Option<&str>) -> Result<Streaming<WatchEvent>, Status> {
        let call = with_token(WatchRequest::default(), token);
        Ok(self.stub.clone().watch(call).await?.into_inner())
    }
}

fn with_token<T>(message: T, token: Option<&str>) -> Request<T> {
    let mut call = Request::new(message);
    if let Some(token) = token {
        let authorization = format!("Bearer {token}");
        let authorization = authorization.parse().expect("tokens are ASCII");
        call.metadata_mut().insert("authorization", authorization);
    }
    call
}

/// Whether the node says that it did nothing and that another try may succeed.
fn changed_nothing(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable => true,
        Code::DeadlineExceeded => status.message().contains("nothing was changed"),
        _ => false,
    }
}
