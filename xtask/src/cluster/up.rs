//! `cluster up`: builds, starts the supervisor, waits until the cluster is healthy, and says what
//! to type next.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use super::control::{self, Request};
use super::layout::{Files, NodeId, PortOffset};
use super::socket_folder::SocketFolder;
use super::state::{ClusterState, Condition, Links, NodeState};
use super::status::{self, Format, Health, Status};
use super::{down, logs, node_config, private_files};
use crate::workspace;

const DEFAULT_NODES: u8 = 3;

/// A cluster forms within a second; a slow machine that builds something else gets more.
const HEALTHY_LIMIT: Duration = Duration::from_secs(20);

const SUPERVISOR_LIMIT: Duration = Duration::from_secs(5);

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How much of a log tells why its node is not well.
const LOG_LINES: usize = 10;

/// What the person asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    /// As many as there are, or three, when not given.
    pub(super) nodes: Option<u8>,
    pub(super) release: bool,
    pub(super) ports: PortOffset,
    pub(super) links: Links,
}

/// Brings the cluster up, shows it, and says what can be done with it.
pub(super) fn run(root: &Path, files: &Files, options: Options) -> Result<ExitCode> {
    let begun = bring_up(root, files, options)?;
    let status = wait_until_settled(files)?;
    let took = begun.elapsed();
    println!();
    status::print(files, Format::Table)?;
    println!("\nup after {:.1} s", took.as_secs_f64());
    print_next_steps(root, files)?;
    let healthy = status.health == Health::Healthy;
    Ok(if healthy {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Starts what is not running, whatever state the cluster is in; returns when building was done.
pub(super) fn bring_up(root: &Path, files: &Files, options: Options) -> Result<Instant> {
    let _lock = lock(files)?;
    match ClusterState::read(files)? {
        Some(state) if state.supervisor().is_some() => {
            refuse_other_shape(&state, options)?;
            println!("the cluster is already up");
            let begun = Instant::now();
            println!(
                "{}",
                control::ask(&files.control_socket(), Request::StartDead)?
            );
            Ok(begun)
        }
        state => start(root, files, state.as_ref(), options),
    }
}

/// Held while the state changes hands; the system releases it if we die.
pub(super) fn lock(files: &Files) -> Result<File> {
    private_files::prepare_folder(files)?;
    let lock = private_files::options()
        .truncate(true)
        .open(files.lock())
        .context("creating the lock file")?;
    if lock.try_lock().is_err() {
        bail!("another `cargo xtask cluster` command is starting or removing this cluster");
    }
    Ok(lock)
}

/// Starts a cluster that is not running; returns when building was done.
fn start(
    root: &Path,
    files: &Files,
    earlier: Option<&ClusterState>,
    options: Options,
) -> Result<Instant> {
    if let Some(earlier) = earlier {
        refuse_other_shape(earlier, options)?;
        end_orphans(earlier)?;
    }
    let ports = earlier.map_or(options.ports, |earlier| earlier.port_offset);
    let earlier_count = earlier.map(ClusterState::node_count);
    let count = options.nodes.or(earlier_count).unwrap_or(DEFAULT_NODES);
    let profile = if options.release { "release" } else { "debug" };
    build(root, options.release)?;

    let begun = Instant::now();
    refuse_taken_ports(ports, count)?;
    let built = workspace::target_directory(root).join(profile);
    private_files::from_now_on();
    copy_programs(files, &built)?;
    fs::create_dir_all(files.logs()).context("creating the folder of the logs")?;
    let sockets = SocketFolder::prepare(earlier.map(|earlier| &earlier.socket_folder))?;
    let mut state = ClusterState::new(files, ports, sockets, count, profile);
    state.links = options.links;
    for node in &state.nodes {
        let text = node_config::for_node(files, &state, node.id);
        private_files::write(&files.node_config(node.id), text.as_bytes())?;
    }
    let text = node_config::for_clients(&state);
    private_files::write(&files.client_config(), text.as_bytes())?;
    state.write(files)?;
    start_supervisor(files)?;
    Ok(begun)
}

/// A cluster keeps its size and ports for as long as it has data.
fn refuse_other_shape(state: &ClusterState, options: Options) -> Result<()> {
    let count = state.node_count();
    if let Some(wanted) = options.nodes
        && wanted != count
    {
        bail!(
            "this cluster has {count} nodes, not {wanted}; \
             `cargo xtask cluster reset` deletes it with all its messages"
        );
    }
    if state.port_offset != options.ports && options.ports != PortOffset::default() {
        bail!("this cluster has other ports; `cargo xtask cluster reset` deletes it first");
    }
    Ok(())
}

/// Ends nodes whose supervisor was killed; the system should have done it.
fn end_orphans(state: &ClusterState) -> Result<()> {
    for node in state.living_nodes() {
        println!("ending a node that lost its supervisor (pid {})", node.pid);
        node.signal(Signal::SIGKILL)?;
        down::wait_for_end(node, SUPERVISOR_LIMIT)?;
    }
    Ok(())
}

fn build(root: &Path, release: bool) -> Result<()> {
    let mut command = workspace::cargo(
        root,
        ["build", "--package", "chat-server", "--package", "chat-cli"],
    );
    if release {
        command.arg("--release");
    }
    workspace::run(&mut command)
}

fn refuse_taken_ports(ports: PortOffset, count: u8) -> Result<()> {
    for node in NodeId::all(count) {
        refuse_taken(ports.client_address(node))?;
    }
    Ok(())
}

fn refuse_taken(address: SocketAddr) -> Result<()> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "port {} is taken by another program; stop that program, or start the cluster with \
             `--port-offset 1000`",
            address.port()
        ),
        Err(error) => Err(error).with_context(|| format!("listening on {address}")),
    }
}

