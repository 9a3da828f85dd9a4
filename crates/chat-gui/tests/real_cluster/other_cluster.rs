//! S-C2: the addresses that a window knows lead to another cluster by now, or to two at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chat_gui::model::failure::Failure;
use chat_gui::model::message::MessageState;
use chat_proto::chat::v1::chat_server::{Chat, ChatServer};
use chat_proto::chat::v1::{ExecuteRequest, ExecuteResponse, WatchEvent, WatchRequest};
use chat_proto::cluster::v1::cluster_server::{Cluster as ClusterService, ClusterServer};
use chat_proto::cluster::v1::{
    StatusRequest, StatusResponse, TransferLeadershipRequest, TransferLeadershipResponse,
};
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::waiting::within;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::sign_in::serve;
use crate::window::{PASSWORD, Window, addresses, message};

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_cluster_gets_no_token() {
    within(LIMIT, async {
        let cluster = Cluster::start(3).await;
        let stranger = Stranger::default();
        let strange_address = stranger.start().await;
        cluster.client().sign_up("bob", PASSWORD).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut window = Window::open(folder.path(), addresses(&cluster));
        window.sign_up("alice").await;
        drop(window);

        // The session that this device keeps is taken up with whoever is at the address now.
        let mut window = Window::open(folder.path(), vec![strange_address.clone()]);
        window
            .until("alice is back", |model| model.account.as_ref().map(|_| ()))
            .await;
        window.open_conversation("bob");
        window.write("bob", "for you alone");
        let expected = Failure::OtherCluster {
            address: strange_address.clone(),
        };
        let why = window
            .until("an attempt has failed", |model| {
                match message(model, "bob", "for you alone")?.state {
                    MessageState::Pending(pending) => pending.delayed,
                    other => panic!("it waits for its own cluster: {other:?}"),
                }
            })
            .await;
        assert_eq!(why, expected);
        window.wait_for_text(&expected.sentence()).await;
        assert!(stranger.asked() > 0, "it was asked which cluster it is of");
        assert_eq!(stranger.tokens(), 0);
        drop(window);

        // Nobody can say which of the two a new session is of.
        let other_folder = tempfile::tempdir().unwrap();
        let mut mixed = addresses(&cluster);
        mixed.push(strange_address);
        let mut window = Window::open(other_folder.path(), mixed);
        window.sign_in("bob", PASSWORD).await;
        let failure = window
            .until("signing in has failed", |model| {
                model.sign_in.failure.clone()
            })
            .await;
        assert!(
            matches!(failure, Failure::DifferentClusters(_)),
            "{failure:?}"
        );
        assert_eq!(window.model().account, None);
        drop(window);

        let mut window = Window::open(folder.path(), addresses(&cluster));
        window.signed_in().await;
        window.until_sent("bob", "for you alone").await;
        assert_eq!(stranger.tokens(), 0);
    })
    .await;
}

/// A node of another cluster that would take whatever it is sent.
#[derive(Clone, Default)]
struct Stranger {
    tokens: Arc<AtomicU32>,
    asked: Arc<AtomicU32>,
}

impl Stranger {
    async fn start(&self) -> String {
        let router = Server::builder().add_service(ChatServer::new(self.clone()));
        serve(router.add_service(ClusterServer::new(self.clone()))).await
    }

    /// How many requests have brought a token.
    fn tokens(&self) -> u32 {
        self.tokens.load(Ordering::SeqCst)
    }

    /// How often it was asked for its status.
    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }

    fn count<T>(&self, request: &Request<T>) {
        if request.metadata().contains_key("authorization") {
            self.tokens.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tonic::async_trait]
impl Chat for Stranger {
    async fn execute(
        &self,
        request: Request<ExecuteRequest>,
    ) -> Result<Response<ExecuteResponse>, Status> {
        self.count(&request);
        Err(Status::unavailable("somebody else may have it"))
    }

    type WatchStream = tokio_stream::Pending<Result<WatchEvent, Status>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.count(&request);
        Ok(Response::new(tokio_stream::pending()))
    }
}

#[tonic::async_trait]
impl ClusterService for Stranger {
    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        self.count(&request);
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(StatusResponse {
            node_id: 1,
            cluster_id: "0123456789abcdef0123456789abcdef".to_owned(),
            role: "leader".to_owned(),
            term: 1,
            leader_id: 1,
            storage_state: "ok".to_owned(),
            voter_ids: vec![1],
            ..StatusResponse::default()
        }))
    }

    async fn transfer_leadership(
        &self,
        _request: Request<TransferLeadershipRequest>,
    ) -> Result<Response<TransferLeadershipResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}
