//! What happens a thousand times a second under attack is logged a few times a minute, with its count.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two lines about the same thing: enough for an operator to follow, too
/// little to fill a disk.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts something that is logged at most once in an interval.
#[derive(Debug, Default)]
pub(crate) struct LogThrottle {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    logged: Option<Instant>,
    since: u64,
}

impl LogThrottle {
    /// It has happened at `now`. `Some` if it is to be logged: how often it has happened since the
    /// last line.
    pub(crate) fn record(&self, now: Instant) -> Option<u64> {
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
    fn a_flood_is_one_line_in_an_interval() {
        let throttle = LogThrottle::default();
        let begin = Instant::now();
        assert_eq!(throttle.record(begin), Some(1));
        for _ in 0..1_000 {
            assert_eq!(throttle.record(begin + INTERVAL / 2), None);
        }
        assert_eq!(throttle.record(begin + INTERVAL), Some(1_001));
    }
}
