//! What can be in the way of signing in: each has its own sentence and its own next step.

use std::time::Duration;

use chat_gui::model::action::UserAction;
use chat_gui::model::failure::Failure;
use chat_proto::chat::v1::chat_server::{Chat, ChatServer};
use chat_proto::chat::v1::{ExecuteRequest, ExecuteResponse, WatchEvent, WatchRequest};
use chat_proto::cluster::v1::cluster_server::{Cluster as ClusterService, ClusterServer};
use chat_proto::cluster::v1::{
    StatusRequest, StatusResponse, TransferLeadershipRequest, TransferLeadershipResponse,
};
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::waiting::within;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::{Request, Response, Status};

use crate::window::{PASSWORD, Window, addresses};

const LIMIT: Duration = Duration::from_secs(120);

/// Why signing in failed, once it has, and that the window says so and what to do.
async fn told(window: &mut Window) -> Failure {
    let failure = window
        .until("signing in has failed", |model| {
            model.sign_in.failure.clone()
        })
        .await;
    window.wait_for_text(&failure.sentence()).await;
    window.wait_for_text(words(&failure.next_step())).await;
    failure
}

/// The beginning of a sentence, up to what is shown as something to type.
fn words(sentence: &str) -> &str {
    sentence.split('`').next().unwrap_or_default().trim_end()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_a_taken_name_are_told_apart() {
    within(LIMIT, async {
        let cluster = Cluster::start(3).await;
        cluster.client().sign_up("alice", PASSWORD).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut window = Window::open(folder.path(), addresses(&cluster));
        window.sign_in("alice", "something else").await;
        assert_eq!(told(&mut window).await, Failure::WrongCredentials);

        window.press("Create an account");
        window.fill("Password once more", "something else");
        window.press("Create the account");
        window
            .until("the name is taken", |model| {
                (model.sign_in.failure == Some(Failure::NameTaken)).then_some(())
            })
            .await;
        assert_eq!(told(&mut window).await, Failure::NameTaken);
        assert_eq!(window.model().account, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_not_there_are_named() {
    within(LIMIT, async {
        let folder = tempfile::tempdir().unwrap();
        let address = dead_address().await;
        let mut window = Window::open(folder.path(), vec![address.clone()]);
        window.sign_in("alice", PASSWORD).await;
        let addresses = vec![address.clone()];
        assert_eq!(told(&mut window).await, Failure::NoServer { addresses });
        assert!(window.count_text(&address) > 0);

        window.act(UserAction::ChooseServers);
        window.act(UserAction::UseServers("nonsense".to_owned()));
        let failure = window
            .until("the address is refused", |model| {
                model.servers.failure.clone()
            })
            .await;
        assert!(
            matches!(failure, Failure::AddressUnusable(_)),
            "{failure:?}"
        );
        window.wait_for_text(words(&failure.next_step())).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_servers_are_told_apart_from_none() {
    within(LIMIT, async {
        let mut cluster = Cluster::start(3).await;
        let ids = cluster.ids();
        cluster.kill(ids[0]);
        cluster.kill(ids[1]);
        let folder = tempfile::tempdir().unwrap();
        let survivor = vec![cluster.client_address(ids[2]).to_string()];
        let mut window = Window::open(folder.path(), survivor);
        window.sign_in("alice", PASSWORD).await;
        assert_eq!(told(&mut window).await, Failure::NoMajority);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_of_another_version_are_told_apart_from_servers_of_something_else() {
    within(LIMIT, async {
        let chat = || Server::builder().add_service(ChatServer::new(Newer));
        let newer = serve(chat().add_service(ClusterServer::new(Newer))).await;
        let folder = tempfile::tempdir().unwrap();
        let mut window = Window::open(folder.path(), vec![newer]);
        window.sign_in("alice", PASSWORD).await;
        let theirs = Some("9.0.0".to_owned());
        assert_eq!(told(&mut window).await, Failure::OtherVersion { theirs });
        assert!(window.count_text("9.0.0") > 0);

        let other = serve(chat()).await;
        window.act(UserAction::ChooseServers);
        window.act(UserAction::UseServers(other));
        let failure = window
            .until("the servers are refused", |model| {
                model.servers.failure.clone()
            })
            .await;
        assert_eq!(failure, Failure::OtherVersion { theirs: None });
        window.wait_for_text(&failure.sentence()).await;
    })
    .await;
}

/// An address that nobody listens on.
async fn dead_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("there is a free port");
    local_address(&listener)
}

fn local_address(listener: &TcpListener) -> String {
    let address = listener.local_addr();
    address
        .expect("a bound listener has an address")
        .to_string()
}

pub(crate) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("there is a free port");
    let address = local_address(&listener);
    tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

/// A server of a later version, whose answers nobody understands yet.
#[derive(Clone, Copy)]
struct Newer;

#[tonic::async_trait]
impl Chat for Newer {
    async fn execute(
        &self,
        _request: Request<ExecuteRequest>,
    ) -> Result<Response<ExecuteResponse>, Status> {
        let response = r#"{"outcome":"granted"}"#.to_owned();
        Ok(Response::new(ExecuteResponse { response }))
    }

    type WatchStream = tokio_stream::Empty<Result<WatchEvent, Status>>;

    async fn watch(
        &self,
        _request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("ask for something else"))
    }
}

#[tonic::async_trait]
impl ClusterService for Newer {
    async fn status(
        &self,
        _request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        Ok(Response::new(StatusResponse {
            node_id: 1,
            version: "9.0.0".to_owned(),
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
