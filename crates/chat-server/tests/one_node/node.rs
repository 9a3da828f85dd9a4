//! Nodes in this process, called through gRPC like clients do.

use std::time::{Duration, Instant};

use chat_proto::chat::v1::chat_client::ChatClient;
use chat_proto::chat::v1::{ExecuteRequest, WatchEvent, WatchRequest};
use chat_server::config::{Cluster, Config, Node, Sessions, Storage};
use chat_server::node::{self, DataPolicy};
use serde_json::Value;
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use uuid::Uuid;

use crate::requests::{sign_up, text};

/// Far above what any test here takes.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// A running node; most tests have only one, with the id 1.
pub(crate) struct OneNode {
    pub(crate) clients: Channel,
    pub(crate) peers: Channel,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<Result<(), node::NodeError>>,
    directory: tempfile::TempDir,
}

impl OneNode {
    pub(crate) async fn start() -> Self {
        Self::start_with(Sessions::default()).await
    }

    /// A node with these lifetimes of sessions.
    pub(crate) async fn start_with(sessions: Sessions) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), sessions).await
    }

    /// A node with the data in `directory`.
    pub(crate) async fn start_in(directory: tempfile::TempDir, sessions: Sessions) -> Self {
        Self::start_changed_in(directory, |config| config.sessions = sessions).await
    }

    /// A new node with another configuration.
    pub(crate) async fn start_changed(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_changed_in(tempfile::tempdir().unwrap(), change).await
    }

    /// A node with the data in `directory`, and with another configuration.
    pub(crate) async fn start_changed_in(
        directory: tempfile::TempDir,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = config_in(&directory, addresses(1));
        change(&mut config);
        Self::run(1, config, directory).await
    }

    /// One of several nodes.
    pub(crate) async fn start_one_of(nodes: &[Node], id: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = config_in(&directory, nodes.to_vec());
        Self::run(id, config, directory).await
    }

    async fn run(id: u64, config: Config, directory: tempfile::TempDir) -> Self {
        let own = config.node(id).unwrap().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let stopped = async {
                drop(stopped.await);
            };
            node::run(id, &config, DataPolicy::Keep, stopped).await
        });
        Self {
            clients: connect(&own.client_address).await,
            peers: connect(&own.peer_address).await,
            stop,
            running,
            directory,
        }
    }

    /// Where its data is.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Makes one request, with `token` if there is one.
    pub(crate) async fn execute(
        &self,
        request: Value,
        token: Option<&str>,
    ) -> Result<Value, Status> {
        let request = Request::new(ExecuteRequest {
            request: request.to_string(),
        });
        let mut stub = ChatClient::new(self.clients.clone());
        let reply = stub.execute(authorized(request, token)).await?;
        Ok(serde_json::from_str(&reply.into_inner().response).unwrap())
    }

    pub(crate) async fn watch(
        &self,
        cursor: &str,
        token: Option<&str>,
    ) -> Result<Streaming<WatchEvent>, Status> {
        self.watch_direction(cursor, 0, token).await
    }

    /// Watches with a `chat.v1.Direction`.
    pub(crate) async fn watch_direction(
        &self,
        cursor: &str,
        direction: i32,
        token: Option<&str>,
    ) -> Result<Streaming<WatchEvent>, Status> {
        let cursor = cursor.to_owned();
        let request = WatchRequest { cursor, direction };
        let request = authorized(Request::new(request), token);
        let mut stub = ChatClient::new(self.clients.clone());
        Ok(stub.watch(request).await?.into_inner())
    }

    /// Signs up, and returns the token.
    pub(crate) async fn account(&self, name: &str) -> String {
        let reply = self
            .execute(sign_up(Uuid::new_v4(), name, "a"), None)
            .await
            .unwrap();
        text(&reply, "token")
    }

    pub(crate) async fn stop(self) {
        drop(self.stop_and_keep().await);
    }

    /// Stops, and returns the directory with everything in it.
    pub(crate) async fn stop_and_keep(self) -> tempfile::TempDir {
        self.stop.send(()).unwrap();
        let stopped = tokio::time::timeout(TEST_TIMEOUT, self.running).await;
        stopped.expect("a node stops in time").unwrap().unwrap();
        self.directory
    }
}

pub(crate) fn authorized<T>(mut request: Request<T>, token: Option<&str>) -> Request<T> {
    if let Some(token) = token {
        let authorization = format!("Bearer {token}").parse().unwrap();
        request
            .metadata_mut()
            .insert("authorization", authorization);
    }
    request
}

fn config_in(directory: &tempfile::TempDir, nodes: Vec<Node>) -> Config {
    Config {
        storage: Storage {
            directory: directory.path().to_owned(),
            ..Storage::default()
        },
        nodes,
        cluster: Cluster {
            bootstrap: true,
            ..Cluster::default()
        },
        ..Config::default()
    }
}

/// Free addresses for so many nodes.
pub(crate) fn addresses(count: u64) -> Vec<Node> {
    let node = |id| Node {
        id,
        client_address: free_address(),
        peer_address: free_address(),
    };
    (1..=count).map(node).collect()
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Waits until the node listens on the address.
async fn connect(address: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let started = Instant::now();
    loop {
        match endpoint.connect().await {
            Ok(channel) => return channel,
            Err(error) => assert!(started.elapsed() < TEST_TIMEOUT, "{error}"),
        }
    }
}
