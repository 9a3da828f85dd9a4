//! `chat cluster transfer`: transfers leadership to another node, for example before the maintenance
//! of a machine.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use chat_proto::cluster::v1::TransferLeadershipRequest;
use chat_proto::cluster::v1::cluster_client::ClusterClient;
use serde_json::json;
use tonic::Request;
use tonic::transport::Endpoint;

use crate::cluster_status;
use crate::context::Context;
use crate::failure::Failure;
use crate::progress::waiting;

/// How long a transfer may take. Usually it takes some milliseconds.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn run(context: &Context) -> Result<ExitCode, Failure> {
    let leader = cluster_status::leader(context).await?;
    let address = context
        .node_list
        .nodes
        .iter()
        .find(|node| node.id == Some(leader))
        .and_then(|node| node.peer_address.as_deref())
        .ok_or_else(|| {
            Failure::Usage(format!(
                "the peer address of node {leader} is not known; name a file that contains it with --config"
            ))
        })?;
    let failed = |what: String| {
        Failure::Unavailable(format!("node {leader} did not transfer leadership: {what}"))
    };
    let uri = if address.starts_with("unix:") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    let endpoint = Endpoint::from_shared(uri)
        .map_err(|error| Failure::Usage(format!("{address}: {error}")))?;
    let started = Instant::now();
    let channel = endpoint.connect_timeout(TRANSFER_TIMEOUT).connect().await;
    let channel = channel.map_err(|error| failed(error.to_string()))?;
    let mut request = Request::new(TransferLeadershipRequest {});
    request.set_timeout(TRANSFER_TIMEOUT);
    let mut stub = ClusterClient::new(channel);
    let answer = waiting("transferring leadership", stub.transfer_leadership(request)).await;
    let next = answer
        .map_err(|status| failed(status.message().to_owned()))?
        .into_inner()
        .leader_id;
    let took = started.elapsed().as_millis();
    if next == 0 || next == leader {
        return Err(failed(format!("there is no other leader after {took} ms")));
    }
    context.printer.print(
        || format!("Node {next} is the leader now, instead of node {leader} ({took} ms)."),
        &json!({"from": leader, "to": next}),
    )?;
    Ok(ExitCode::SUCCESS)
}
