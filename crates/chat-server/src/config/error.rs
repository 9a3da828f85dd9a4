//! What can be wrong with a configuration; each error is one sentence.

use std::path::PathBuf;

/// Why a configuration cannot be used. `origin` is where the value comes from.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is not there, or is not readable.
    #[error("the configuration file {path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        reason: String,
    },
    /// A key or a value that cannot be parsed.
    #[error("{0}")]
    Malformed(String),
    /// A value that is not among those allowed.
    #[error("{key} is {value} ({origin}), and must be {allowed}")]
    NotAllowed {
        /// Its name in the file.
        key: String,
        /// What was found.
        value: String,
        /// Where.
        origin: String,
        /// What is allowed.
        allowed: String,
    },
    /// There is nothing in `[[nodes]]`, or too much.
    #[error("[[nodes]] lists {found} nodes ({origin}), and must list 1 to {most}")]
    NodeCount {
        /// How many there are.
        found: usize,
        /// Where.
        origin: String,
        /// How many there may be.
        most: usize,
    },
    /// Two nodes have one id, or one address.
    #[error("two nodes have the {what} {value} (the second: {origin})")]
    Duplicate {
        /// What must be different.
        what: &'static str,
        /// The value that occurs twice.
        value: String,
        /// Where the second one is.
        origin: String,
    },
    /// Two nodes have one address, written in two ways.
    #[error(
        "{first} and {second} are one address, and every node needs its own (the second: {origin})"
    )]
    SameAddress {
        /// As it is written first.
        first: String,
        /// As it is written then.
        second: String,
        /// Where the second one is.
        origin: String,
    },
    /// `RUST_LOG` is mistyped.
    #[error("the environment variable RUST_LOG is {value:?}, and {what}")]
    LogFilter {
        /// Its value.
        value: String,
        /// What is wrong with it, and what to write.
        what: String,
    },
    /// Other machines may reach a listener, and the configuration does not allow that.
    #[error(
        "{key} is {address:?} ({origin}), which other machines may reach, and nothing there is \
         encrypted; listen.insecure = true allows it"
    )]
    Reachable {
        /// The address's name in the file.
        key: String,
        /// The address.
        address: String,
        /// Where it is.
        origin: String,
    },
    /// The node would take one address twice.
    #[error("node {id} would listen on {address} for clients and for the other nodes")]
    ListensTwice {
        /// The node.
        id: u64,
        /// The address.
        address: String,
    },
    /// `--id` names a node that is not listed.
    #[error("node {id} is not listed in [[nodes]] ({origin}); the listed ids are {listed}")]
    UnknownNode {
        /// The id of `--id`.
        id: u64,
        /// Where the list is.
        origin: String,
        /// The ids that are listed.
        listed: String,
    },
}
