//! A server that gives the answers which a test chooses, and counts what it receives.
//!
//! Deliberately absent: any state of a chat.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use chat_proto::chat::v1::chat_server::{Chat, ChatServer};
use chat_proto::chat::v1::{ExecuteRequest, ExecuteResponse, WatchEvent, WatchRequest};
use chat_proto::cluster::v1::cluster_server::{Cluster as ClusterService, ClusterServer};
use chat_proto::cluster::v1::{
    ChangeMembersRequest, ChangeMembersResponse, StatusRequest, StatusResponse,
    TransferLeadershipRequest, TransferLeadershipResponse,
};
use test_kit::serve;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

/// A server with fixed answers. Its watch opens and never sends an event.
#[derive(Clone)]
pub(crate) struct FakeServer {
    /// The answer to each request to execute something: its JSON, or the code of an error.
    execute: Result<&'static str, Code>,
    status: StatusResponse,
    tokens: Arc<AtomicU32>,
    status_requests: Arc<AtomicU32>,
}

impl FakeServer {
    pub(crate) fn new(execute: Result<&'static str, Code>, status: StatusResponse) -> Self {
        Self {
            execute,
            status,
            tokens: Arc::default(),
            status_requests: Arc::default(),
        }
    }

    /// Serves requests at an address, which is returned.
    pub(crate) async fn start(&self) -> String {
        let router = Server::builder().add_service(ChatServer::new(self.clone()));
        serve(router.add_service(ClusterServer::new(self.clone()))).await
    }

    /// The same without the service that reports the status of a node.
    pub(crate) async fn start_without_status(&self) -> String {
        serve(Server::builder().add_service(ChatServer::new(self.clone()))).await
    }

    /// How many requests have brought a token.
    pub(crate) fn tokens(&self) -> u32 {
        self.tokens.load(Ordering::SeqCst)
    }

    /// How many requests for the status have arrived.
    pub(crate) fn status_requests(&self) -> u32 {
        self.status_requests.load(Ordering::SeqCst)
    }

    fn count_token<T>(&self, request: &Request<T>) {
        if request.metadata().contains_key("authorization") {
            self.tokens.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tonic::async_trait]
impl Chat for FakeServer {
    async fn execute(
        &self,
        request: Request<ExecuteRequest>,
    ) -> Result<Response<ExecuteResponse>, Status> {
        self.count_token(&request);
        let response = self
            .execute
            .map_err(|code| Status::new(code, "the answer that the test chose"))?;
        Ok(Response::new(ExecuteResponse {
            response: response.to_owned(),
        }))
    }

    type WatchStream = tokio_stream::Pending<Result<WatchEvent, Status>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.count_token(&request);
        Ok(Response::new(tokio_stream::pending()))
    }
}

#[tonic::async_trait]
impl ClusterService for FakeServer {
    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        self.count_token(&request);
        self.status_requests.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(self.status.clone()))
    }

    async fn transfer_leadership(
        &self,
        _request: Request<TransferLeadershipRequest>,
    ) -> Result<Response<TransferLeadershipResponse>, Status> {
        Err(Status::unimplemented("no test needs it"))
    }

    async fn change_members(
        &self,
        _request: Request<ChangeMembersRequest>,
    ) -> Result<Response<ChangeMembersResponse>, Status> {
        Err(Status::unimplemented("no test needs it"))
    }
}
