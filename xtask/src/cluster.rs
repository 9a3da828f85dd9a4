//! `cargo xtask cluster`: a cluster of real servers on this machine, to use and to break.
//!
//! `up` leaves a small supervisor in the background, which starts the nodes and carries the links
//! between them; every other command calls that supervisor or the nodes themselves. Everything is
//! in one folder, `.cluster/` if no other is named. The work is done by the crate `devcluster`.

use std::path::{self, Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use devcluster::control_client;
use devcluster::down::{self, Found};
use devcluster::layout::Files;
use devcluster::logs;
use devcluster::resize;
use devcluster::state;
use devcluster::up::Options;

use status::Format;

mod status;
mod up;

use devcluster_api::{Links, NODE_ID_MAX, NODES_MAX, NodeId, PortOffset, Request};
use up::DEFAULT_FOLDER;
pub(crate) use up::PACKAGES;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The folder of the cluster: its data, logs and state.
    #[arg(long, global = true, value_name = "FOLDER", default_value = DEFAULT_FOLDER)]
    data: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build and start the cluster, or start its nodes that are down.
    Up {
        /// How many nodes a new cluster has; three by default. `add` and `remove` change it later.
        #[arg(long, value_parser = clap::value_parser!(u8).range(1..=i64::from(NODES_MAX)))]
        nodes: Option<u8>,
        /// Optimise the programs, for measurements.
        #[arg(long)]
        release: bool,
        /// Added to every port, for a second cluster beside the first.
        #[arg(long, default_value = "0")]
        port_offset: PortOffset,
        /// Let nodes dial each other directly: faster, but no node can be isolated.
        #[arg(long)]
        direct_links: bool,
    },
    /// Stop everything; messages are kept.
    Down,
    /// Show every node. Ends with 0 healthy, 1 degraded, 2 wrong usage, 3 without quorum.
    Status {
        #[arg(short, long, value_enum, default_value = "table")]
        output: Format,
        /// Show it again every second.
        #[arg(long)]
        watch: bool,
    },
    #[command(flatten)]
    Action(NodeAction),
    /// Start one more node and make it a voter.
    Add,
    /// Remove a node from the cluster permanently, and delete its data.
    Remove { node: Target },
    /// Show what the nodes printed.
    Logs {
        node: Option<NodeId>,
        /// Continue with what is appended.
        #[arg(short, long)]
        follow: bool,
        /// How many lines of each node are shown first.
        #[arg(short = 'n', long, default_value_t = 100)]
        lines: usize,
    },
    /// Delete the whole cluster with all its messages.
    Reset,
}

/// What can be done to one node.
#[derive(Debug, Subcommand)]
enum NodeAction {
    /// End a node at once (SIGKILL).
    Kill { node: Target },
    /// End a node in order (SIGTERM).
    Stop { node: Target },
    /// Stop a node's process where it is (SIGSTOP).
    Pause { node: Target },
    /// Resume a paused node (SIGCONT).
    Resume { node: Target },
    /// Start a node, after stopping it if it runs.
    Restart { node: Target },
    /// Lose everything between a node and the others; no connection breaks.
    Isolate { node: Target },
    /// Connect a node again, or all of them.
    Reconnect { node: Option<Target> },
    /// Delete a node's data and start it empty. It catches up, and votes again by itself.
    Wipe { node: Target },
}

/// A node by its number, or the one that leads now.
#[derive(Clone, Copy, Debug)]
enum Target {
    Node(NodeId),
    Leader,
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "leader" {
            return Ok(Self::Leader);
        }
        text.parse()
            .map(Self::Node)
            .with_context(|| format!("neither `leader` nor a node from 1 to {NODE_ID_MAX}"))
    }
}

