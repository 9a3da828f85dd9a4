//! `chat`: the chat on the command line, and the operator's view of the cluster.

mod accounts;
mod arguments;
mod bench;
mod cluster_status;
mod failure;
mod invocation;
mod manual;
mod messages;
mod nodes;
mod output;
mod password;
mod people;
mod printer;
mod progress;
mod transfer;
mod watch;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use arguments::{Arguments, ClusterCommand, Command};
use failure::Failure;
use invocation::Invocation;
use nodes::{Nodes, Origin};
use printer::{Printer, remark};

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
            remark(&format!("chat: the runtime cannot start: {error}"));
            return ExitCode::from(failure::USAGE);
        }
    };
    let format = arguments.output;
    let code = runtime.block_on(run(arguments)).unwrap_or_else(|failure| {
        failure.report(format);
        failure.exit_code()
    });
    // A prompt that nobody will answer any more must not hold us up.
    runtime.shutdown_background();
    code
}

async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let printer = Printer::new(arguments.output);
    match &arguments.command {
        Command::Completions { shell } => return manual::completions(printer, *shell),
        Command::Man { into } => return manual::man(printer, into.as_deref()),
        _ => {}
    }
    let nodes = Nodes::find(arguments.nodes.as_deref(), arguments.config.as_deref())?;
    if let Origin::Found(file) = &nodes.origin
        && io::stderr().is_terminal()
    {
        // Nobody has named it, so it is said; a program that reads us knows what it does.
        remark(&format!("(cluster: {})", file.display()));
    }
    let invocation = Invocation {
        nodes,
        account: arguments.account,
        patience: Duration::from_secs(arguments.timeout),
        printer,
    };
    let invocation = &invocation;
    match &arguments.command {
        Command::SignUp(person) => people::sign_up(invocation, person).await,
        Command::Login(person) => people::login(invocation, person).await,
        Command::Logout => people::logout(invocation).await,
        Command::List(list) => people::list(invocation, list).await,
        Command::Password(password) => people::password(invocation, password).await,
        Command::DeleteAccount(deletion) => people::delete_account(invocation, deletion).await,
        Command::Send(send) => messages::send(invocation, send).await,
        Command::Inbox(inbox) => messages::inbox(invocation, inbox).await,
        Command::Read(read) => messages::read(invocation, read).await,
        Command::Delete(delete) => messages::delete(invocation, delete).await,
        Command::Watch(watch) => watch::run(invocation, watch).await,
        Command::Cluster(ClusterCommand::Status) => cluster_status::run(invocation).await,
        Command::Cluster(ClusterCommand::Transfer) => transfer::run(invocation).await,
        Command::Bench(bench) => bench::run(invocation, bench).await,
        Command::Completions { .. } | Command::Man { .. } => {
            unreachable!("these need no cluster and were carried out above")
        }
    }
}
