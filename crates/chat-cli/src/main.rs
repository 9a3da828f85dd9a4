//! `chat`: the chat on the command line, and the operator's view of the cluster.

mod accounts;
mod arguments;
mod bench;
mod cluster_members;
mod cluster_status;
mod context;
mod export;
mod failure;
mod manual;
mod messages;
mod output;
mod password;
mod printer;
mod progress;
mod stderr;
mod stored;
mod transfer;
mod users;
mod watch;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use chat_client::{NodeList, NodeListOrigin};
use clap::Parser;

use arguments::{Arguments, ClusterCommand, Command};
use context::Context;
use failure::Failure;
use printer::Printer;
use stderr::warn;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_unset| "off".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            warn(&format!("chat: cannot start the runtime: {error}"));
            return ExitCode::from(failure::USAGE);
        }
    };
    let format = arguments.output;
    let code = runtime.block_on(run(arguments)).unwrap_or_else(|failure| {
        failure.report(format);
        failure.exit_code()
    });
    // A prompt that still waits for an answer must not delay the end of the process.
    runtime.shutdown_background();
    code
}

async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let printer = Printer::new(arguments.output);
    match &arguments.command {
        Command::Completions { shell } => return manual::completions(printer, *shell),
        Command::Man { output_dir } => return manual::man(printer, output_dir.as_deref()),
        _ => {}
    }
    let node_list = NodeList::find(arguments.nodes.as_deref(), arguments.config.as_deref())?;
    if let NodeListOrigin::ClusterFile(file) = &node_list.origin
        && io::stderr().is_terminal()
    {
        // The person did not name the cluster, so the command shows which one it uses. A program that
        // reads standard error does not need it.
        warn(&format!("(cluster: {})", file.display()));
    }
    let context = Context {
        node_list,
        account: arguments.account,
        deadline: Duration::from_secs(arguments.timeout),
        printer,
    };
    let context = &context;
    match &arguments.command {
        Command::SignUp(person) => users::sign_up(context, person).await,
        Command::Login(person) => users::login(context, person).await,
        Command::Logout => users::logout(context).await,
        Command::List(list) => users::list(context, list).await,
        Command::Password(password) => users::password(context, password).await,
        Command::DeleteAccount(deletion) => users::delete_account(context, deletion).await,
        Command::Send(send) => messages::send(context, send).await,
        Command::Inbox(inbox) => messages::inbox(context, inbox).await,
        Command::Stored(stored) => stored::run(context, stored).await,
        Command::Read(read) => messages::read(context, read).await,
        Command::Delete(delete) => messages::delete(context, delete).await,
        Command::Export(wanted) => export::run(context, wanted).await,
        Command::Watch(watch) => watch::run(context, watch).await,
        Command::Cluster(ClusterCommand::Status) => cluster_status::run(context).await,
        Command::Cluster(ClusterCommand::Transfer) => transfer::run(context).await,
        Command::Cluster(ClusterCommand::Members) => cluster_members::members(context).await,
        Command::Cluster(ClusterCommand::Add(wanted)) => {
            cluster_members::add(context, wanted).await
        }
        Command::Cluster(ClusterCommand::Remove { id }) => {
            cluster_members::remove(context, *id).await
        }
        Command::Cluster(ClusterCommand::Replace(wanted)) => {
            cluster_members::replace(context, wanted).await
        }
        Command::Cluster(ClusterCommand::Update(node)) => {
            cluster_members::update(context, node.id, node.addresses()).await
        }
        Command::Bench(bench) => bench::run(context, bench).await,
        Command::Completions { .. } | Command::Man { .. } => {
            unreachable!("these need no cluster and are handled above")
        }
    }
}
