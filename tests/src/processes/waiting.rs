//! Waiting for a condition that can be probed, until a deadline.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long a cluster may take for anything that it does without a request. Elections take a second at
/// most; the rest is for machines that do other things too.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// The time between two probes. Short compared with an election, long compared with a reply.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Calls `probe` again and again until it succeeds.
///
/// # Panics
///
/// After [`WAIT_TIMEOUT`], with the last result of the probe.
pub async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match probe().await {
            Ok(found) => return found,
            Err(instead) => assert!(
                Instant::now() < deadline,
                "waited {WAIT_TIMEOUT:?} until {what}; at last: {instead}"
            ),
        }
    }
}

/// Runs a whole test.
///
/// # Panics
///
/// When it takes longer than `limit`.
pub async fn within<T>(limit: Duration, test: impl Future<Output = T>) -> T {
    match timeout(limit, test).await {
        Ok(result) => result,
        Err(_late) => panic!("the test has not ended within {limit:?}"),
    }
}
