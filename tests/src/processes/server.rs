//! One process of `chat-server`: started, signalled, and ended with its owner.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

/// How much of what a node said is shown when a test fails.
const LAST_LINES: usize = 25;

/// A process that this test started and nobody has waited for yet, so its id is its own.
#[derive(Debug)]
pub struct Server {
    child: Child,
    paused: bool,
}

/// Where a program of ours is.
///
/// # Panics
///
/// When it was not built.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of the test is known");
    // The test is in `deps`, the program beside that.
    let folder = test.parent().and_then(Path::parent);
    let program = folder.expect("tests are in `deps`").join(name);
    assert!(
        program.exists(),
        "there is no {}; `cargo build --workspace --all-targets` makes it",
        program.display()
    );
    program
}

/// The last lines that a node wrote to standard error, in all its starts.
pub fn last_words(stderr: &Path) -> String {
    let text = fs::read_to_string(stderr).unwrap_or_default();
    let skipped = text.lines().count().saturating_sub(LAST_LINES);
    let lines: Vec<&str> = text.lines().skip(skipped).collect();
    lines.join("\n")
}

impl Server {
    /// Starts the program; what it says, as far as `log_filter` lets it, is appended to `stderr`.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(program: &Path, arguments: &[String], log_filter: &str, stderr: &Path) -> Self {
        let stderr = OpenOptions::new().create(true).append(true).open(stderr);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("RUST_LOG", log_filter)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr.expect("a file in the test's own folder can be written"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CHAT_SERVER_") {
                command.env_remove(name);
            }
        }
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        Self {
            child,
            paused: false,
        }
    }

    /// Whether it was stopped by [`Server::pause`].
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The most memory that it has had at once.
    ///
    /// # Panics
    ///
    /// When the system does not say.
    pub fn memory_peak(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(status).expect("the process is our child");
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.trim().strip_suffix(" kB"))
            .and_then(|number| number.parse::<u64>().ok());
        kib.expect("Linux says so") * 1024
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the process is our child")
    }

    /// SIGKILL; returns when the process is gone.
    pub fn kill(&mut self) {
        // Signalling one that has ended and was waited for is left out by the standard library.
        self.child.kill().expect("our own process can be killed");
        self.child.wait().expect("the process is our child");
    }

    /// SIGSTOP: the process does nothing, and its connections stay open.
    pub fn pause(&mut self) {
        self.signal(Signal::SIGSTOP);
        self.paused = true;
    }

    /// SIGCONT.
    pub fn resume(&mut self) {
        self.signal(Signal::SIGCONT);
        self.paused = false;
    }

    /// SIGTERM: asks it to leave in order.
    pub fn terminate(&mut self) {
        self.signal(Signal::SIGTERM);
    }

    fn signal(&mut self, signal: Signal) {
        assert_eq!(self.ended(), None, "{signal} for a process that has ended");
        let pid = Pid::from_raw(self.child.id().cast_signed());
        signal::kill(pid, signal).expect("our own process can be signalled");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
