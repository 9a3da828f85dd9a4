//! `config reference`: everything that can be configured, made from the types. It is
//! `docs/configuration.md`.

use figment::value::Value;

use super::check::{NODES_MAX, bounds};
use super::layers::{FLAGS, variable};
use super::schema::{Key, NAME_LENGTH_MAX, SOCKET_PATH_BYTES_MAX, Table, ValueType};
use super::sections::{Node, TABLES};
use super::show::written;
use super::values::Config;

const OPENING: &str = "\
# Configuration

Every key of a server: what it means, its type, unit, default and limits, and its name in the environment.
This page is what `chat-server config reference` writes, made from the types of the code, and a test compares them.
`UPDATE_EXPECT=1 cargo test -p chat-server --lib config` regenerates it.

## Where values come from

Defaults, then the file, then the environment, then flags: each overrides those before it.
The file is `config/cluster.toml` unless `--config` names another.
It is one file for every server, and has every server's addresses: for several machines edit the addresses in it, and give each machine a copy.
`chat-server --id N` selects which of the nodes in it this one is.

In the environment a key is `CHAT_SERVER_`, its table, two underscores and its name, in upper case.
`[[nodes]]` as a whole is `CHAT_SERVER_NODES`, as in `[{id=1,client_address=\"127.0.0.1:7401\",peer_address=\"127.0.0.1:7501\"}]`.
Every variable whose name begins with `CHAT_SERVER_` must be a known key.
A text that looks like a number or like `true` needs additional quotes, as in `\"7\"`.
";

const REACH: &str = "\
## Who reaches a listener

Nothing is encrypted yet, so a listener that other machines may reach is rejected, by `config check` too, unless `insecure = true` under `[listen]` allows it; then each start logs a warning.
Only loopback addresses, `localhost` and sockets in the file system do not need that setting.

A port of the loopback address is open to every user of the machine.
For the peer listener `unix:/path` is a socket in the file system instead: only the node's own user can connect to it, and its folder must belong to that user or to root, and no other user may be able to write to it.
Beside it the node keeps a file with `.lock` at the end of its name; a socket that an earlier process left is replaced.
All nodes must then be on this machine; `cargo xtask cluster up` does that.
";

const COMMANDS: &str = "\
## Commands

| command | what it does |
| --- | --- |
| `chat-server --id N --config FILE` | runs node N until SIGTERM or SIGINT |
| `chat-server --id N --config FILE --reset` | deletes what node N has stored, then runs it as a node with a new disk |
| `chat-server config check` | reads and checks everything, and starts nothing; with `--id N` for that node |
| `chat-server config show` | writes every value and its origin: the default, the file and line, the variable, or the flag; in TOML that gives the same configuration |
| `chat-server config reference` | writes this page |

Every command accepts `--config` and the flags that override a key.
What is logged is set by `RUST_LOG` and is not part of the configuration: a level, or modules with levels, as in `info,chat_server=debug`.
A mistyped one is rejected at the start and by `config check`.
";

const ENDING: &str = "\
## When something is wrong

Every mistake is reported in one sentence on standard error, and nothing is changed on the disk.
An unknown key is rejected, and the message names the nearest known one.
So is an address in `[[nodes]]` that other nodes cannot dial, such as `0.0.0.0:7401`, and one that two nodes have, in any spelling: `localhost` and `127.0.0.1` are the same.
A node binds its two addresses before it touches its data; the message names an address that is taken.
It accepts connections once its log and its tables are open; until then they are refused, as if it did not run.

| exit code | meaning |
| --- | --- |
| 0 | stopped after SIGTERM or SIGINT; or the configuration is good |
| 1 | the node cannot start or continue: an address is taken, its data cannot be opened or belongs to another node, the disk failed |
| 2 | the command line or the configuration is wrong |

A data directory has a file `identity.toml` with the id of its node and the name of its cluster, written with the first start.
Under another id or another name the directory is rejected, by `--reset` too: it may have the only copy of another node's data.
If you know that it does not, delete the directory.
Nodes do not send each other the name.
A directory that is in use by a running process is rejected.
";

/// Everything that can be configured, as a page of Markdown.
pub fn reference() -> String {
    let defaults =
        Value::serialize(Config::default()).expect("a configuration is made of tables and lists");
    let mut page = OPENING.to_owned();
    for table in TABLES {
        page += &format!("\n## `[{}]`\n\n", table.name);
        push_table(&mut page, &table, defaults.find_ref(table.name));
    }
    page += &format!(
        "\n## `[[{}]]`\n\nOne for each node, 1 to {NODES_MAX}; no two with the same id or address.\n",
        Node::TABLE.name
    );
    push_table(&mut page, &Node::TABLE, None);
    page += "\n## Flags\n\n| flag | overrides |\n| --- | --- |\n";
    for (flag, key) in FLAGS {
        page += &format!("| `{flag}` | `{key}` |\n");
    }
    page + "\n" + REACH + "\n" + COMMANDS + "\n" + ENDING
}

/// A line for the table and a row for each key. Without `defaults` every key is required.
fn push_table(page: &mut String, table: &Table, defaults: Option<&Value>) {
    let in_a_list = table.name == Node::TABLE.name;
    for sentence in text(table.meaning).split_inclusive(". ") {
        page.push_str(sentence.trim_end());
        page.push('\n');
    }
    *page += "\n| key | meaning | type | default | limits | environment |\n";
    *page += "| --- | --- | --- | --- | --- | --- |\n";
    for key in table.keys {
        let default = match defaults.map(|defaults| defaults.find_ref(key.name)) {
            Some(value) => value
                .and_then(written)
                .map_or_else(|| "not set".to_owned(), |value| format!("`{value}`")),
            None => "required".to_owned(),
        };
        let environment = if in_a_list {
            format!("in `{}`", variable(&[table.name]))
        } else {
            format!("`{}`", variable(&[table.name, key.name]))
        };
        let (kind, limits) = kind_and_limits(key);
        let (name, meaning) = (key.name, text(key.meaning));
        *page +=
            &format!("| `{name}` | {meaning} | {kind} | {default} | {limits} | {environment} |\n");
    }
}

fn kind_and_limits(key: &Key) -> (String, String) {
    match key.value_type {
        ValueType::Number {
            unit,
            least,
            most,
            relation,
        } => {
            let kind = match unit {
                "" => "whole number".to_owned(),
                unit => format!("whole number, {unit}"),
            };
            let limits = match relation {
                "" => bounds(least, most),
                relation => format!("{}, {relation}", bounds(least, most)),
            };
            (kind, limits)
        }
        ValueType::Address => ("text, `host:port`".to_owned(), "port 1 to 65535".to_owned()),
        ValueType::PeerAddress => (
            "text, `host:port` or `unix:/path`".to_owned(),
            format!("port 1 to 65535; an absolute path of at most {SOCKET_PATH_BYTES_MAX} bytes"),
        ),
        ValueType::Switch => ("`true` or `false`".to_owned(), String::new()),
        ValueType::Name => (
            "text".to_owned(),
            format!("1 to {NAME_LENGTH_MAX} lower-case letters, digits and hyphens"),
        ),
        ValueType::Path => (
            "text, a path".to_owned(),
            "not empty; a relative one begins in the folder of the file, and in the environment or as a flag where the process starts".to_owned(),
        ),
    }
}

/// The lines of a documentation comment as one text.
fn text(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    #[test]
    fn page_agrees_with_the_types() {
        expect_file!["../../../../docs/configuration.md"].assert_eq(&super::reference());
    }
}
