//! Brings a cluster up: writes its files, starts its supervisor, and waits until it is healthy.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use devcluster_api::{ClusterState, Condition, Links, NodeId, NodeState, PortOffset, Request};
use nix::sys::signal::Signal;

use crate::control_client;
use crate::layout::Files;
use crate::socket_folder::SocketFolder;
use crate::state;
use crate::status::{self, Status};
use crate::supervisor;
use crate::{lock, logs, node_config, ports, private_files};

const DEFAULT_NODES: u8 = 3;

/// A cluster forms within a second; a slow machine that builds something else gets more.
const HEALTHY_LIMIT: Duration = Duration::from_secs(20);

const SUPERVISOR_LIMIT: Duration = Duration::from_secs(5);

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How many lines of a log are enough to see why its node is not healthy.
const LOG_LINES: usize = 10;

/// What the person requested.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// As many as there are, or three, when not given. An existing cluster has another number only
    /// after [`crate::resize`].
    pub nodes: Option<u8>,
    /// Where its ports begin.
    pub ports: PortOffset,
    /// How its nodes reach each other.
    pub links: Links,
}

/// The programs of a cluster, as a build left them: `chat-server`, `chat` and `devcluster`.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The folder that holds them.
    pub folder: PathBuf,
    /// How they were built: `debug` or `release`.
    pub profile: String,
}

impl Programs {
    /// Their names.
    pub const NAMES: [&str; 3] = ["chat-server", "chat", SUPERVISOR_PROGRAM];
}

const SUPERVISOR_PROGRAM: &str = "devcluster";

/// Starts what is not running, whatever state the cluster is in; returns when `build` was done,
/// which is called only if the cluster is not up.
///
/// # Errors
///
/// When the options do not fit the cluster, a port is taken, or something cannot be started.
pub fn bring_up(
    files: &Files,
    options: Options,
    build: impl FnOnce() -> Result<Programs>,
) -> Result<Instant> {
    let _lock = lock::acquire(files)?;
    match state::read(files)? {
        Some(state) if state::supervisor(&state).is_some() => {
            refuse_other_shape(&state, options)?;
            println!("the cluster is already up");
            let begun = Instant::now();
            println!(
                "{}",
                control_client::send(&files.control_socket(), Request::StartDead)?
            );
            Ok(begun)
        }
        state => start(files, state.as_ref(), options, build),
    }
}

/// Starts a cluster that is not running; returns when building was done.
fn start(
    files: &Files,
    earlier: Option<&ClusterState>,
    options: Options,
    build: impl FnOnce() -> Result<Programs>,
) -> Result<Instant> {
    if let Some(earlier) = earlier {
        refuse_other_shape(earlier, options)?;
        kill_orphans(earlier)?;
    }
    let ports = earlier.map_or(options.ports, |earlier| earlier.port_offset);
    let count = options.nodes.unwrap_or(DEFAULT_NODES);
    let programs = build()?;

    let begun = Instant::now();
    match earlier {
        Some(earlier) => refuse_taken_ports(ports, earlier.ids())?,
        None => refuse_taken_ports(ports, NodeId::all(count))?,
    }
    private_files::from_now_on();
    copy_programs(files, &programs.folder)?;
    fs::create_dir_all(files.logs()).context("creating the folder of the logs")?;
    let earlier_sockets = earlier.map(|earlier| SocketFolder::at(&earlier.socket_folder));
    let sockets = SocketFolder::prepare(earlier_sockets)?;
    let mut state = match earlier {
        Some(earlier) => state::restarted(files, earlier, sockets, &programs.profile),
        None => state::initial(files, ports, sockets, count, &programs.profile),
    };
    state.links = options.links;
    node_config::write_all(files, &state)?;
    state::write(&state, files)?;
    start_supervisor(files)?;
    Ok(begun)
}

/// Starting a cluster again does not change its size or its ports.
fn refuse_other_shape(state: &ClusterState, options: Options) -> Result<()> {
    let count = state.node_count();
    if let Some(wanted) = options.nodes
        && wanted != count
    {
        bail!(
            "this cluster has {count} nodes, not {wanted}; `cargo xtask cluster add` and `remove` \
             change that while it is up, and `reset` deletes it with all its messages"
        );
    }
    if state.port_offset != options.ports && options.ports != PortOffset::default() {
        bail!("this cluster has other ports; `cargo xtask cluster reset` deletes it first");
    }
    if state.links != options.links && state.nodes.iter().any(|node| node.added) {
        bail!(
            "the nodes of this cluster know each other by {}, as it was started before a node was added",
            match state.links {
                Links::Direct => "direct links; use --direct-links",
                Links::Proxied => "links that can be isolated; leave out --direct-links",
            }
        );
    }
    Ok(())
}

/// Kills nodes whose supervisor was killed; the system should have done it.
fn kill_orphans(state: &ClusterState) -> Result<()> {
    for node in state::running_nodes(state) {
        println!("killing a node that lost its supervisor (pid {})", node.pid);
        node.signal(Signal::SIGKILL)?;
        node.wait_for_end(SUPERVISOR_LIMIT)?;
    }
    Ok(())
}