/// Runs one cluster command.
pub(crate) fn run(root: &Path, arguments: Arguments) -> Result<ExitCode> {
    let files = Files::new(folder(root, &arguments.data)?);
    match arguments.command {
        Command::Up {
            nodes,
            release,
            port_offset: ports,
            direct_links,
        } => {
            let links = if direct_links {
                Links::Direct
            } else {
                Links::Proxied
            };
            up::run(
                root,
                &files,
                Options {
                    nodes,
                    ports,
                    links,
                },
                release,
            )
        }
        Command::Down => down::stop(&files).map(report_stopped),
        Command::Status {
            output,
            watch: true,
        } => status::watch(&files, output),
        Command::Status {
            output,
            watch: false,
        } => status::print(&files, output),
        Command::Logs {
            node,
            follow,
            lines,
        } => logs::run(&files, node, lines, follow).map(|()| ExitCode::SUCCESS),
        Command::Reset => down::reset(&files).map(report_deleted),
        Command::Action(action) => send(&files, action),
        Command::Add => add(&files),
        Command::Remove { node } => remove(&files, node),
    }
}

fn report_stopped(found: Found) -> ExitCode {
    println!(
        "{}",
        match found {
            Found::Nothing => "there is no cluster",
            Found::NotUp => "the cluster was not up",
            Found::Up =>
                "the cluster is down; its messages are kept until `cargo xtask cluster reset`",
        }
    );
    ExitCode::SUCCESS
}

fn report_deleted(found: Found) -> ExitCode {
    println!(
        "{}",
        match found {
            Found::Nothing => "there is no cluster",
            Found::NotUp | Found::Up => "the cluster and its messages are deleted",
        }
    );
    ExitCode::SUCCESS
}

/// Sends an action to the supervisor, if there is one: only then `leader` can be resolved.
fn send(files: &Files, action: NodeAction) -> Result<ExitCode> {
    refuse_if_down(files)?;
    println!(
        "{}",
        control_client::send(&files.control_socket(), action.request(files)?)?
    );
    Ok(ExitCode::SUCCESS)
}

fn add(files: &Files) -> Result<ExitCode> {
    refuse_if_down(files)?;
    let node = resize::add(files)?;
    println!("node {node} is a voter; `cargo xtask cluster remove {node}` removes it");
    Ok(ExitCode::SUCCESS)
}

fn remove(files: &Files, node: Target) -> Result<ExitCode> {
    refuse_if_down(files)?;
    resize::remove(files, node.resolve(files)?)?;
    Ok(ExitCode::SUCCESS)
}

fn refuse_if_down(files: &Files) -> Result<()> {
    if !state::is_up(files)? {
        bail!("the cluster is not up; `cargo xtask cluster up` starts it");
    }
    Ok(())
}

impl NodeAction {
    fn request(self, files: &Files) -> Result<Request> {
        Ok(match self {
            Self::Kill { node } => Request::Kill {
                node: node.resolve(files)?,
            },
            Self::Stop { node } => Request::Stop {
                node: node.resolve(files)?,
            },
            Self::Pause { node } => Request::Pause {
                node: node.resolve(files)?,
            },
            Self::Resume { node } => Request::Resume {
                node: node.resolve(files)?,
            },
            Self::Restart { node } => Request::Restart {
                node: node.resolve(files)?,
            },
            Self::Isolate { node } => Request::Isolate {
                node: node.resolve(files)?,
            },
            Self::Reconnect { node: Some(node) } => Request::Reconnect {
                node: node.resolve(files)?,
            },
            Self::Reconnect { node: None } => Request::ReconnectAll,
            Self::Wipe { node } => Request::Wipe {
                node: node.resolve(files)?,
            },
        })
    }
}

impl Target {
    fn resolve(self, files: &Files) -> Result<NodeId> {
        match self {
            Self::Node(node) => Ok(node),
            Self::Leader => devcluster::status::leader(files),
        }
    }
}

/// The default is beside the root manifest, in whatever folder the command runs; a named folder is
/// relative to the current one.
fn folder(root: &Path, data: &Path) -> Result<PathBuf> {
    if data == Path::new(DEFAULT_FOLDER) {
        return Ok(root.join(data));
    }
    path::absolute(data).with_context(|| format!("finding {}", data.display()))
}
