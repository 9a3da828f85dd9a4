//! `chat-server`: runs one node until a signal stops it, or prints its configuration.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use chat_server::config::{self, Config, Overrides};
use chat_server::node::{self, DataPolicy};
use chat_store::{ExportError, LogIndex, NodeId, Secrets, ShownLog};
use clap::{Args, CommandFactory, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

/// The command line or the configuration is wrong; clap uses the same.
const USAGE: u8 = 2;

/// One node of the chat.
///
/// Exits with 0 after SIGTERM or SIGINT, with 1 and one sentence when it cannot start or continue, and
/// with 2 and one sentence when these arguments or the configuration are wrong. What is logged is
/// set by RUST_LOG and written to standard error.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
    /// Deletes the stored data of this node, then starts.
    #[arg(long, requires = "id")]
    reset: bool,
}

#[derive(Debug, Args)]
struct Settings {
    /// Which of the nodes in the file this one is; needed to run one.
    #[arg(long, value_name = "N", global = true)]
    id: Option<u64>,
    /// The configuration file; CHAT_SERVER_SECTION__KEY in the environment wins over it.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "config/cluster.toml",
        global = true
    )]
    config: PathBuf,
    /// Overrides storage.directory.
    #[arg(long, value_name = "DIRECTORY", global = true)]
    data: Option<PathBuf>,
    /// Overrides listen.client.
    #[arg(long, value_name = "ADDRESS", global = true)]
    listen_client: Option<String>,
    /// Overrides listen.peer.
    #[arg(long, value_name = "ADDRESS", global = true)]
    listen_peer: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks or prints the configuration, and starts nothing.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Shows the commit log of a node, which may run meanwhile; nothing is changed.
    #[command(subcommand)]
    Log(LogCommand),
}

#[derive(Clone, Debug, Subcommand)]
enum LogCommand {
    /// Writes one line for each entry; with --id for that node.
    Show {
        /// Only the entries after this index.
        #[arg(long, value_name = "INDEX", default_value_t = 0)]
        after: u64,
        /// Also what identifies sessions and passwords: hashes of tokens and passwords.
        #[arg(long)]
        secrets: bool,
    },
    /// Writes all entries into a new SQLite file, table commits; with --id for that node.
    Export {
        /// The file, which must not exist.
        file: PathBuf,
        /// Also what identifies sessions and passwords: hashes of tokens and passwords.
        #[arg(long)]
        secrets: bool,
    },
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum ConfigCommand {
    /// Reads and checks everything; with --id for that node.
    Check,
    /// Writes every value and where it comes from, in TOML.
    Show,
    /// Writes what can be configured: meanings, types, defaults and limits.
    Reference,
}

/// Requests allocate and free many small objects, on different threads: with the system's allocator
/// that took a quarter of the processor time of a loaded node.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match (arguments.command, arguments.settings.id) {
        (Some(_), _) if arguments.reset => usage_error("--reset goes with running a node only"),
        (Some(Command::Config(command)), _) => run_config_command(command, &arguments.settings),
        (Some(Command::Log(command)), Some(id)) => {
            run_log_command(&command, id, &arguments.settings)
        }
        (Some(Command::Log(_)), None) => usage_error("--id <N> selects the node"),
        (None, Some(id)) if arguments.reset => run(id, &arguments.settings, DataPolicy::Reset),
        (None, Some(id)) => run(id, &arguments.settings, DataPolicy::Keep),
        (None, None) => usage_error("--id <N> selects the node to run"),
    }
}

/// Prints the error as clap does.
fn usage_error(what: &str) -> ExitCode {
    let error = Arguments::command().error(clap::error::ErrorKind::MissingRequiredArgument, what);
    // If standard error is closed, there is no other place to print it.
    error.print().ok();
    ExitCode::from(USAGE)
}

/// Prints one sentence on standard error.
fn exit_with_error(code: u8, sentence: &str) -> ExitCode {
    eprintln!("chat-server: {sentence}");
    ExitCode::from(code)
}