fn refuse_taken_ports(ports: PortOffset, nodes: impl Iterator<Item = NodeId>) -> Result<()> {
    for node in nodes {
        refuse_taken(ports.client_address(node))?;
    }
    Ok(())
}

fn refuse_taken(address: SocketAddr) -> Result<()> {
    if ports::is_taken(address)? {
        bail!(
            "port {} is taken by another program; stop that program, or start the cluster with \
             `--port-offset 1000`",
            address.port()
        );
    }
    Ok(())
}

/// Copies what will run, so that a later build does not change a running cluster.
fn copy_programs(files: &Files, built: &Path) -> Result<()> {
    let folder = files.programs();
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    for name in Programs::NAMES {
        copy_program(&built.join(name), &files.program(name))?;
    }
    Ok(())
}

fn copy_program(from: &Path, to: &Path) -> Result<()> {
    // Into a new file: what still runs the old one keeps it.
    if to.exists() {
        fs::remove_file(to).with_context(|| format!("removing the old {}", to.display()))?;
    }
    fs::copy(from, to)
        .with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Starts the background process and waits until it answers.
fn start_supervisor(files: &Files) -> Result<()> {
    let log = files.supervisor_log();
    let output = private_file::open_options()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("opening {}", log.display()))?;
    let errors = output
        .try_clone()
        .context("sharing the log with the error output")?;
    let mut child = Command::new(files.program(SUPERVISOR_PROGRAM))
        .arg(supervisor::COMMAND)
        .arg(files.folder())
        .current_dir(files.folder())
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .context("starting the supervisor")?;
    let deadline = Instant::now() + SUPERVISOR_LIMIT;
    loop {
        let ended = child
            .try_wait()
            .context("checking whether the supervisor has ended")?;
        if ended.is_none() && control_client::send(&files.control_socket(), Request::Ping).is_ok() {
            return Ok(());
        }
        if ended.is_some() || Instant::now() > deadline {
            let tail = logs::tail(&log, LOG_LINES);
            bail!(
                "the supervisor did not start; the end of {}:\n{tail}",
                log.display()
            );
        }
        thread::sleep(POLL_INTERVAL / 10);
    }
}

/// Waits until the cluster serves, and every node is there.
///
/// # Errors
///
/// When a node has ended, or the cluster is not healthy in time; with the ends of the logs.
pub fn wait_until_settled(files: &Files) -> Result<Status> {
    let deadline = Instant::now() + HEALTHY_LIMIT;
    loop {
        let reason = match status::query(files) {
            Ok(status) if status.is_settled() => return Ok(status),
            Ok(status) => status.summary,
            Err(error) => format!("{error:#}"),
        };
        let state = state::read(files)?.context("cluster.json is missing")?;
        let down = state
            .nodes
            .iter()
            .find(|node| node.condition == Condition::Down);
        if let Some(node) = down {
            bail!("node {} has ended\n{}", node.id, describe_log(&node.log));
        }
        if Instant::now() > deadline {
            let held: Vec<String> = state.nodes.iter().filter_map(held_back).collect();
            let logs: Vec<String> = state
                .nodes
                .iter()
                .map(|node| describe_log(&node.log))
                .collect();
            bail!(
                "the cluster was not healthy after {} s: {reason}\n{}{}",
                HEALTHY_LIMIT.as_secs(),
                held.concat(),
                logs.join("\n")
            );
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// What a person did to a node and has to undo.
fn held_back(node: &NodeState) -> Option<String> {
    let id = node.id;
    if node.condition == Condition::Paused {
        return Some(format!(
            "node {id} is paused; `cargo xtask cluster resume {id}` resumes it\n"
        ));
    }
    node.isolated.then(|| {
        format!("node {id} is isolated; `cargo xtask cluster reconnect {id}` connects it again\n")
    })
}

fn describe_log(log: &Path) -> String {
    format!(
        "the end of {}:\n{}",
        log.display(),
        logs::tail(log, LOG_LINES)
    )
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use devcluster_api::{Links, PortOffset};

    use super::{Options, refuse_other_shape, refuse_taken};
    use crate::layout::Files;
    use crate::socket_folder::SocketFolder;
    use crate::state;

    #[test]
    fn taken_port_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let error = refuse_taken(address).unwrap_err().to_string();
        assert!(
            error.contains(&format!("port {} is taken", address.port())),
            "{error}"
        );
        drop(listener);
        refuse_taken(address).unwrap();
    }

    #[test]
    fn different_node_count_is_refused() {
        let files = Files::new("/state".into());
        let sockets = SocketFolder::at("/run/x");
        let state = state::initial(&files, PortOffset::default(), sockets, 3, "debug");
        let check = |nodes| {
            let options = Options {
                nodes,
                ports: PortOffset::default(),
                links: Links::Proxied,
            };
            refuse_other_shape(&state, options).map_err(|error| error.to_string())
        };
        assert_eq!(check(None), Ok(()));
        assert_eq!(check(Some(3)), Ok(()));
        let refusal = check(Some(5)).unwrap_err();
        assert!(
            refusal.contains("has 3 nodes, not 5") && refusal.contains("reset"),
            "{refusal}"
        );
    }
}
