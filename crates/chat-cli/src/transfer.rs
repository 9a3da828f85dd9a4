//! `chat cluster transfer`: transfers leadership to another node, for example before the maintenance
//! of a machine.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use chat_client::TransferError;
use serde_json::json;

use crate::cluster_members;
use crate::context::Context;
use crate::failure::Failure;
use crate::progress::waiting;

/// How long a transfer may take. Usually it takes some milliseconds.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn run(context: &Context) -> Result<ExitCode, Failure> {
    let deadline = Instant::now() + context.deadline;
    let (leader, address) = cluster_members::operator(context)?
        .leader_address(deadline.into())
        .await?;
    let failed = |what: String| {
        Failure::Unavailable(format!("node {leader} did not transfer leadership: {what}"))
    };
    let started = Instant::now();
    let transfer = chat_client::transfer_leadership(&address, TRANSFER_TIMEOUT);
    let next = waiting("transferring leadership", transfer)
        .await
        .map_err(|error| match error {
            TransferError::InvalidAddress { .. } => Failure::Usage(error.to_string()),
            error => failed(error.to_string()),
        })?;
    let took = started.elapsed().as_millis();
    let Some(next) = next.filter(|next| *next != leader) else {
        return Err(failed(format!("no other node leads after {took} ms")));
    };
    context.printer.print(
        || format!("Node {next} is the leader now, instead of node {leader} ({took} ms)."),
        &json!({"from": leader, "to": next}),
    )?;
    Ok(ExitCode::SUCCESS)
}
