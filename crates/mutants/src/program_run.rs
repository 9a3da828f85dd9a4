//! One run of a program with its output in a file and a limit on its time.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A mutant may put the simulator into an endless loop; nothing healthy takes this long.
const RUN_LIMIT: Duration = Duration::from_secs(900);

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With success.
    Well,
    /// With an error code or by a signal.
    Badly,
    /// It was still running at the limit and was killed.
    TooLate,
}

/// Runs a command with its output in a file.
pub(crate) fn run_into(command: &mut Command, log: &Path) -> Result<Ended> {
    let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
    let copy = file
        .try_clone()
        .context("sharing the log with the error output")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(copy)
        .spawn()
        .with_context(|| format!("starting `{}`", workspace::describe(command)))?;
    let limit = Instant::now() + RUN_LIMIT;
    loop {
        if let Some(status) = child.try_wait().context("waiting for a program")? {
            return Ok(if status.success() {
                Ended::Well
            } else {
                Ended::Badly
            });
        }
        if Instant::now() > limit {
            child.kill().context("killing a program that did not end")?;
            child.wait().context("waiting for a program")?;
            return Ok(Ended::TooLate);
        }
        thread::sleep(Duration::from_millis(20));
    }
}
