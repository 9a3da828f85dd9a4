//! The services of the client listener besides the chat: health and reflection.

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::node::{OneNode, TEST_TIMEOUT};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_service_reports_whether_the_node_serves() {
    let node = OneNode::start().await;
    let mut health = HealthClient::new(node.clients.clone());
    let mut serving = Vec::new();
    for service in ["", "chat.v1.Chat"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let mut changes = health.watch(request).await.unwrap().into_inner();
        let until_serving = async {
            while changes.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}
        };
        tokio::time::timeout(TEST_TIMEOUT, until_serving)
            .await
            .unwrap();
        serving.push(changes);
    }
    let stopped = serving[0].message();
    let ((), stopped) = tokio::join!(node.stop(), stopped);
    assert_eq!(
        stopped.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reflection_lists_the_services_for_clients() {
    let node = OneNode::start().await;
    let mut reflection = ServerReflectionClient::new(node.clients.clone());
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let responses = reflection.server_reflection_info(tokio_stream::once(request));
    let response = responses
        .await
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = response.unwrap().message_response
    else {
        panic!("another type of response");
    };
    let names: Vec<String> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    let expected = [
        "chat.v1.Chat",
        "cluster.v1.Cluster",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ];
    assert_eq!(names, expected, "and nothing of replication");
    node.stop().await;
}
