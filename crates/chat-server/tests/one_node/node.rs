//! One node in this process, asked through gRPC as clients ask.

use std::time::{Duration, Instant};

use chat_proto::chat::v1::ExecuteRequest;
use chat_proto::chat::v1::chat_client::ChatClient;
use chat_server::config::{Config, Node, Sessions, Storage};
use chat_server::node::{self, DataPolicy};
use serde_json::Value;
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::{sign_up, text};

/// Far above what anything here takes.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(20);

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

    /// A node whose sessions last as long as `sessions` says.
    pub(crate) async fn start_with(sessions: Sessions) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), sessions).await
    }

    /// A node with what is in `directory`.
    pub(crate) async fn start_in(directory: tempfile::TempDir, sessions: Sessions) -> Self {
        Self::start_changed_in(directory, |config| config.sessions = sessions).await
    }

    /// A new node with another configuration.
    pub(crate) async fn start_changed(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_changed_in(tempfile::tempdir().unwrap(), change).await
    }

    /// A node with what is in `directory`, and with another configuration.
    pub(crate) async fn start_changed_in(
        directory: tempfile::TempDir,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = config_in(&directory, Sessions::default());
        change(&mut config);
        let (client_address, peer_address) = (
            config.nodes[0].client_address.clone(),
            config.nodes[0].peer_address.clone(),
        );
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let told = async {
                drop(stopped.await);
            };
            node::run(1, &config, DataPolicy::Keep, told).await
        });
        Self {
            clients: connect(&client_address).await,
            peers: connect(&peer_address).await,
            stop,
            running,
            directory,
        }
    }

    /// Why a node does not start with what is in `directory`.
    pub(crate) async fn refused_in(directory: &tempfile::TempDir) -> String {
        let config = config_in(directory, Sessions::default());
        let running = node::run(1, &config, DataPolicy::Keep, std::future::pending());
        let ended = tokio::time::timeout(TEST_TIMEOUT, running).await;
        ended.expect("it does not run").unwrap_err().to_string()
    }

    /// Asks once, with `token` if there is one.
    pub(crate) async fn ask(&self, request: Value, token: Option<&str>) -> Result<Value, Status> {
        let mut request = Request::new(ExecuteRequest {
            request: request.to_string(),
        });
        if let Some(token) = token {
            let authorization = format!("Bearer {token}").parse().unwrap();
            request
                .metadata_mut()
                .insert("authorization", authorization);
        }
        let mut stub = ChatClient::new(self.clients.clone());
        let reply = stub.execute(request).await?.into_inner().response;
        Ok(serde_json::from_str(&reply).unwrap())
    }

    /// Signs up, and returns the token.
    pub(crate) async fn account(&self, name: &str) -> String {
        let reply = self
            .ask(sign_up(Uuid::new_v4(), name, "a"), None)
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

fn config_in(directory: &tempfile::TempDir, sessions: Sessions) -> Config {
    Config {
        storage: Storage {
            directory: directory.path().to_owned(),
        },
        nodes: vec![Node {
            id: 1,
            client_address: free_address(),
            peer_address: free_address(),
        }],
        sessions,
        ..Config::default()
    }
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Waits until somebody listens there.
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
