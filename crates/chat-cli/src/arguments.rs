//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use uuid::Uuid;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the server said no: the name is taken, the password is wrong, …
  2  the command or its settings are wrong
  3  no node could serve the request; nothing was changed
  4  the outcome is unknown: it may have been done
  5  it was done, and the result could not be written
`chat cluster status`: 0 healthy, 1 degraded, 2 wrong usage, 3 without quorum.

The nodes are found in --nodes or in the file --config, else in CHAT_NODES, else in
.cluster/cluster.json here or in a folder above, else at 127.0.0.1:7401, 7402 and 7403.
A cluster.json that others may have written is refused.
Sessions are kept in CHAT_HOME, or in `chat` in the folder for configuration; each is of one
cluster, and no other one is sent it.";

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
    /// For how long a request is tried, on one node after the other.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) timeout: u64,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Creates an account.
    SignUp(Person),
    /// Opens a session of an account.
    Login(Person),
    /// Ends the session.
    Logout,
    /// Lists accounts whose names match a pattern.
    List(List),
    /// Sends a message.
    Send(Send),
    /// Shows received messages, the newest first.
    Inbox(Inbox),
    /// Marks messages as read; or shows the next unread ones, and marks them.
    Read(ReadMessages),
    /// Deletes received messages.
    Delete(Delete),
    /// Shows what happens to the inbox as it happens, until interrupted.
    Watch(Watch),
    /// Changes the password, and ends the other sessions.
    Password(Password),
    /// Deletes the account with its inbox.
    DeleteAccount(DeleteAccount),
    /// What an operator wants to know and do.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Measures how fast messages are sent.
    Bench(Bench),
    /// Writes the completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Writes the manual page.
    Man {
        /// Writes this page and one for each command into a folder instead.
        #[arg(long, value_name = "FOLDER")]
        output_dir: Option<PathBuf>,
    },
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
pub(crate) struct List {
    /// `*` is any text, `?` any character, `[a-c]` one of these.
    #[arg(default_value = "*")]
    pub(crate) pattern: String,
    #[command(flatten)]
    pub(crate) page: Page,
}

#[derive(Debug, Args)]
pub(crate) struct Page {
    /// How many at most.
    #[arg(short = 'n', long = "limit", value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) limit: u32,
    /// Goes on behind an earlier page: its `next`.
    #[arg(long, value_name = "NEXT")]
    pub(crate) after: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    /// Whom to.
    pub(crate) to: String,
    /// What it says; `-` reads it from standard input.
    pub(crate) text: String,
    /// The message's id, to repeat a send whose outcome is unknown: it is sent once.
    #[arg(long)]
    pub(crate) id: Option<Uuid>,
}

#[derive(Debug, Args)]
pub(crate) struct Inbox {
    /// Leaves out what was read.
    #[arg(long)]
    pub(crate) unread: bool,
    /// Shows the oldest first.
    #[arg(long)]
    pub(crate) oldest_first: bool,
    #[command(flatten)]
    pub(crate) page: Page,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ReadMessages {
    /// The messages, as `chat inbox` names them.
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<Uuid>,
    /// The oldest unread ones, this many at most.
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) next: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The messages, as `chat inbox` names them.
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<Uuid>,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Goes on behind an earlier event: its `cursor`.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
    /// Ends after this many messages.
    #[arg(short = 'n', long = "limit", value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Password {
    /// Reads the present and the new password from standard input, a line each, even from a
    /// terminal.
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteAccount {
    /// Does not ask.
    #[arg(long)]
    pub(crate) yes: bool,
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
    /// How many messages that client sends a second at most; without it one after the other.
    #[arg(long, value_name = "N", requires = "failover_probe")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: Option<u32>,
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
    use clap::{Command, CommandFactory, Parser};

    use super::{Arguments, EXIT_CODES};

    /// What people read instead of `--help`.
    const PAGE: &str = include_str!("../../../docs/cli.md");

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[track_caller]
    fn check_page(command: &Command, name: &str) {
        for argument in command.get_arguments() {
            if let Some(long) = argument.get_long() {
                assert!(
                    PAGE.contains(&format!("`--{long}")) || PAGE.contains(&format!(", `--{long}")),
                    "docs/cli.md does not mention --{long} of {name}"
                );
            }
        }
        let below = command.get_subcommands();
        let mut below = below
            .filter(|command| command.get_name() != "help")
            .peekable();
        let known = PAGE.contains(&format!("| `{name}"));
        assert!(
            known || below.peek().is_some(),
            "docs/cli.md does not list `{name}`"
        );
        for command in below {
            check_page(command, &format!("{name} {}", command.get_name()));
        }
    }

    #[test]
    fn the_page_lists_every_command_option_and_exit_code() {
        check_page(&Arguments::command(), "chat");
        let codes = EXIT_CODES
            .lines()
            .filter_map(|line| line.strip_prefix("  "));
        let mut count = 0;
        for (code, meaning) in codes.filter_map(|line| line.split_once("  ")) {
            let row = format!("| {code} | {meaning} |");
            assert!(PAGE.contains(&row), "docs/cli.md lacks {row}");
            count += 1;
        }
        assert_eq!(count, 6);
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
            "chat logout --as alice",
            "chat list al* -n 5",
            "chat list",
            "chat send bob -",
            "chat send bob hi --id 67e55044-10b1-426f-9247-bb680e5fe0c8",
            "chat read 67e55044-10b1-426f-9247-bb680e5fe0c8",
            "chat read --next 5",
            "chat delete 67e55044-10b1-426f-9247-bb680e5fe0c8",
            "chat watch --after x -n 1",
            "chat password --password-stdin",
            "chat delete-account --yes",
            "chat completions bash",
            "chat man --output-dir pages",
        ] {
            assert!(Arguments::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "chat",
            "chat inbox -n 501",
            "chat bench --clients 0",
            "chat --nodes a --config b inbox",
            "chat read",
            "chat read --next 1 67e55044-10b1-426f-9247-bb680e5fe0c8",
            "chat read seven",
            "chat delete",
            "chat inbox --timeout 0",
        ] {
            assert!(
                Arguments::try_parse_from(line.split(' ')).is_err(),
                "{line}"
            );
        }
    }
}
