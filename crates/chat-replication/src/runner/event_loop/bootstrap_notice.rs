//! Logs which nodes the bootstrap waits for.

use std::time::{Duration, Instant};

use chat_consensus::NodeId;

/// How often it is logged again which nodes the bootstrap waits for.
const INTERVAL: Duration = Duration::from_secs(10);

/// Logs which nodes the bootstrap waits for, when that changes and at intervals.
#[derive(Debug, Default)]
pub(super) struct BootstrapNotice {
    last: Option<(Vec<NodeId>, Instant)>,
}

impl BootstrapNotice {
    pub(super) fn note(&mut self, awaited: Option<Vec<NodeId>>) {
        let Some(awaited) = awaited.filter(|awaited| !awaited.is_empty()) else {
            return;
        };
        let known =
            |(last, at): &(Vec<NodeId>, Instant)| *last == awaited && at.elapsed() < INTERVAL;
        if self.last.as_ref().is_some_and(known) {
            return;
        }
        let nodes: Vec<u64> = awaited.iter().map(|node| node.0).collect();
        tracing::info!(
            ?nodes,
            "the cluster is not formed: these nodes have not answered"
        );
        self.last = Some((awaited, Instant::now()));
    }
}
