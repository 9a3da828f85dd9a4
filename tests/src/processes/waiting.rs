//! Waiting for something that can be asked for, until a deadline.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long a cluster may take for anything that it does by itself. Elections take a second at
/// most; the rest is for machines that do other things too.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often is asked. Short beside an election, long beside an answer.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Asks `probe` again and again until it finds what is waited for.
///
/// # Panics
///
/// After [`PATIENCE`], with what the probe said instead.
pub async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match probe().await {
            Ok(found) => return found,
            Err(instead) => assert!(
                Instant::now() < deadline,
                "waited {PATIENCE:?} until {what}; at last: {instead}"
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
