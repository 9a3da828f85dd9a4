//! The figures of a measurement.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::load::Tally;
use crate::arguments::Bench;
use crate::output::thousands;

/// What is serialised is a stable interface. Times are microseconds.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    operation: &'static str,
    clients: u32,
    body_bytes: u64,
    seconds: f64,
    done: u64,
    failed: u64,
    unknown: u64,
    per_second: f64,
    p50_us: u64,
    p99_us: u64,
    max_us: u64,
    /// On all nodes together, for each request in `done`; null when the servers' processes are not
    /// known.
    server_cpu_us: Option<f64>,
    client_cpu_us: Option<f64>,
    first_error: Option<String>,
}

impl Report {
    pub(super) fn new(
        bench: &Bench,
        tally: &Tally,
        took: Duration,
        servers: Option<Duration>,
        own: Option<Duration>,
    ) -> Self {
        let done = tally.done as f64;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / done;
        let each = |time: Option<Duration>| time.map(each).filter(|cost| cost.is_finite());
        Self {
            operation: if bench.reads { "read" } else { "send" },
            clients: bench.clients,
            body_bytes: bench.body,
            seconds: took.as_secs_f64(),
            done: tally.done,
            failed: tally.failed,
            unknown: tally.unknown,
            per_second: done / took.as_secs_f64(),
            p50_us: tally.latencies.value_at_quantile(0.5),
            p99_us: tally.latencies.value_at_quantile(0.99),
            max_us: tally.latencies.max(),
            server_cpu_us: each(servers),
            client_cpu_us: each(own),
            first_error: tally.first_error.clone(),
        }
    }

    pub(super) fn describe(&self) -> String {
        let operation = self.operation;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is small and positive"
        )]
        let rate = self.per_second.round() as u64;
        let mut text = format!(
            "{} clients for {:.1} s: {} {operation}s, {} {operation}s/s\n",
            self.clients,
            self.seconds,
            thousands(self.done),
            thousands(rate),
        );
        let milliseconds = |micros: u64| micros as f64 / 1000.0;
        let (p50, p99, max) = (self.p50_us, self.p99_us, self.max_us);
        writeln!(
            text,
            "latency: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            milliseconds(p50),
            milliseconds(p99),
            milliseconds(max)
        )
        .expect("writing to a string does not fail");
        let cost = |cost: Option<f64>| match cost {
            Some(cost) => format!("{cost:.1} µs"),
            None => "unknown (no .cluster/cluster.json names the processes)".to_owned(),
        };
        let (servers, own) = (cost(self.server_cpu_us), cost(self.client_cpu_us));
        write!(
            text,
            "CPU per {operation}: all servers {servers}, this client {own}\nerrors: {}",
            self.failed
        )
        .expect("writing to a string does not fail");
        if let Some(error) = &self.first_error {
            write!(
                text,
                " ({} of unknown outcome), the first: {error}",
                self.unknown
            )
            .expect("writing to a string does not fail");
        }
        text
    }
}
