//! What a node is told before it starts: defaults, then a TOML file, then the environment, then
//! flags. Whatever is wrong is said in one sentence, and nothing has been changed by then.

mod sentence;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

/// `CHAT_SERVER_TIMING__HEARTBEAT_MS` is `heartbeat_ms` of `[timing]`.
const ENVIRONMENT_PREFIX: &str = "CHAT_SERVER_";

/// A cluster of more has no use here: every write waits for a majority.
const NODES_MAX: usize = 7;

/// Anything shorter signs people out while they write.
const SESSION_SECONDS_MIN: u64 = 5 * 60;
/// Ten years; anything longer is a mistake.
const SESSION_SECONDS_MAX: u64 = 10 * 365 * 24 * 60 * 60;

/// Everything that can be configured. Every table refuses keys that it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the node keeps its data.
    pub storage: Storage,
    /// Where this node listens, if not at its own addresses in `nodes`.
    pub listen: Listen,
    /// How patient the replica is.
    pub timing: Timing,
    /// What a password costs.
    pub passwords: Passwords,
    /// How long somebody stays signed in.
    pub sessions: Sessions,
    /// The threads that serve.
    pub runtime: Runtime,
    /// Every node of the cluster, this one too.
    pub nodes: Vec<Node>,
}

/// Where the node keeps its data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// The node's own directory if it ends in `node-<id>`, else the folder of such directories.
    pub directory: PathBuf,
}

/// Where this node listens, if not at its own addresses in `nodes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// For clients; host and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// For the other nodes; host and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

/// How patient the replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// A leader lets everybody hear from it this often.
    pub heartbeat_ms: u64,
    /// The shortest time without a leader before a node stands; the longest is twice that.
    pub election_timeout_ms: u64,
}

/// What a password costs: Argon2id's parameters, not below OWASP's minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passwords {
    /// Memory for one hash.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub iterations: u32,
    /// Lanes that memory is divided into.
    pub parallelism: u32,
}

/// How long somebody stays signed in. A session keeps what the leader's configuration said when it
/// began, on every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// A session that is not used for so long ends; up to a sixteenth earlier.
    pub idle_seconds: u32,
    /// A session ends so long after it began.
    pub absolute_seconds: u32,
}

/// The threads that serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// For network and requests; disks and passwords have threads of their own. One serves tens of
    /// thousands of requests a second; more help only where a node has cores to itself.
    pub worker_threads: usize,
}

/// A node of the cluster, as the others and the clients find it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Never 0.
    pub id: u64,
    /// Where clients dial it; host and port.
    pub client_address: String,
    /// Where this node dials it; host and port.
    pub peer_address: String,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("data"),
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat_ms: 100,
            election_timeout_ms: 400,
        }
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::MINIMUM
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            idle_seconds: 30 * 24 * 60 * 60,
            absolute_seconds: 180 * 24 * 60 * 60,
        }
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self { worker_threads: 1 }
    }
}

impl Passwords {
    /// OWASP's minimum for Argon2id.
    pub const MINIMUM: Self = Self {
        memory_kib: 19_456,
        iterations: 2,
        parallelism: 1,
    };

    /// Beyond this a mistyped number would take the machine down with the first login.
    const MAXIMUM: Self = Self {
        memory_kib: 1_048_576,
        iterations: 16,
        parallelism: 16,
    };
}

/// What flags say; each one replaces what file and environment say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `storage.directory`.
    pub directory: Option<PathBuf>,
    /// `listen.client`.
    pub listen_client: Option<String>,
    /// `listen.peer`.
    pub listen_peer: Option<String>,
}

/// Why a configuration cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is not there, or is not readable.
    #[error("the configuration file {path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// A key or a value that is not understood.
    #[error("{0}")]
    Malformed(String),
    /// A value outside its bounds.
    #[error("{key} is {value}, and must be {bounds}")]
    OutOfBounds {
        /// Its name in the file.
        key: &'static str,
        /// What was found.
        value: u64,
        /// What is allowed.
        bounds: String,
    },
    /// There is nothing in `[[nodes]]`, or too much.
    #[error("[[nodes]] lists {found} nodes, and must list 1 to 7")]
    NodeCount {
        /// How many there are.
        found: usize,
    },
    /// Two nodes have one id, or one address.
    #[error("two nodes have the {what} {value}")]
    Duplicate {
        /// What must be different.
        what: &'static str,
        /// The value that occurs twice.
        value: String,
    },
    /// Something that should be `host:port` is not.
    #[error("{key} is {value:?}, and must be a host and a port, such as \"127.0.0.1:7401\"")]
    Address {
        /// Its name in the file.
        key: String,
        /// What was found.
        value: String,
    },
    /// `--id` names a node that is not listed.
    #[error("node {id} is not listed in [[nodes]]; the listed ids are {listed}")]
    UnknownNode {
        /// What was asked for.
        id: u64,
        /// What there is.
        listed: String,
    },
}