fn run_config_command(command: ConfigCommand, settings: &Settings) -> ExitCode {
    let loaded = || config::load(settings.id, &settings.config, &settings.overrides());
    let text = match command {
        ConfigCommand::Reference => Ok(config::reference()),
        ConfigCommand::Show => loaded().map(|loaded| loaded.show()),
        ConfigCommand::Check => config::log_filter().and_then(|_| loaded()).map(|_| {
            let of = settings
                .id
                .map_or_else(String::new, |id| format!(" of node {id}"));
            format!(
                "{}: the configuration{of} is good\n",
                settings.config.display()
            )
        }),
    };
    match text.map(|text| std::io::stdout().write_all(text.as_bytes())) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => exit_with_error(1, &format!("the result cannot be written: {error}")),
        Err(error) => exit_with_error(USAGE, &error.to_string()),
    }
}

fn run_log_command(command: &LogCommand, id: u64, settings: &Settings) -> ExitCode {
    let config = match config::load(Some(id), &settings.config, &settings.overrides()) {
        Ok(loaded) => loaded.config,
        Err(error) => return exit_with_error(USAGE, &error.to_string()),
    };
    let directory = config.data_directory(id);
    let shown = match command {
        LogCommand::Show { after, secrets } => show_log(&directory, id, *after, *secrets),
        LogCommand::Export { file, secrets } => export_log(&directory, id, file, *secrets),
    };
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit_with_error(1, &format!("{error:#}")),
    }
}

fn show_log(directory: &Path, id: u64, after: u64, secrets: bool) -> anyhow::Result<()> {
    let mut log = ShownLog::open(directory, NodeId(id))?;
    for finding in log.findings() {
        eprintln!("chat-server: a start would find: {finding:?}");
    }
    let mut text = std::io::BufWriter::new(std::io::stdout().lock());
    match log.show(LogIndex(after), secrets_of(secrets), &mut text) {
        // The reader of the output is gone.
        Err(ExportError::Write(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        shown => Ok(shown.and_then(|()| Ok(text.flush()?))?),
    }
}

fn export_log(directory: &Path, id: u64, file: &Path, secrets: bool) -> anyhow::Result<()> {
    let mut log = ShownLog::open(directory, NodeId(id))?;
    let written = log
        .export(file, secrets_of(secrets))
        .with_context(|| format!("exporting to {}", file.display()))?;
    println!("{written} entries are in {}", file.display());
    Ok(())
}

fn secrets_of(shown: bool) -> Secrets {
    if shown {
        Secrets::Shown
    } else {
        Secrets::Redacted
    }
}

fn run(id: u64, settings: &Settings, data_policy: DataPolicy) -> ExitCode {
    let filter = match config::log_filter() {
        Ok(filter) => filter,
        Err(error) => return exit_with_error(USAGE, &error.to_string()),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let config = match config::load(Some(id), &settings.config, &settings.overrides()) {
        Ok(loaded) => loaded.config,
        Err(error) => return exit_with_error(USAGE, &error.to_string()),
    };
    match serve(id, &config, data_policy) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit_with_error(1, &format!("{error:#}")),
    }
}

fn serve(id: u64, config: &Config, data_policy: DataPolicy) -> anyhow::Result<()> {
    let runtime = match config.runtime.worker_threads {
        // Without threads that pass work to each other: on a machine that nodes share, this halves
        // the cost of a send.
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
        let stopped = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        Ok(node::run(id, config, data_policy, stopped).await?)
    });
    // Connections that are still open, and threads that wait for a disk, end with the process.
    // Dropping the runtime would wait for a disk that hangs.
    std::mem::forget(runtime);
    result
}

impl Settings {
    fn overrides(&self) -> Overrides {
        Overrides {
            directory: self.data.clone(),
            listen_client: self.listen_client.clone(),
            listen_peer: self.listen_peer.clone(),
        }
    }
}
