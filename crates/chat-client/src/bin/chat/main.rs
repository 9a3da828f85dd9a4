//! `chat`: the chat on the command line, and the operator's view of the cluster.

mod accounts;
mod arguments;
mod bench;
mod cluster_status;
mod failure;
mod messages;
mod nodes;
mod output;
mod password;
mod transfer;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, ClusterCommand, Command};
use failure::Failure;
use nodes::Nodes;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_unset| "off".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("chat: the runtime cannot start: {error}");
            return ExitCode::from(failure::USAGE);
        }
    };
    let code = runtime.block_on(run(arguments)).unwrap_or_else(|failure| {
        eprintln!("chat: {failure}");
        failure.exit_code()
    });
    // A prompt that nobody will answer any more must not hold us up.
    runtime.shutdown_background();
    code
}

async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let nodes = Nodes::find(arguments.nodes.as_deref(), arguments.config.as_deref())?;
    let output = arguments.output;
    match arguments.command {
        Command::SignUp(person) => messages::sign_up(&nodes, &person, output).await,
        Command::Login(person) => messages::login(&nodes, &person, output).await,
        Command::Send { to, text } => {
            messages::send(&nodes, arguments.account.as_deref(), &to, &text, output).await
        }
        Command::Inbox(inbox) => {
            messages::inbox(&nodes, arguments.account.as_deref(), &inbox, output).await
        }
        Command::Cluster(ClusterCommand::Status) => cluster_status::run(&nodes, output).await,
        Command::Cluster(ClusterCommand::Transfer) => transfer::run(&nodes, output).await,
        Command::Bench(bench) => bench::run(&nodes, &bench, output).await,
    }
}
