//! How long clients wait when something happens to the leader: the longest time between two
//! acknowledgements around each time, as a client sees it that never stops sending.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::Deserialize;

use super::print_circumstances;
use crate::cluster::{Links, NodeId, Session};
use crate::workspace;

/// A cluster that has no leader again by then is broken, not slow.
const OUTAGE_LIMIT: Duration = Duration::from_secs(20);

/// So many sends in a row are acknowledged when the outage is over, and before the next begins.
const STEADY_SENDS: usize = 100;

/// Longer than any measurement: the probe is ended when that is over.
const PROBE_SECONDS: &str = "86400";

/// What happens to the leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Fault {
    /// SIGKILL: its connections break, so everybody notices at once.
    #[default]
    Kill,
    /// Nothing passes between it and the other nodes any more, and no connection breaks.
    Cut,
    /// It is asked to hand leadership over, as before its machine is serviced.
    HandOver,
}

impl Fault {
    /// How the command line names it.
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Cut => "cut",
            Self::HandOver => "hand-over",
        }
    }

    /// Only the supervisor's links can be cut; without that need nothing stands in between.
    fn links(self) -> Links {
        match self {
            Self::Kill | Self::HandOver => Links::Direct,
            Self::Cut => Links::Proxied,
        }
    }

    fn inflict(self, session: &Session) -> Result<NodeId> {
        match self {
            Self::Kill => session.kill_leader(),
            Self::Cut => session.cut_leader(),
            Self::HandOver => session.hand_over(),
        }
    }

    fn repair(self, session: &Session, node: NodeId) -> Result<()> {
        match self {
            Self::Kill => session.restart(node),
            Self::Cut => session.heal(node),
            Self::HandOver => session.wait_until_settled(),
        }
    }
}

/// One line of the probe: a send that was acknowledged.
#[derive(Debug, Deserialize)]
struct Acknowledgement {
    /// Microseconds since the probe began.
    at_us: u64,
    /// How often the client gave up on it before; retries inside the client do not count.
    errors: u32,
}

/// Does this to the leader again and again under a client that sends without pause.
pub(super) fn run(root: &Path, fault: Fault, times: u32) -> Result<()> {
    let folder = workspace::target_directory(root).join("bench/failover");
    let session = Session::start(root, folder, 3, fault.links())?;
    let mut probe = Probe::start(&session)?;
    let mut outages = Vec::new();
    for number in 1..=times {
        probe.wait_for_sends(STEADY_SENDS)?;
        probe.forget_all_but_the_last();
        let leader = fault.inflict(&session)?;
        probe.wait_for_sends(STEADY_SENDS)?;
        let outage = probe.longest_gap();
        println!(
            "{number:>4}  node {leader} {}: {:.1} ms",
            fault.name(),
            milliseconds(outage)
        );
        outages.push(outage);
        fault.repair(&session, leader)?;
    }
    outages.sort_unstable();
    println!("\noutage per {} of the leader, {times} times", fault.name());
    for (name, percent) in [("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)] {
        println!(
            "{name}      {:.1} ms",
            milliseconds(percentile(&outages, percent))
        );
    }
    println!("errors   {} that the client reported", probe.errors);
    print_circumstances(&format!(
        "cargo xtask bench failover --by {} --times {times}",
        fault.name()
    ));
    Ok(())
}

/// A client that sends, and when its sends were acknowledged.
struct Probe {
    child: Child,
    lines: Receiver<Result<Acknowledgement>>,
    acknowledged: Vec<Duration>,
    errors: u32,
}

impl Probe {
    fn start(session: &Session) -> Result<Self> {
        let mut child = Command::new(session.program("chat"))
            .args([
                "bench",
                "--failover-probe",
                "--seconds",
                PROBE_SECONDS,
                "--config",
            ])
            .arg(session.client_config())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the client that sends")?;
        let output = child
            .stdout
            .take()
            .context("the client's output is a pipe")?;
        // A thousand lines are a quarter of a second; they are read all the time.
        let (sender, lines) = mpsc::sync_channel(1000);
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let parsed = line
                    .context("reading from the client")
                    .and_then(|line| serde_json::from_str(&line).context(line));
                if sender.send(parsed).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            lines,
            acknowledged: Vec::new(),
            errors: 0,
        })
    }

    /// Waits until so many more sends are acknowledged from now on.
    fn wait_for_sends(&mut self, count: usize) -> Result<()> {
        while let Ok(line) = self.lines.try_recv() {
            self.note(&line?);
        }
        let deadline = Instant::now() + OUTAGE_LIMIT;
        for _ in 0..count {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                bail!("fewer than {count} sends were acknowledged within {OUTAGE_LIMIT:?}");
            };
            self.note(&line?);
        }
        Ok(())
    }

    fn note(&mut self, line: &Acknowledgement) {
        self.acknowledged.push(Duration::from_micros(line.at_us));
        self.errors += line.errors;
    }

    fn forget_all_but_the_last(&mut self) {
        let last = self.acknowledged.len().saturating_sub(1);
        self.acknowledged.drain(..last);
    }

    fn longest_gap(&self) -> Duration {
        longest_gap(&self.acknowledged)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // It may have ended on its own, and then there is nothing to end.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Acknowledgements of several senders may be printed a little out of order.
fn longest_gap(acknowledged: &[Duration]) -> Duration {
    let mut sorted = acknowledged.to_vec();
    sorted.sort_unstable();
    sorted
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap_or_default()
}

/// The smallest value that so many percent of all do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{longest_gap, percentile};

    fn ms(values: &[u64]) -> Vec<Duration> {
        values.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn the_outage_is_the_longest_gap() {
        assert_eq!(
            longest_gap(&ms(&[1, 2, 3, 45, 44, 46])),
            Duration::from_millis(41)
        );
        assert_eq!(longest_gap(&ms(&[7])), Duration::ZERO);
        assert_eq!(longest_gap(&[]), Duration::ZERO);
    }

    #[test]
    fn percentiles_are_measured_values() {
        let values = ms(&(1..=50).collect::<Vec<_>>());
        assert_eq!(percentile(&values, 50), Duration::from_millis(25));
        assert_eq!(percentile(&values, 99), Duration::from_millis(50));
        assert_eq!(percentile(&values, 100), Duration::from_millis(50));
        assert_eq!(percentile(&values[..1], 50), Duration::from_millis(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
