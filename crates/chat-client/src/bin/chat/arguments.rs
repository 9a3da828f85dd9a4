//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the server said no: the name is taken, the password is wrong, …
  2  the command or its settings are wrong
  3  no node could serve the request; nothing was changed
  4  the outcome is unknown: it may have been done
`chat cluster status`: 0 healthy, 1 degraded, 2 without quorum.

The nodes are found in --nodes or in the file --config, else in CHAT_NODES, else in
.cluster/cluster.json here or in a folder above, else at 127.0.0.1:7401, 7402 and 7403.
Sessions are kept in CHAT_HOME, or in `chat` in the folder for configuration.";

/// Chat from the command line.
#[derive(Debug, Parser)]
#[command(name = "chat", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Client addresses of the nodes, such as 127.0.0.1:7401,127.0.0.1:7402.
    #[arg(long, global = true, value_name = "ADDRESSES")]
    pub(crate) nodes: Option<String>,
    /// A file that names the nodes, such as the servers have.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "nodes")]
    pub(crate) config: Option<PathBuf>,
    /// Whose session is used; the last one that logged in if not given.
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub(crate) account: Option<String>,
    /// How results are written.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub(crate) output: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Creates an account.
    SignUp(Person),
    /// Opens a session of an account.
    Login(Person),
    /// Sends a message.
    Send {
        /// Whom to.
        to: String,
        /// What it says.
        text: String,
    },
    /// Shows received messages, the newest first.
    Inbox(Inbox),
    /// What an operator wants to know and do.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Measures how fast messages are sent.
    Bench(Bench),
}

#[derive(Debug, Args)]
pub(crate) struct Person {
    /// The account.
    pub(crate) name: String,
    /// Reads the password from standard input, one line, even from a terminal.
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Inbox {
    /// Leaves out what was read.
    #[arg(long)]
    pub(crate) unread: bool,
    /// How many messages at most.
    #[arg(short = 'n', long = "limit", value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) limit: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Shows every node, as it sees itself.
    Status,
    /// Lets another node lead.
    Transfer,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Bench {
    /// How many clients send at the same time, each waiting for its answer.
    #[arg(long, value_name = "N", default_value_t = 256)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) clients: u32,
    /// For how long.
    #[arg(long, value_name = "S", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// How many bytes a message has.
    #[arg(long, value_name = "B", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=16_384))]
    pub(crate) body: u64,
    /// Reads inboxes instead of sending.
    #[arg(long, conflicts_with = "failover_probe")]
    pub(crate) reads: bool,
    /// One client, which writes a line of JSON for every message that was acknowledged.
    #[arg(long)]
    pub(crate) failover_probe: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs; the same fields in every version.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::Arguments;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_is_documented_can_be_typed() {
        for line in [
            "chat sign-up alice",
            "chat login alice --password-stdin",
            "chat send bob hello --as alice",
            "chat --nodes a:1,b:1 inbox --unread -n 5 -o json",
            "chat cluster status --config cluster.toml -o json",
            "chat cluster status -o table",
            "chat cluster transfer",
            "chat bench --clients 256 --seconds 10 --body 100",
            "chat bench --failover-probe --seconds 60",
            "chat bench --reads -o json",
        ] {
            assert!(Arguments::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "chat",
            "chat inbox -n 501",
            "chat bench --clients 0",
            "chat --nodes a --config b inbox",
        ] {
            assert!(
                Arguments::try_parse_from(line.split(' ')).is_err(),
                "{line}"
            );
        }
    }
}
