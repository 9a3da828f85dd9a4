//! How long a node waits for what.

use std::time::Duration;

/// How long a node waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// A leader sends every node a heartbeat this often.
    pub heartbeat_interval: Duration,
    /// The shortest time without a leader before a node campaigns, at least three heartbeat
    /// intervals and 30 ms; the longest is half as much again.
    pub election_timeout: Duration,
}

impl Timing {
    /// These intervals; whether they fit each other is checked at the start.
    pub fn new(heartbeat_interval: Duration, election_timeout: Duration) -> Self {
        Self {
            heartbeat_interval,
            election_timeout,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        let timing = chat_consensus::Timing::default();
        Self::new(timing.heartbeat_interval, timing.election_timeout)
    }
}
