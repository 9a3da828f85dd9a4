//! The figures, and the limits beside them.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

const MEGABYTE: f64 = 1e6;

/// The largest disk use at any time, while 96 MB are sent and deleted ten times.
const DISK_MAX_BYTES: u64 = 600_000_000;
/// After the last snapshot.
const DISK_SETTLED_BYTES: u64 = 450_000_000;
/// Until a node with a million messages serves.
const RESTART_LIMIT: Duration = Duration::from_secs(1);
/// Until a follower that lacks a million entries is level.
const LEVEL_LIMIT: Duration = Duration::from_secs(60);
/// How many times as long other clients wait meanwhile, at the 99th percentile.
const SLOWDOWN_MAX: f64 = 2.0;

/// Everything that was measured. What is serialised is for programs; times are seconds or, in `_ms`,
/// milliseconds.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// `None` if it was not measured.
    pub(super) disk: Option<DiskUse>,
    pub(super) behind: Vec<CatchUp>,
    pub(super) restart: Vec<Restart>,
}

/// What the files of each node took.
#[derive(Debug, Serialize)]
pub(super) struct DiskUse {
    /// Sent and deleted in each round.
    pub(super) megabytes: u64,
    pub(super) rounds: u32,
    pub(super) seconds: f64,
    /// The most at any sample, by node.
    pub(super) max_bytes: Vec<u64>,
    /// When nothing changed any more, by node.
    pub(super) settled_bytes: Vec<u64>,
    /// Whether that was so before the time was over.
    pub(super) settled: bool,
}

/// One follower that caught up.
#[derive(Debug, Serialize)]
pub(super) struct CatchUp {
    /// What had happened to it.
    pub(super) how: &'static str,
    /// What it lacked.
    pub(super) messages: u64,
    /// How often it was killed meanwhile.
    pub(super) kills: u32,
    /// From its start until it was level; `None` if the time was over before.
    pub(super) seconds: Option<f64>,
    pub(super) before: Others,
    pub(super) during: Others,
}

/// What others waited for in the same time.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Others {
    /// For the acknowledgement of a send.
    pub(super) sends: Waits,
    /// For the disk: a small write and its sync, by a program that does nothing else.
    pub(super) syncs: Waits,
}

/// How long other clients waited.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Waits {
    pub(super) sends: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

/// One start of a node.
#[derive(Debug, Serialize)]
pub(super) struct Restart {
    /// How it had ended.
    pub(super) how: &'static str,
    pub(super) messages: u64,
    /// Until it replied to a request for its status.
    pub(super) status_seconds: f64,
    /// Until it served a linearizable read; `None` if the time was over before.
    pub(super) read_seconds: Option<f64>,
}

impl Waits {
    /// Of these, in any order.
    pub(super) fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        let at = |percent: usize| {
            let place = (all.len() * percent).div_ceil(100).saturating_sub(1);
            let wait = all.get(place).copied().unwrap_or_default();
            wait.as_secs_f64() * 1e3
        };
        Self {
            sends: all.len(),
            p50_ms: at(50),
            p99_ms: at(99),
            max_ms: at(100),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(disk) = &self.disk {
            write!(out, "{disk}")?;
        }
        for caught_up in &self.behind {
            write!(out, "{caught_up}")?;
        }
        for restart in &self.restart {
            write!(out, "{restart}")?;
        }
        Ok(())
    }
}

impl fmt::Display for DiskUse {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: &u64| *bytes as f64 / MEGABYTE;
        let (sent, rounds) = (self.megabytes, self.rounds);
        writeln!(
            out,
            "disk     {sent} MB sent and deleted {rounds} times in {:.0} s",
            self.seconds
        )?;
        for (what, all, limit) in [
            ("at most", &self.max_bytes, DISK_MAX_BYTES),
            ("at rest", &self.settled_bytes, DISK_SETTLED_BYTES),
        ] {
            let each: Vec<String> = all
                .iter()
                .map(|one| format!("{:.0}", megabytes(one)))
                .collect();
            let verdict = verdict(all.iter().all(|bytes| *bytes <= limit));
            let (each, limit) = (each.join(", "), megabytes(&limit));
            writeln!(
                out,
                "         {what} {each} MB on the nodes; limit {limit:.0} MB: {verdict}"
            )?;
        }
        if !self.settled {
            writeln!(
                out,
                "         the files still changed when the time was over"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for CatchUp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { how, messages, .. } = self;
        let kills = match self.kills {
            0 => String::new(),
            kills => format!(", killed {kills} times"),
        };
        match self.seconds {
            Some(seconds) => writeln!(
                out,
                "behind   {how}, {messages} messages{kills}: level after {seconds:.1} s; limit {} s: {}",
                LEVEL_LIMIT.as_secs(),
                verdict(seconds <= LEVEL_LIMIT.as_secs_f64())
            )?,
            None => writeln!(
                out,
                "behind   {how}, {messages} messages{kills}: not level in time"
            )?,
        }
        let (before, during) = (self.before, self.during);
        writeln!(
            out,
            "         others' p99 {:.1} ms before ({} sends), {:.1} ms meanwhile ({} sends), at most \
             {:.1} ms; limit {SLOWDOWN_MAX} times: {}",
            before.sends.p99_ms,
            before.sends.sends,
            during.sends.p99_ms,
            during.sends.sends,
            during.sends.max_ms,
            verdict(during.sends.p99_ms <= before.sends.p99_ms * SLOWDOWN_MAX)
        )?;
        writeln!(
            out,
            "         a sync of the disk alone: p99 {:.1} ms before, {:.1} ms meanwhile",
            before.syncs.p99_ms, during.syncs.p99_ms
        )
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { how, messages, .. } = self;
        write!(
            out,
            "restart  {how}, {messages} messages: status after {:.3} s, ",
            self.status_seconds
        )?;
        match self.read_seconds {
            Some(seconds) => writeln!(
                out,
                "a read after {seconds:.3} s; limit {} s: {}",
                RESTART_LIMIT.as_secs(),
                verdict(seconds <= RESTART_LIMIT.as_secs_f64())
            ),
            None => writeln!(out, "no read in time"),
        }
    }
}

fn verdict(is_within: bool) -> &'static str {
    if is_within { "within" } else { "OVER" }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Waits;

    #[test]
    fn percentiles_are_of_the_sorted_waits() {
        let waits = Waits::of((1..=200).rev().map(Duration::from_millis).collect());
        let found = (waits.sends, waits.p50_ms, waits.p99_ms, waits.max_ms);
        assert_eq!(found, (200, 100.0, 198.0, 200.0));
        assert_eq!(Waits::of(Vec::new()).sends, 0);
    }
}
