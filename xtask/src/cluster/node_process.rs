//! One node's process: how it is started, and how it is made to go.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, parent_id};
use std::path::Path;
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::SyncSender;
use std::thread;

use anyhow::{Context, Result, bail};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::layout::NodeId;
use super::private_files;
use super::process_identity::ProcessIdentity;
use super::supervisor::Event;

/// A started process that has not been waited for: its number is its own.
#[derive(Debug)]
pub(super) struct NodeProcess {
    child: Child,
    pub(super) identity: ProcessIdentity,
    pub(super) paused: bool,
}

impl NodeProcess {
    /// Starts a program that dies with us, with its output at the end of a log.
    ///
    /// Must be called on a thread that lives as long as the supervisor: the system counts the
    /// thread, not the process, as the parent whose death kills the child.
    pub(super) fn start(
        node: NodeId,
        command: &[OsString],
        log: &Path,
        events: &SyncSender<Event>,
    ) -> Result<Self> {
        let log_file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(private_files::MODE)
            .open(log)
            .with_context(|| format!("opening {}", log.display()))?;
        let errors = log_file
            .try_clone()
            .context("sharing the log with the error output")?;
        let myself = std::env::current_exe().context("finding our own program")?;
        let child = Command::new(myself)
            .args([
                "cluster",
                "run-node",
                "--parent",
                &process::id().to_string(),
                "--",
            ])
            .args(command)
            .stdin(Stdio::null())
            .stdout(log_file)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("starting node {node}"))?;
        let identity = ProcessIdentity::of(child.id())?;
        let events = events.clone();
        thread::Builder::new()
            .name(format!("watch over node {node}"))
            .spawn(move || {
                wait_without_reaping(identity.pid);
                // Nobody listens any more when the supervisor itself is ending.
                events.send(Event::Ended(node, identity)).ok();
            })
            .context("starting a thread that watches over a node")?;
        Ok(Self {
            child,
            identity,
            paused: false,
        })
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        self.identity.signal(signal)
    }

    /// Takes the end of a process that has been reported as ended.
    pub(super) fn reap(mut self) -> Result<ExitStatus> {
        self.child
            .wait()
            .context("waiting for a process that has ended")
    }
}

/// Returns when the process has ended, and leaves its number taken.
fn wait_without_reaping(pid: u32) {
    let Ok(pid) = i32::try_from(pid) else { return };
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    // Interrupted by a signal: try again. Any other error means that there is no such child.
    while waitid(Id::Pid(Pid::from_raw(pid)), flags) == Err(nix::errno::Errno::EINTR) {}
}

/// Becomes the node's program: what the hidden command `run-node` does, in the new process.
///
/// Between its start and its program the process unblocks the signals that the supervisor keeps
/// blocked, and asks to be killed when the supervisor dies, however that comes about.
pub(super) fn become_node(parent: u32, command: &[OsString]) -> Result<()> {
    let [program, arguments @ ..] = command else {
        bail!("no program to run")
    };
    SigSet::empty()
        .thread_set_mask()
        .context("unblocking signals")?;
    prctl::set_pdeathsig(Signal::SIGKILL).context("binding our life to the supervisor's")?;
    if parent_id() != parent {
        bail!("the supervisor was gone before its node started");
    }
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("running {}", program.display()))
}
