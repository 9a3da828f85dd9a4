//! One process of `chat-server`: started, signalled, and killed with its owner.
//!
//! It is a process of `devcluster` without a supervisor: the test itself is the parent, and reads
//! the process's state when it needs it. It does not die with its parent thread, as a supervised
//! node does, because the threads of a test may end before the test; it dies when this is dropped.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use devcluster::logs;
use devcluster::node_process::NodeProcess;

/// How many lines of a node's log are printed when a test fails.
const TAIL_LINES: usize = 25;

/// A process that this test started and has not reaped, so no other process has its id.
#[derive(Debug)]
pub struct Server {
    process: NodeProcess,
}

/// The path of one of the workspace's programs.
///
/// # Panics
///
/// When it was not built.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the path of the test is known");
    let folder = own.parent().expect("a program is in a folder");
    // A test is in `deps` and an example in `examples`, the programs beside that.
    let is_below = folder.ends_with("deps") || folder.ends_with("examples");
    let folder = folder.parent().filter(|_| is_below).unwrap_or(folder);
    let program = folder.join(name);
    assert!(
        program.exists(),
        "there is no {}; `cargo build --workspace --all-targets` makes it",
        program.display()
    );
    program
}

/// The last lines of a node's log, over all its starts.
pub fn log_tail(log: &Path) -> String {
    logs::tail(log, TAIL_LINES)
}

impl Server {
    /// Starts the program; its output, as far as `log_filter` lets it, is appended to `log`.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(program: &Path, arguments: &[String], log_filter: &str, log: &Path) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).env("RUST_LOG", log_filter);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CHAT_SERVER_") {
                command.env_remove(name);
            }
        }
        let process = NodeProcess::start(&mut command, log);
        let process = process.unwrap_or_else(|error| panic!("{error:#}"));
        Self { process }
    }

    /// Whether it was stopped by [`Server::pause`].
    pub fn is_paused(&self) -> bool {
        self.process.is_paused()
    }

    /// The most memory that it has had at once.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn memory_peak(&self) -> u64 {
        let peak = self.process.identity().memory_peak();
        peak.expect("Linux reports it for a process that has not been reaped")
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_reap().expect("the process is our child")
    }

    /// SIGKILL; returns when the process is gone.
    pub fn kill(&mut self) {
        self.process.kill().expect("our own process can be killed");
        self.process.reap().expect("the process is our child");
    }

    /// SIGSTOP: the process does nothing, and its connections stay open.
    pub fn pause(&mut self) {
        self.check_runs();
        self.process.pause().expect("our own process can be paused");
    }

    /// SIGCONT.
    pub fn resume(&mut self) {
        self.check_runs();
        let resumed = self.process.resume();
        resumed.expect("our own process can be resumed");
    }

    /// SIGTERM: requests a shutdown in order.
    pub fn terminate(&mut self) {
        self.check_runs();
        let terminated = self.process.terminate();
        terminated.expect("our own process can be terminated");
    }

    fn check_runs(&mut self) {
        assert_eq!(self.ended(), None, "a signal for a process that has ended");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