impl Config {
    /// Reads and checks the configuration of node `id`.
    ///
    /// # Errors
    ///
    /// See [`ConfigError`]; each is one sentence.
    pub fn load(id: u64, file: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        let environment = Env::prefixed(ENVIRONMENT_PREFIX).split("__");
        if let Err(error) = std::fs::read_to_string(file) {
            return Err(ConfigError::Unreadable {
                path: file.to_owned(),
                reason: error.to_string(),
            });
        }
        let mut layers = Figment::from(Serialized::defaults(Self::default()))
            .merge(Toml::file_exact(file))
            .merge(environment);
        let flags = [
            (
                "storage.directory",
                overrides
                    .directory
                    .as_ref()
                    .map(|path| path.display().to_string()),
            ),
            ("listen.client", overrides.listen_client.clone()),
            ("listen.peer", overrides.listen_peer.clone()),
        ];
        for (key, value) in flags {
            if let Some(value) = value {
                layers = layers.merge(Serialized::default(key, value));
            }
        }
        let config: Self = layers
            .extract()
            .map_err(|error| ConfigError::Malformed(sentence::describe(&error)))?;
        config.check(id)?;
        Ok(config)
    }

    /// The entry of node `id`; `None` for one that [`Config::load`] has not been asked about.
    pub fn node(&self, id: u64) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// The directory of node `id` alone.
    pub fn data_directory(&self, id: u64) -> PathBuf {
        let own = format!("node-{id}");
        if self
            .storage
            .directory
            .file_name()
            .is_some_and(|name| name == own.as_str())
        {
            self.storage.directory.clone()
        } else {
            self.storage.directory.join(own)
        }
    }

    fn check(&self, id: u64) -> Result<(), ConfigError> {
        self.check_nodes()?;
        self.check_timing()?;
        self.check_passwords()?;
        self.check_sessions()?;
        within(
            "runtime.worker_threads",
            self.runtime.worker_threads as u64,
            1,
            64,
        )?;
        if self.node(id).is_none() {
            let ids: Vec<String> = self.nodes.iter().map(|node| node.id.to_string()).collect();
            return Err(ConfigError::UnknownNode {
                id,
                listed: ids.join(", "),
            });
        }
        Ok(())
    }

    fn check_nodes(&self) -> Result<(), ConfigError> {
        let found = self.nodes.len();
        if found == 0 || found > NODES_MAX {
            return Err(ConfigError::NodeCount { found });
        }
        let mut ids = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        for node in &self.nodes {
            within("the id of a node", node.id, 1, u64::MAX)?;
            if !ids.insert(node.id) {
                return Err(duplicate("id", &node.id.to_string()));
            }
            for (name, address) in [
                ("client_address", &node.client_address),
                ("peer_address", &node.peer_address),
            ] {
                check_address(format!("{name} of node {}", node.id), address)?;
                if !addresses.insert(address) {
                    return Err(duplicate("address", address));
                }
            }
        }
        for (key, address) in [
            ("listen.client", &self.listen.client),
            ("listen.peer", &self.listen.peer),
        ] {
            if let Some(address) = address {
                check_address(key.to_owned(), address)?;
            }
        }
        Ok(())
    }

    fn check_timing(&self) -> Result<(), ConfigError> {
        let Timing {
            heartbeat_ms,
            election_timeout_ms,
        } = self.timing;
        within("timing.heartbeat_ms", heartbeat_ms, 10, 10_000)?;
        let shortest = heartbeat_ms.saturating_mul(3).max(30);
        within(
            "timing.election_timeout_ms",
            election_timeout_ms,
            shortest,
            60_000,
        )
    }

    fn check_sessions(&self) -> Result<(), ConfigError> {
        let Sessions {
            idle_seconds,
            absolute_seconds,
        } = self.sessions;
        within(
            "sessions.idle_seconds",
            idle_seconds.into(),
            SESSION_SECONDS_MIN,
            SESSION_SECONDS_MAX,
        )?;
        within(
            "sessions.absolute_seconds",
            absolute_seconds.into(),
            idle_seconds.into(),
            SESSION_SECONDS_MAX,
        )
    }

    fn check_passwords(&self) -> Result<(), ConfigError> {
        let (least, most) = (Passwords::MINIMUM, Passwords::MAXIMUM);
        let bounds = [
            (
                "passwords.memory_kib",
                self.passwords.memory_kib,
                least.memory_kib,
                most.memory_kib,
            ),
            (
                "passwords.iterations",
                self.passwords.iterations,
                least.iterations,
                most.iterations,
            ),
            (
                "passwords.parallelism",
                self.passwords.parallelism,
                least.parallelism,
                most.parallelism,
            ),
        ];
        for (key, value, least, most) in bounds {
            within(key, value.into(), least.into(), most.into())?;
        }
        Ok(())
    }
}

impl Timing {
    /// How often a leader is heard.
    pub fn heartbeat_interval(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    /// How long nothing is heard before a node stands.
    pub fn election_timeout(&self) -> Duration {
        Duration::from_millis(self.election_timeout_ms)
    }
}

fn within(key: &'static str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let bounds = if most == u64::MAX {
        format!("at least {least}")
    } else {
        format!("{least} to {most}")
    };
    Err(ConfigError::OutOfBounds { key, value, bounds })
}

fn duplicate(what: &'static str, value: &str) -> ConfigError {
    ConfigError::Duplicate {
        what,
        value: value.to_owned(),
    }
}

fn check_address(key: String, address: &str) -> Result<(), ConfigError> {
    let valid = address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    if valid {
        return Ok(());
    }
    Err(ConfigError::Address {
        key,
        value: address.to_owned(),
    })
}

#[cfg(test)]
mod tests;
