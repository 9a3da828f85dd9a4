//! A node's process under a supervisor: it dies with the supervisor, and its end is an event.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, parent_id};
use std::path::Path;
use std::process::{self, Command};
use std::sync::mpsc::SyncSender;
use std::thread;

use anyhow::{Context, Result, bail};
use devcluster_api::NodeId;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::event::Event;
use crate::node_process::NodeProcess;

/// The command of the program `devcluster` that calls [`become_node`].
pub const COMMAND: &str = "run-node";

/// Starts a program that dies with us, with its output at the end of a log.
///
/// Must be called on a thread that runs as long as the supervisor: the system counts the
/// thread, not the process, as the parent whose death kills the child.
pub(crate) fn start(
    node: NodeId,
    command: &[OsString],
    log: &Path,
    events: &SyncSender<Event>,
) -> Result<NodeProcess> {
    let own_program = std::env::current_exe().context("finding our own program")?;
    let mut run_node = Command::new(own_program);
    run_node
        .args([COMMAND, &process::id().to_string()])
        .args(command);
    let process =
        NodeProcess::start(&mut run_node, log).with_context(|| format!("starting node {node}"))?;
    let identity = process.identity();
    let events = events.clone();
    thread::Builder::new()
        .name(format!("watch over node {node}"))
        .spawn(move || {
            wait_without_reaping(identity.pid);
            // Nothing receives the event while the supervisor itself is ending.
            events.send(Event::Ended(node, identity)).ok();
        })
        .context("starting a thread that watches over a node")?;
    Ok(process)
}

/// Returns when the process has ended, and leaves its number taken.
fn wait_without_reaping(pid: u32) {
    let Ok(pid) = i32::try_from(pid) else { return };
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    // Interrupted by a signal: try again. Any other error means that there is no such child.
    while waitid(Id::Pid(Pid::from_raw(pid)), flags) == Err(nix::errno::Errno::EINTR) {}
}

/// Replaces this process by the program of a node.
///
/// Between its start and its program the process unblocks the signals that the supervisor keeps
/// blocked, and requests to be killed when the supervisor dies, however that happens.
///
/// # Errors
///
/// When the supervisor is gone already, or the program cannot be run.
pub fn become_node(parent: u32, command: &[OsString]) -> Result<()> {
    let [program, arguments @ ..] = command else {
        bail!("no program to run")
    };
    SigSet::empty()
        .thread_set_mask()
        .context("unblocking signals")?;
    prctl::set_pdeathsig(Signal::SIGKILL).context("requesting to be killed with the supervisor")?;
    if parent_id() != parent {
        bail!("the supervisor had ended before its node started");
    }
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("running {}", program.display()))
}
