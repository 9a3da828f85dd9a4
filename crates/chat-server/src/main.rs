//! `chat-server`: runs one node until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use chat_server::config::{Config, Overrides};
use chat_server::node::{self, Data};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Unless `RUST_LOG` says otherwise.
const LOG_FILTER: &str = "info";

/// One node of the chat.
///
/// Exits with 0 after SIGTERM or SIGINT, with 1 and one sentence when it cannot start or go on, and
/// with 2 when these arguments are wrong. What is logged is set by RUST_LOG and written to standard
/// error.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Which of the nodes in the file this one is.
    #[arg(long, value_name = "N")]
    id: u64,
    /// The configuration file; CHAT_SERVER_SECTION__KEY in the environment wins over it.
    #[arg(long, value_name = "FILE", default_value = "config/cluster.toml")]
    config: PathBuf,
    /// Overrides storage.directory.
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// Overrides listen.client.
    #[arg(long, value_name = "ADDRESS")]
    listen_client: Option<String>,
    /// Overrides listen.peer.
    #[arg(long, value_name = "ADDRESS")]
    listen_peer: Option<String>,
    /// Deletes what this node has stored, then starts.
    #[arg(long)]
    reset: bool,
}

/// Requests allocate and free much that is small, on one thread and then another: with the system's
/// allocator that took a quarter of the processor time of a loaded node.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| LOG_FILTER.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let overrides = Overrides {
        directory: arguments.data,
        listen_client: arguments.listen_client,
        listen_peer: arguments.listen_peer,
    };
    let id = arguments.id;
    let config = Config::load(id, &arguments.config, &overrides)?;
    let data = if arguments.reset {
        Data::Reset
    } else {
        Data::Keep
    };
    let runtime = match config.runtime.worker_threads {
        // Without threads that hand work to each other: on a machine that nodes share this halves
        // what a send costs.
        1 => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build(),
        threads => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build(),
    };
    let runtime = runtime.context("the runtime cannot start")?;
    let result = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
        let told = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        Ok(node::run(id, &config, data, told).await?)
    });
    // Connections that are still open, and threads that wait for a disk, end with the process.
    runtime.shutdown_background();
    result
}
