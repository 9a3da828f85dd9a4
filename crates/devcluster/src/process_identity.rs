//! Which process a number means: the number alone may belong to another process by now.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// What the kernel counts times in, the same on every kind of processor.
const TICK: Duration = Duration::from_millis(10);

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A process by its number and the moment it started, in clock ticks since the machine did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did.
    pub started: u64,
}

impl ProcessIdentity {
    /// The process that has this number now.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let started = start_of(&text).with_context(|| format!("{path} has no start time"))?;
        Ok(Self { pid, started })
    }

    /// Whether the process still runs. One that ended and was not waited for does not.
    pub fn is_alive(self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        start_of(&stat) == Some(self.started) && !matches!(state_of(&stat), Some("Z" | "X"))
    }

    /// Processor time that the process has used, in the kernel and outside.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn processor_time(self) -> Result<Duration> {
        let path = format!("/proc/{}/stat", self.pid);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let ticks = processor_ticks(&text).with_context(|| format!("{path} has no times"))?;
        Ok(TICK * ticks)
    }

    /// The most memory that the process has had at once, in bytes.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn memory_peak(self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let kib = text
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.trim().strip_suffix(" kB"))
            .and_then(|number| number.parse::<u64>().ok());
        Ok(kib.with_context(|| format!("{path} has no `VmHWM`"))? * 1024)
    }

    /// Waits until the process is gone.
    ///
    /// # Errors
    ///
    /// When it still runs after `limit`.
    pub fn wait_for_end(self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while self.is_alive() {
            if Instant::now() > deadline {
                bail!("process {} did not end within {limit:?}", self.pid);
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Sends a signal unless the process is gone.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn signal(self, signal: Signal) -> Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        let pid = i32::try_from(self.pid).context("a process number fits an i32")?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("sending {signal} to {pid}"))
    }
}

/// The fields after the program's name, which is in parentheses and may contain anything.
fn fields(stat: &str) -> Option<impl Iterator<Item = &str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace())
}

fn state_of(stat: &str) -> Option<&str> {
    fields(stat)?.next()
}

/// Fields 14 and 15 of the line.
fn processor_ticks(stat: &str) -> Option<u32> {
    let mut times = fields(stat)?.skip(11);
    Some(times.next()?.parse::<u32>().ok()? + times.next()?.parse::<u32>().ok()?)
}

/// Field 22 of the line, that is the twentieth after the name.
fn start_of(stat: &str) -> Option<u64> {
    fields(stat)?.nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{self, Command, Stdio};

    use nix::sys::signal::Signal;

    use super::{ProcessIdentity, processor_ticks, start_of, state_of};

    #[test]
    fn program_name_may_contain_anything() {
        let line = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 3 4 0 0 20 0 1 0 12345 1 1";
        assert_eq!(state_of(line), Some("S"));
        assert_eq!(start_of(line), Some(12345));
        assert_eq!(processor_ticks(line), Some(7));
        assert_eq!(start_of("rubbish"), None);
    }

    #[test]
    fn process_with_another_start_time_is_not_alive() {
        let myself = ProcessIdentity::of(process::id()).unwrap();
        assert!(myself.is_alive());
        let earlier = ProcessIdentity {
            started: myself.started + 1,
            ..myself
        };
        assert!(!earlier.is_alive());
        earlier.signal(Signal::SIGKILL).unwrap();
    }

    #[test]
    fn killed_process_is_not_alive() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap();
        assert!(identity.is_alive());
        identity.signal(Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        assert!(!identity.is_alive());
    }
}
