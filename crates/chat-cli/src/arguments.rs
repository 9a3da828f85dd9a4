//! The command line: commands, options and their help texts.

use std::path::PathBuf;

use chat_client::DirectionFilter;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use uuid::Uuid;

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  the server rejected the request: the name is taken, the password is wrong, …
  2  the command or its settings are wrong
  3  no node could serve the request; nothing was changed
  4  the outcome is unknown: the request may have been carried out
  5  the request was carried out, but the result could not be written
`chat cluster status`: 0 healthy, 1 degraded, 2 wrong usage, 3 without quorum.

The nodes are those of --nodes or of the file --config, else of CHAT_NODES, else of
.cluster/cluster.json in this folder or a folder above, else 127.0.0.1:7401, 7402 and 7403.
A cluster.json that other users may have written is not used.
Sessions are stored in CHAT_HOME, or in `chat` in the folder for configuration. A session is sent
only to the cluster that opened it.";

/// Chat from the command line.
#[derive(Debug, Parser)]
#[command(name = "chat", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Client addresses of the nodes, for example 127.0.0.1:7401,127.0.0.1:7402
    #[arg(long, global = true, value_name = "ADDRESSES")]
    pub(crate) nodes: Option<String>,
    /// A file that lists the nodes, for example the configuration of a server
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "nodes")]
    pub(crate) config: Option<PathBuf>,
    /// The account whose session is used; by default the account of the last login
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub(crate) account: Option<String>,
    /// The format of results
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub(crate) output: Format,
    /// How long a request is tried, on one node after the other
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) timeout: u64,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create an account and log in
    SignUp(Person),
    /// Log in to an account
    Login(Person),
    /// End the session
    Logout,
    /// List accounts whose names match a pattern
    List(List),
    /// Send a message
    Send(Send),
    /// Show messages, the newest first
    Inbox(Inbox),
    /// Show which messages are stored, where in the log, and on how many servers
    Stored(Stored),
    /// Mark messages as read, or show the next unread messages and mark them
    Read(ReadMessages),
    /// Delete received messages, and copies of sent ones
    Delete(Delete),
    /// Write everything that the servers have of the account to a file
    Export(Export),
    /// Show changes of the messages as they happen, until interrupted
    Watch(Watch),
    /// Change the password, and end all other sessions
    Password(Password),
    /// Delete the account and its inbox
    DeleteAccount(DeleteAccount),
    /// Commands for operators
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Measure how fast messages are sent
    Bench(Bench),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man {
        /// Write this page and one for each command to a folder instead
        #[arg(long, value_name = "FOLDER")]
        output_dir: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Person {
    /// The account
    pub(crate) name: String,
    /// Read the password from standard input, one line, even from a terminal
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The file, which must not exist; `-` for standard output
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// `*` matches any text, `?` any character, `[a-c]` one of these characters
    #[arg(default_value = "*")]
    pub(crate) pattern: String,
    #[command(flatten)]
    pub(crate) page: Page,
}

#[derive(Debug, Args)]
pub(crate) struct Page {
    /// The maximum number of results
    #[arg(short = 'n', long = "limit", value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) limit: u32,
    /// Continue after an earlier page: its `next`
    #[arg(long, value_name = "NEXT")]
    pub(crate) after: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    /// The recipient
    pub(crate) to: String,
    /// The text; `-` reads it from standard input
    pub(crate) text: String,
    /// The id of the message, to repeat a send with an unknown outcome: it is sent once
    #[arg(long)]
    pub(crate) id: Option<Uuid>,
    /// Keep a copy, which `chat inbox --direction sent` shows on every device
    #[arg(long)]
    pub(crate) keep_copy: bool,
    /// The id of the message that this one replies to
    #[arg(long, value_name = "ID")]
    pub(crate) reply_to: Option<Uuid>,
}

/// Which messages of the account.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Direction {
    /// Received messages
    #[default]
    Received,
    /// Copies of sent messages
    Sent,
    /// Both
    All,
}

