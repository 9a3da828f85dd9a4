//! `grpc.health.v1`: a node serves while a leader is confirmed and this node has applied what that
//! leader had committed; which is what a linearizable read asks for, so that is what is tried.

use std::time::{Duration, Instant};

use chat_proto::chat::v1::chat_server::SERVICE_NAME;
use chat_replication::Handle;
use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::HealthReporter;

/// How long a confirmation may take: a fail-over that is shorter is no reason to send clients away.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// How often it is tried, besides at every change of leadership.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// A request names one service.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// The node as a whole.
const WHOLE: &str = "";

/// How much longer a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lifecycle {
    /// It serves, or will.
    Serving,
    /// It refuses what is new.
    Draining,
    /// Its listener closes; whoever follows its health would hold that up.
    Stopped,
}

/// Tells whoever asks; until the first probe the node does not serve.
pub(crate) async fn start(
    replica: Handle,
    lifecycle: watch::Receiver<Lifecycle>,
) -> HealthServer<impl Health> {
    let (reporter, server) = tonic_health::server::health_reporter();
    report(&reporter, ServingStatus::NotServing).await;
    tokio::spawn(follow(replica, lifecycle, reporter));
    server.max_decoding_message_size(MESSAGE_BYTES_MAX)
}

async fn follow(
    replica: Handle,
    mut lifecycle: watch::Receiver<Lifecycle>,
    mut reporter: HealthReporter,
) {
    let mut leadership = replica.watch_leadership();
    let mut reported = ServingStatus::NotServing;
    loop {
        let now = tokio::select! {
            confirmed = replica.ensure_linearizable(Instant::now() + PROBE_TIMEOUT) => match confirmed {
                Ok(()) => ServingStatus::Serving,
                Err(_unconfirmed) => ServingStatus::NotServing,
            },
            // Whoever could say so is gone: that means leave too.
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
    // Whoever could say so is gone: that means us too.
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