/// Copies what will run, so that a later build does not change a running cluster.
fn copy_programs(files: &Files, built: &Path) -> Result<()> {
    let folder = files.programs();
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let myself = std::env::current_exe().context("finding our own program")?;
    copy_program(&myself, &files.program("xtask"))?;
    for name in ["chat-server", "chat"] {
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
    let output = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(private_files::MODE)
        .open(&log)
        .with_context(|| format!("opening {}", log.display()))?;
    let errors = output
        .try_clone()
        .context("sharing the log with the error output")?;
    let mut child = Command::new(files.program("xtask"))
        .args(["cluster", "supervise", "--data"])
        .arg(files.folder())
        .current_dir(files.folder())
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .context("starting the supervisor")?;
    let deadline = Instant::now() + SUPERVISOR_LIMIT;
    loop {
        let ended = child.try_wait().context("looking after the supervisor")?;
        if ended.is_none() && control::ask(&files.control_socket(), Request::Ping).is_ok() {
            return Ok(());
        }
        if ended.is_some() || Instant::now() > deadline {
            let tail = logs::tail(&log, LOG_LINES);
            bail!(
                "the supervisor did not come up; the end of {}:\n{tail}",
                log.display()
            );
        }
        thread::sleep(POLL_INTERVAL / 10);
    }
}

/// Waits until the cluster is as well as it will be without anybody's doing.
pub(super) fn wait_until_settled(files: &Files) -> Result<Status> {
    let deadline = Instant::now() + HEALTHY_LIMIT;
    loop {
        let reason = match status::ask(files) {
            Ok(status) if status.is_hard_state_durable() => return Ok(status),
            Ok(status) => status.summary,
            Err(error) => format!("{error:#}"),
        };
        let state = ClusterState::read(files)?.context("the state of the cluster is gone")?;
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

/// What somebody did to a node and has to undo.
fn held_back(node: &NodeState) -> Option<String> {
    let id = node.id;
    if node.condition == Condition::Paused {
        return Some(format!(
            "node {id} is paused; `cargo xtask cluster resume {id}`\n"
        ));
    }
    node.cut
        .then(|| format!("node {id} is cut off; `cargo xtask cluster heal {id}`\n"))
}

fn describe_log(log: &Path) -> String {
    format!(
        "the end of {}:\n{}",
        log.display(),
        logs::tail(log, LOG_LINES)
    )
}

fn print_next_steps(root: &Path, files: &Files) -> Result<()> {
    let state = ClusterState::read(files)?.context("the state of the cluster is gone")?;
    let chat = workspace::target_directory(root)
        .join(&state.profile)
        .join("chat");
    let chat = relative(&chat, root);
    let chat = chat.display();
    let data = files.folder();
    let option = if data == root.join(super::DEFAULT_FOLDER) {
        String::new()
    } else {
        format!(" --data {}", data.display())
    };
    println!(
        "
try it     {chat} sign-up alice        then `{chat} sign-up bob`
           {chat} send --as alice bob \"hello\"
           {chat} inbox --as bob
break it   cargo xtask cluster kill leader{option}
           cargo xtask cluster restart 1{option}
look       cargo xtask cluster status --watch{option}
           cargo xtask cluster logs -f{option}
stop       cargo xtask cluster down{option}       messages stay; `reset` deletes them"
    );
    if state.port_offset != PortOffset::default() {
        println!(
            "\nthis cluster has ports of its own: add `--config {}` to every `chat` command",
            files.client_config().display()
        );
    }
    Ok(())
}

fn relative(path: &Path, root: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::{Options, refuse_other_shape, refuse_taken};
    use crate::cluster::layout::{Files, PortOffset};
    use crate::cluster::socket_folder::SocketFolder;
    use crate::cluster::state::{ClusterState, Links};

    #[test]
    fn a_taken_port_is_named() {
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
    fn another_number_of_nodes_is_refused() {
        let files = Files::new("/state".into());
        let sockets = SocketFolder::at("/run/x");
        let state = ClusterState::new(&files, PortOffset::default(), sockets, 3, "debug");
        let check = |nodes| {
            let options = Options {
                nodes,
                release: false,
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