impl From<Direction> for DirectionFilter {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Received => Self::Received,
            Direction::Sent => Self::Sent,
            Direction::All => Self::All,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Stored {
    /// The ids of messages that the account sent or received
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<Uuid>,
}

#[derive(Debug, Args)]
pub(crate) struct Inbox {
    /// Which messages
    #[arg(long, value_enum, default_value_t)]
    pub(crate) direction: Direction,
    /// Show only unread messages
    #[arg(long)]
    pub(crate) unread: bool,
    /// Show the oldest messages first
    #[arg(long)]
    pub(crate) oldest_first: bool,
    #[command(flatten)]
    pub(crate) page: Page,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ReadMessages {
    /// The ids of the messages, as `chat inbox` shows them
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<Uuid>,
    /// The oldest unread messages, at most this many
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) next: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The ids of the messages, as `chat inbox` shows them
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<Uuid>,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Of which messages
    #[arg(long, value_enum, default_value_t)]
    pub(crate) direction: Direction,
    /// Continue after an earlier event: its `cursor`
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
    /// End after this many messages
    #[arg(short = 'n', long = "limit", value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Password {
    /// Read the current and the new password from standard input, one line each, even from a
    /// terminal
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteAccount {
    /// Delete without confirmation
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Show the report of every node
    Status,
    /// Transfer leadership to another node
    Transfer,
    /// Show who belongs to the cluster, and how many failures it survives now
    Members,
    /// Add a node, and wait until it votes
    Add(AddMember),
    /// Remove a node; its id is not used again
    Remove {
        /// The node
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
    },
    /// Add a node, wait until it votes, then remove another one
    Replace(ReplaceMember),
    /// Change the addresses of a node that has moved
    Update(JoiningNode),
}

/// A node and where it is.
#[derive(Clone, Debug, Args)]
pub(crate) struct JoiningNode {
    /// The node
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) id: u64,
    /// Where the other nodes call it: a host and a port, or `unix:` and a path
    #[arg(value_name = "PEER_ADDRESS")]
    pub(crate) peer: String,
    /// Where clients call it: a host and a port
    #[arg(value_name = "CLIENT_ADDRESS")]
    pub(crate) client: String,
}

impl JoiningNode {
    /// Where it is.
    pub(crate) fn addresses(&self) -> chat_client::MemberAddresses {
        chat_client::MemberAddresses {
            peer: self.peer.clone(),
            client: self.client.clone(),
        }
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct AddMember {
    #[command(flatten)]
    pub(crate) node: JoiningNode,
    /// Do not wait until it votes
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// How long to wait until it votes
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub(crate) wait: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ReplaceMember {
    /// The node that leaves
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) old: u64,
    #[command(flatten)]
    pub(crate) node: JoiningNode,
    /// How long to wait until the new one votes
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub(crate) wait: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Bench {
    /// How many clients send at the same time, each waiting for its reply
    #[arg(long, value_name = "N", default_value_t = 256)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) clients: u32,
    /// The duration of the measurement
    #[arg(long, value_name = "S", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// The size of a message in bytes
    #[arg(long, value_name = "B", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=16_384))]
    pub(crate) body: u64,
    /// Read inboxes instead of sending messages
    #[arg(long, conflicts_with = "failover_probe")]
    pub(crate) reads: bool,
    /// Use one client, and print a line of JSON for every acknowledged message
    #[arg(long)]
    pub(crate) failover_probe: bool,
    /// The maximum number of messages a second of that client; by default it sends one after the
    /// other
    #[arg(long, value_name = "N", requires = "failover_probe")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// For programs; fields keep their meaning in every version
    Json,
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory, Parser};

    use super::{Arguments, EXIT_CODES};

    /// The reference page.
    const PAGE: &str = include_str!("../../../docs/cli.md");

    #[test]
    fn arguments_are_consistent() {
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
        let is_listed = PAGE.contains(&format!("| `{name}"));
        assert!(
            is_listed || below.peek().is_some(),
            "docs/cli.md does not list `{name}`"
        );
        for command in below {
            check_page(command, &format!("{name} {}", command.get_name()));
        }
    }

    #[test]
    fn page_lists_every_command_option_and_exit_code() {
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
    fn documented_commands_are_parsed() {
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
            "chat send bob hi --keep-copy --reply-to 67e55044-10b1-426f-9247-bb680e5fe0c8",
            "chat inbox --direction all",
            "chat stored 67e55044-10b1-426f-9247-bb680e5fe0c8",
            "chat watch --direction sent",
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
            "chat inbox --direction both",
            "chat stored",
            "chat send bob hi --reply-to seven",
            "chat inbox --timeout 0",
        ] {
            assert!(
                Arguments::try_parse_from(line.split(' ')).is_err(),
                "{line}"
            );
        }
    }
}
