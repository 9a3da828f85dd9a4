//! Events that occur a thousand times a second under attack are logged a few times a minute, with a
//! count.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two lines about the same thing: enough for an operator to follow, too
/// little to fill a disk.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts events that are logged at most once in an interval.
#[derive(Debug, Default)]
pub struct LogThrottle {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    logged: Option<Instant>,
    since: u64,
}

impl LogThrottle {
    /// Records one event at `now`. Returns `Some` if it should be logged, with how many events there
    /// were since the last line.
    pub fn record(&self, now: Instant) -> Option<u64> {
        // Nothing panics while it is held.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.since += 1;
        let due = state.logged.is_none_or(|logged| now >= logged + INTERVAL);
        due.then(|| {
            state.logged = Some(now);
            std::mem::take(&mut state.since)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{INTERVAL, LogThrottle};

    #[test]
    fn flood_is_logged_once_in_an_interval() {
        let throttle = LogThrottle::default();
        let begin = Instant::now();
        assert_eq!(throttle.record(begin), Some(1));
        for _ in 0..1_000 {
            assert_eq!(throttle.record(begin + INTERVAL / 2), None);
        }
        assert_eq!(throttle.record(begin + INTERVAL), Some(1_001));
    }
}
