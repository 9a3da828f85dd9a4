//! `grpc.health.v1`: a node serves while a leader is confirmed and this node has applied what that
//! leader had committed. A linearizable read requires the same, so the probe is such a read.

use std::time::{Duration, Instant};

use chat_proto::chat::v1::chat_server::SERVICE_NAME;
use chat_replication::Handle;
use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::HealthReporter;

/// How long a confirmation may take: clients need not leave for a fail-over that is shorter.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// How often the probe runs, besides at every change of leadership.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// A request names one service.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// The node as a whole.
const WHOLE: &str = "";

/// Whether a node accepts requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lifecycle {
    /// It serves, or will serve soon.
    Serving,
    /// It rejects new requests.
    Draining,
    /// Its listener closes. Open health streams would delay that, so they end.
    Stopped,
}

/// Starts the health service; until the first probe the node is not serving.
pub(crate) async fn start(
    replica: Handle,
    lifecycle: watch::Receiver<Lifecycle>,
) -> HealthServer<impl Health> {
    let (reporter, server) = tonic_health::server::health_reporter();
    report(&reporter, ServingStatus::NotServing).await;
    tokio::spawn(probe(replica, lifecycle, reporter));
    server.max_decoding_message_size(MESSAGE_BYTES_MAX)
}

async fn probe(
    replica: Handle,
    mut lifecycle: watch::Receiver<Lifecycle>,
    mut reporter: HealthReporter,
) {
    let mut leadership = replica.watch_leadership();
    let mut reported = ServingStatus::NotServing;
    loop {
        let now = tokio::select! {
            confirmed = replica.ensure_linearizable(Instant::now() + PROBE_TIMEOUT) => match confirmed {
                Ok(_index) => ServingStatus::Serving,
                Err(_unconfirmed) => ServingStatus::NotServing,
            },
            // A dropped sender also means that the node shuts down.
            _ = lifecycle.wait_for(|lifecycle| *lifecycle >= Lifecycle::Draining) => break,
        };
        if now != reported {
            tracing::info!(health = %now, "the node's health has changed");
            report(&reporter, now).await;
            reported = now;
        }
        tokio::select! {
            changed = leadership.changed() => if changed.is_err() { break },
            () = tokio::time::sleep(PROBE_INTERVAL) => {}
            _ = lifecycle.wait_for(|lifecycle| *lifecycle >= Lifecycle::Draining) => break,
        }
    }
    report(&reporter, ServingStatus::NotServing).await;
    // A dropped sender also means that the node has stopped.
    drop(
        lifecycle
            .wait_for(|lifecycle| *lifecycle == Lifecycle::Stopped)
            .await,
    );
    for service in [WHOLE, SERVICE_NAME] {
        reporter.clear_service_status(service).await;
    }
}

async fn report(reporter: &HealthReporter, status: ServingStatus) {
    for service in [WHOLE, SERVICE_NAME] {
        reporter.set_service_status(service, status).await;
    }
}
