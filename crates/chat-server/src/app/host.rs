//! The node as the chat's logic sees it: the machine's clocks and randomness, and tokio's timers.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chat_app::host::{Host, RandomnessError};
use chat_app::log_clock::{LogClock, Reading};
use nix::time::{ClockId, clock_gettime};
use tokio::time::timeout_at;

/// The machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine;

impl Machine {
    /// A clock for proposals; `log_time` is that of the newest applied command.
    pub(crate) fn log_clock(lead_max: Duration, log_time: f64) -> LogClock {
        LogClock::new(read_clocks, lead_max, log_time)
    }
}

impl Host for Machine {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix_seconds(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |since| since.as_secs().cast_signed())
    }

    async fn until<T: Send>(
        &self,
        deadline: Instant,
        future: impl Future<Output = T> + Send,
    ) -> Option<T> {
        timeout_at(deadline.into(), future).await.ok()
    }

    fn fill_random(&self, bytes: &mut [u8]) -> Result<(), RandomnessError> {
        getrandom::fill(bytes).map_err(|error| RandomnessError(error.to_string()))
    }
}

fn read_clocks() -> Reading {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH);
    let running = clock_gettime(ClockId::CLOCK_BOOTTIME);
    let running = running.expect("Linux has had this clock since 2.6.39");
    Reading {
        // A clock before 1970 is as wrong as one that runs backwards, which applying corrects.
        wall: wall.map_or(0.0, |since| since.as_secs_f64()),
        running: running.tv_sec() as f64 + running.tv_nsec() as f64 / 1e9,
    }
}
