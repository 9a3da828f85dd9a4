//! The supervisor as a real process, with a fake server: what it starts, stops, pauses,
//! wipes and leaves behind.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use devcluster::layout::Files;
use devcluster::socket_folder::SocketFolder;
use devcluster::state;
use devcluster_api::{ClusterState, PortOffset};

#[path = "supervisor/resizing.rs"]
mod resizing;

/// Long enough for anything that happens at all on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// A server that does nothing, prints its arguments, and writes where a server would. It starts no
/// other process but for a missing folder: that process would outlive a killed shell.
const FAKE_SERVER: &str = r#"#!/bin/sh
echo "started with $*"
data="${4%/*}/node-$2"
[ -d "$data" ] || mkdir "$data"
: > "$data/log.db"
exec tail -f /dev/null
"#;

struct Cluster {
    _temporary: TempDir,
    folder: PathBuf,
    supervisor: Child,
}

impl Cluster {
    /// Starts a supervisor of two nodes; their programs listen on no port.
    fn start() -> Self {
        Self::start_changed(|_| {})
    }

    /// The same with another state.
    fn start_changed(change: impl FnOnce(&mut ClusterState)) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().to_owned();
        let files = Files::new(folder.clone());
        for made in [files.programs(), files.logs()] {
            fs::create_dir(made).unwrap();
        }
        let server = files.program("chat-server");
        fs::write(&server, FAKE_SERVER).unwrap();
        fs::set_permissions(&server, Permissions::from_mode(0o755)).unwrap();
        let sockets = folder.join("sockets");
        private_file::create_folder(&sockets).unwrap();
        let sockets = SocketFolder::at(sockets);
        let mut state = state::initial(&files, PortOffset::default(), sockets, 2, "debug");
        change(&mut state);
        state::write(&state, &files).unwrap();
        let cluster = Self {
            _temporary: temporary,
            supervisor: supervise(&folder),
            folder,
        };
        wait_until("both nodes run", || {
            cluster.conditions() == ["running", "running"]
        });
        for node in ["node-1", "node-2"] {
            let data = cluster.folder.join(node).join("log.db");
            wait_until("the node has written", || data.exists());
        }
        cluster
    }

    fn state(&self) -> Value {
        serde_json::from_slice(&fs::read(self.folder.join("cluster.json")).unwrap()).unwrap()
    }

    fn conditions(&self) -> Vec<String> {
        let state = self.state();
        let nodes = state["nodes"].as_array().unwrap();
        nodes
            .iter()
            .map(|node| node["condition"].as_str().unwrap().to_owned())
            .collect()
    }

    fn pid(&self, node: usize) -> i32 {
        self.state()["nodes"][node - 1]["pid"]
            .as_i64()
            .unwrap()
            .try_into()
            .unwrap()
    }

    fn request(&self, command: &str, node: u8) -> Value {
        let stream = UnixStream::connect(self.folder.join("supervisor.sock")).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let request = json!({"command": command, "node": node});
        (&stream)
            .write_all(format!("{request}\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    fn files(&self) -> Files {
        Files::new(self.folder.clone())
    }

    #[track_caller]
    fn send(&self, command: &str, node: u8) {
        let answer = self.request(command, node);
        assert_eq!(answer["ok"], true, "{answer}");
    }

    /// What a node printed, all its starts together.
    fn log(&self, node: u8) -> String {
        fs::read_to_string(self.folder.join(format!("logs/node-{node}.log"))).unwrap_or_default()
    }

    fn finish(&mut self, signal: Signal) {
        kill(
            Pid::from_raw(self.supervisor.id().try_into().unwrap()),
            signal,
        )
        .unwrap();
        self.supervisor.wait().unwrap();
    }
}

impl Drop for Cluster {
    /// A test that failed leaves nothing running.
    fn drop(&mut self) {
        if matches!(self.supervisor.try_wait(), Ok(None)) {
            self.supervisor.kill().ok();
            self.supervisor.wait().ok();
        }
    }
}

/// Its files are private although its parent's umask is open.
fn supervise(folder: &Path) -> Child {
    Command::new("sh")
        .args(["-c", "umask 0 && exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_devcluster"))
        .arg("supervise")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// The state letter of a process, `None` when it is gone or not reaped yet.
fn process_state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let state = stat.rsplit_once(')')?.1.trim_start().chars().next()?;
    (state != 'Z').then_some(state)
}

#[track_caller]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "still waiting: {what}");
        thread::yield_now();
    }
}

