//! A client that sends, and when each send was acknowledged.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::session::Session;

/// A cluster that has no leader again by then is broken, not slow.
const OUTAGE_LIMIT: Duration = Duration::from_secs(20);

/// Longer than any measurement: the probe is ended when that is over.
const PROBE_SECONDS: &str = "86400";

/// How often the time is checked while nothing is acknowledged.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// One line of the probe: a send that was acknowledged.
#[derive(Debug, Deserialize)]
struct Acknowledgement {
    /// Microseconds since the probe began.
    at_us: u64,
    /// How often the client gave up on it before; retries inside the client do not count.
    errors: u32,
}

/// A client that sends, and when its sends were acknowledged.
pub(crate) struct Probe {
    child: Child,
    lines: Receiver<Result<Acknowledgement>>,
    acknowledged: Vec<Duration>,
    pub(crate) errors: u32,
}

impl Probe {
    /// Sends without pause.
    pub(crate) fn start(session: &Session) -> Result<Self> {
        Self::start_with(session, &[])
    }

    /// Sends so many messages a second.
    pub(crate) fn start_at_rate(session: &Session, rate: u32) -> Result<Self> {
        Self::start_with(session, &["--rate", &rate.to_string()])
    }

    fn start_with(session: &Session, options: &[&str]) -> Result<Self> {
        let mut child = Command::new(session.program("chat"))
            .args(["bench", "--failover-probe", "--seconds", PROBE_SECONDS])
            .args(options)
            .arg("--config")
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
    pub(crate) fn wait_for_sends(&mut self, count: usize) -> Result<()> {
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

    /// Takes what is acknowledged during this time; an error when nothing is for far too long.
    pub(crate) fn watch(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        let mut last_acknowledged = Instant::now();
        while Instant::now() < until {
            match self.lines.recv_timeout(CHECK_INTERVAL) {
                Ok(line) => {
                    self.note(&line?);
                    last_acknowledged = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) if last_acknowledged.elapsed() < OUTAGE_LIMIT => {}
                Err(RecvTimeoutError::Timeout) => {
                    bail!("no send was acknowledged for {OUTAGE_LIMIT:?}")
                }
                Err(RecvTimeoutError::Disconnected) => bail!("the client that sends has ended"),
            }
        }
        Ok(())
    }

    /// How many sends were acknowledged since the last were forgotten.
    pub(crate) fn count(&self) -> usize {
        self.acknowledged.len()
    }

    fn note(&mut self, line: &Acknowledgement) {
        self.acknowledged.push(Duration::from_micros(line.at_us));
        self.errors += line.errors;
    }

    pub(crate) fn forget_all_but_the_last(&mut self) {
        let last = self.acknowledged.len().saturating_sub(1);
        self.acknowledged.drain(..last);
    }

    pub(crate) fn longest_gap(&self) -> Duration {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::longest_gap;

    fn ms(values: &[u64]) -> Vec<Duration> {
        values.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn outage_is_the_longest_gap() {
        assert_eq!(
            longest_gap(&ms(&[1, 2, 3, 45, 44, 46])),
            Duration::from_millis(41)
        );
        assert_eq!(longest_gap(&ms(&[7])), Duration::ZERO);
        assert_eq!(longest_gap(&[]), Duration::ZERO);
    }
}
