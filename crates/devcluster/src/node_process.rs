//! One node's process: started with its output in a log, signalled, and reaped.
//!
//! Deliberately absent: a decision what to do when it ends. The supervisor waits for that on a
//! thread (`supervised_node`), tests look when they need to know.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::process_identity::ProcessIdentity;

/// A started process that has not been reaped: no other process can get its id.
#[derive(Debug)]
pub struct NodeProcess {
    child: Child,
    identity: ProcessIdentity,
    paused: bool,
}

impl NodeProcess {
    /// Starts a program without input; its output is appended to `log`, which only its owner can
    /// read.
    ///
    /// # Errors
    ///
    /// When the log cannot be opened or the program cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let output = private_file::open_options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening {}", log.display()))?;
        let errors = output
            .try_clone()
            .context("sharing the log with the error output")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        let identity = ProcessIdentity::of(child.id())?;
        Ok(Self {
            child,
            identity,
            paused: false,
        })
    }

    /// Which process it is.
    pub fn identity(&self) -> ProcessIdentity {
        self.identity
    }

    /// Whether [`Self::pause`] was its last change.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// SIGSTOP: the process does nothing, and its connections stay open.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn pause(&mut self) -> Result<()> {
        self.identity.signal(Signal::SIGSTOP)?;
        self.paused = true;
        Ok(())
    }

    /// SIGCONT.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn resume(&mut self) -> Result<()> {
        self.identity.signal(Signal::SIGCONT)?;
        self.paused = false;
        Ok(())
    }

    /// SIGTERM; a paused process is resumed, because it would handle the signal only then.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn terminate(&mut self) -> Result<()> {
        self.identity.signal(Signal::SIGTERM)?;
        self.resume()
    }

    /// SIGKILL; returns before the process is gone.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn kill(&mut self) -> Result<()> {
        self.identity.signal(Signal::SIGKILL)
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn try_reap(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .context("checking whether a process has ended")
    }

    /// Waits until it has ended, and returns how.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn reap(&mut self) -> Result<ExitStatus> {
        self.child.wait().context("waiting for a process to end")
    }
}