#[test]
fn requests_are_carried_out() {
    let mut cluster = Cluster::start();
    let first = cluster.pid(1);
    let config = cluster.folder.join("node-1.toml");
    let line = format!("started with --id 1 --config {}\n", config.display());

    cluster.send("pause", 1);
    assert_eq!(cluster.conditions(), ["paused", "running"]);
    wait_until("the node is paused", || process_state(first) == Some('T'));
    cluster.send("resume", 1);
    wait_until("the node is resumed", || process_state(first) != Some('T'));

    cluster.send("kill", 1);
    assert_eq!(cluster.conditions(), ["down", "running"]);
    assert_eq!(process_state(first), None);
    let answer = cluster.request("kill", 1);
    assert_eq!(answer["message"], "node 1 is down; `restart 1` starts it");

    cluster.send("start_dead", 1);
    assert_eq!(cluster.conditions(), ["running", "running"]);
    assert_ne!(cluster.pid(1), first);
    wait_until("both starts are in the log", || {
        cluster.log(1) == format!("{line}{line}")
    });

    // A paused process handles SIGTERM only when it is resumed.
    cluster.send("pause", 2);
    cluster.send("stop", 2);
    assert_eq!(cluster.conditions(), ["running", "down"]);
    cluster.send("restart", 2);

    cluster.send("isolate", 2);
    assert_eq!(cluster.state()["nodes"][1]["isolated"], true);
    cluster.send("reconnect", 2);
    assert_eq!(cluster.state()["nodes"][1]["isolated"], false);

    let refusal = cluster.request("kill", 3);
    assert_eq!(
        refusal,
        json!({"ok": false, "message": "there is no node 3; the nodes are 1, 2"})
    );
    cluster.finish(Signal::SIGTERM);
}

/// S-C1, S-C4: other users of the machine reach neither the links nor the supervisor nor a log.
#[test]
fn files_of_a_supervisor_are_private() {
    let mut cluster = Cluster::start();
    let sockets = ["sockets/link-1-2.sock", "sockets/link-2-1.sock"];
    let files = [
        "supervisor.sock",
        "cluster.json",
        "logs/node-1.log",
        "node-1/log.db",
    ];
    for name in sockets.iter().chain(&files) {
        let path = cluster.folder.join(name);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
    cluster.finish(Signal::SIGTERM);
}

/// No link is opened in a folder that another user could enter.
#[test]
fn open_folder_of_sockets_is_refused() {
    let mut cluster = Cluster::start();
    let folder = cluster.folder.clone();
    cluster.finish(Signal::SIGTERM);
    let sockets = folder.join("sockets");
    fs::set_permissions(&sockets, Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_devcluster"))
        .arg("supervise")
        .arg(&folder)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("is open to other users"), "{errors}");
}

#[test]
fn wiped_node_starts_empty() {
    let mut cluster = Cluster::start();
    let data = cluster.folder.join("node-2");
    fs::write(data.join("old"), "").unwrap();
    cluster.send("wipe", 2);
    assert!(!data.join("old").exists());
    wait_until("the node has written again", || {
        data.join("log.db").exists()
    });
    cluster.finish(Signal::SIGTERM);
}

#[test]
fn terminated_supervisor_stops_its_nodes_and_records_it() {
    let mut cluster = Cluster::start();
    let pids = [cluster.pid(1), cluster.pid(2)];
    let folder = cluster.folder.clone();
    cluster.finish(Signal::SIGTERM);
    assert_eq!(pids.map(process_state), [None, None]);
    let state: Value =
        serde_json::from_slice(&fs::read(folder.join("cluster.json")).unwrap()).unwrap();
    assert_eq!(state["supervisor_pid"], Value::Null);
    assert_eq!(state["nodes"][0]["condition"], "down");
    assert!(!folder.join("supervisor.sock").exists());
}

#[test]
fn killed_supervisor_takes_its_nodes_with_it() {
    let mut cluster = Cluster::start();
    let pids = [cluster.pid(1), cluster.pid(2)];
    cluster.finish(Signal::SIGKILL);
    wait_until("the nodes are gone", || {
        pids.map(process_state) == [None, None]
    });
}
