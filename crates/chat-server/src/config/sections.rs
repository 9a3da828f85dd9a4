//! The tables of the file: every key with its meaning, its type, its bounds and its default.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::schema::{Key, Table, ValueType, table};

/// Anything shorter signs people out while they write.
const SESSION_SECONDS_MIN: u64 = 5 * 60;
/// Ten years; anything longer is a mistake.
const SESSION_SECONDS_MAX: u64 = 10 * 365 * 24 * 60 * 60;

/// The tables in the order of the file, except `[[nodes]]`.
pub(super) const TABLES: [Table; 10] = [
    Cluster::TABLE,
    Storage::TABLE,
    Listen::TABLE,
    Timing::TABLE,
    Autopilot::TABLE,
    Passwords::TABLE,
    Sessions::TABLE,
    Connections::TABLE,
    Limits::TABLE,
    Runtime::TABLE,
];

table! {
    /// Which cluster the node belongs to.
    pub struct Cluster in "cluster" {
        /// A data directory keeps the name with which it was made, and is rejected under another.
        pub name: String = ValueType::Name,
        /// Lets this node form a new cluster with the others while all their disks are empty and all of
        /// them may. Without it an empty node waits for the leader of a cluster that exists, so that
        /// nodes that lost their disks, all of them too, do not begin a second one. Not needed any more
        /// once the cluster is formed.
        pub bootstrap: bool = ValueType::Switch,
    }
}

table! {
    /// Where the node keeps its data, and how much of the log it keeps. Smaller numbers are for tests:
    /// more snapshots cost processor time and writing, and a follower that was away for long needs one
    /// instead of the entries that it lacks.
    pub struct Storage in "storage" {
        /// The node's own directory if it ends in `node-N`, N being its id, else the folder of such
        /// directories. It is made when it is missing.
        pub directory: PathBuf = ValueType::Path,
        /// The size at which the log continues in a new file. Only whole files of the log are removed.
        pub segment_bytes: u64 = ValueType::number("bytes", 16 << 10, 1 << 30),
        /// A snapshot is taken when so much was applied since the last one, and no less than its size.
        pub snapshot_log_bytes: u64 = ValueType::number("bytes", 16 << 10, 1 << 40),
        /// A snapshot is also taken when what was applied since the last one is so old, and the log before it
        /// goes: what users have deleted is in no log and no snapshot after twice this time.
        pub snapshot_age_seconds: u32 = ValueType::number("seconds", 1, 31_536_000),
        /// So many of the newest entries stay in the log although a snapshot has them.
        pub kept_entries: u64 = ValueType::number("entries", 16, 1 << 30),
        /// Fewer than `kept_entries` stay if they have more than this.
        pub kept_bytes: u64 = ValueType::number("bytes", 4096, 1 << 40),
    }
}

table! {
    /// Where this node listens, if not at its own addresses in `[[nodes]]`.
    #[derive(Default)]
    pub struct Listen in "listen" {
        /// For clients.
        pub client: Option<String> = ValueType::Address,
        /// For the other nodes. Every process that reaches it is trusted.
        pub peer: Option<String> = ValueType::PeerAddress,
        /// Allows a listener that other machines reach, although nothing there is encrypted: an
        /// attacker who reads the network between can take over accounts, and one who reaches the
        /// peer listener can take over the cluster. Each start logs a warning.
        pub insecure: bool = ValueType::Switch,
    }
}

table! {
    /// Intervals and timeouts between the nodes. The same for all nodes of a cluster.
    #[derive(Copy)]
    pub struct Timing in "timing" {
        /// How often a leader sends heartbeats.
        pub heartbeat_ms: u64 = ValueType::number("milliseconds", 10, 10_000),
        /// The shortest time without a leader before a node campaigns; the longest is twice that.
        pub election_timeout_ms: u64 = ValueType::related(
            "milliseconds", 30, 60_000, "at least three times `heartbeat_ms`"
        ),
    }
}

table! {
    /// When a voter that is dead becomes a learner, so that the cluster survives the next failure, too: five
    /// nodes survive two failures at once and, a little later, a third. It becomes a voter again by itself.
    #[derive(Copy)]
    pub struct Autopilot in "autopilot" {
        /// For how long it must have made no progress.
        /// At least ten election timeouts.
        pub dead_after_seconds: u32 = ValueType::number("seconds", 10, 31_536_000),
        /// Fewer voters than this are never left.
        pub min_voters: u32 = ValueType::number("voters", 3, 256),
    }
}

table! {
    /// What a password costs: the parameters of Argon2id, not below OWASP's minimum.
    #[derive(Copy)]
    pub struct Passwords in "passwords" {
        /// Memory for one hash.
        pub memory_kib: u32 = ValueType::number(
            "KiB", Passwords::MINIMUM.memory_kib as u64, Passwords::MAXIMUM.memory_kib as u64
        ),
        /// Passes over that memory.
        pub iterations: u32 = ValueType::number(
            "passes", Passwords::MINIMUM.iterations as u64, Passwords::MAXIMUM.iterations as u64
        ),
        /// Lanes that memory is divided into.
        pub parallelism: u32 = ValueType::number(
            "lanes", Passwords::MINIMUM.parallelism as u64, Passwords::MAXIMUM.parallelism as u64
        ),
    }
}

table! {
    /// How long a user stays signed in. A session keeps the lifetime that the leader had configured when
    /// it began, on every node.
    #[derive(Copy)]
    pub struct Sessions in "sessions" {
        /// A session that is not used for so long expires; up to a sixteenth earlier.
        pub idle_seconds: u32 = ValueType::number(
            "seconds", SESSION_SECONDS_MIN, SESSION_SECONDS_MAX
        ),
        /// A session expires so long after it began.
        pub absolute_seconds: u32 = ValueType::related(
            "seconds", SESSION_SECONDS_MIN, SESSION_SECONDS_MAX, "at least `idle_seconds`"
        ),
    }
}

table! {
    /// How many connections the node holds. Together they leave files for everything else: fewer
    /// clients are served where the limit of open files, which is raised at the start, is low.
    #[derive(Copy)]
    pub struct Connections in "connections" {
        /// Of clients, from everywhere. At the limit a new connection replaces an idle one, and is
        /// rejected only if none is idle.
        pub clients_max: usize = ValueType::number("connections", 16, 16_384),
        /// Of clients, from one address; all IPv6 addresses of a /64 network are one.
        pub clients_per_source_max: usize = ValueType::number("connections", 1, 16_384),
        /// Of the other nodes and of operators.
        pub peers_max: usize = ValueType::number("connections", 16, 1_024),
        /// A client's connection is closed after so long without a request.
        pub idle_seconds: u32 = ValueType::number("seconds", 10, 86_400),
    }
}

table! {
    /// What one account, one source of requests or all together may use. Those of the leader apply, so
    /// they should be the same for all nodes of a cluster.
    #[derive(Copy)]
    pub struct Limits in "limits" {
        /// What one account may change in a second, on the average. A request counts once, and once
        /// more for each KiB of a message and for each ten ids to read or delete; reading, signing in
        /// and out, and deleting the account do not count.
        pub account_requests_per_second: u32 = ValueType::number("requests", 1, 1_000_000),
        /// What one account may change at once.
        pub account_requests_burst: u32 = ValueType::number("requests", 256, 10_000_000),
        /// What one inbox holds, read or not, and how many copies of sent messages an account has;
        /// further messages are rejected. Messages in flight when they are counted may exceed it.
        pub inbox_messages_max: u64 = ValueType::number("messages", 1, 1 << 40),
        /// While the leader's disk has less free space than this, only signing out and deleting are
        /// accepted, and below a quarter of it no change at all.
        pub free_bytes_min: u64 = ValueType::number("bytes", 0, 1 << 50),
        /// How far the leader's clock may advance the log's time beyond the time that the leader
        /// expects.
        pub clock_lead_seconds_max: u32 = ValueType::number("seconds", 60, 30 * 24 * 60 * 60),
        /// Logins that are queued for a hasher; sign-ups and changes of a password have queues of the
        /// same length. A full queue drops the newest request of the source that has the most in it.
        pub passwords_waiting_max: usize = ValueType::number("requests", 1, 65_536),
        /// Passwords that are queued or hashed for one connection; the node of that connection rejects
        /// further ones.
        pub connection_passwords_max: usize = ValueType::number("requests", 1, 4096),
        /// Wrong passwords a minute from one source, an address or the /64 of an IPv6 address, once
        /// it has sent 60: further requests of the source that need a password are delayed to this
        /// rate.
        pub source_failures_per_minute: u32 = ValueType::number("wrong passwords", 1, 60_000),
    }
}

table! {
    /// The threads that serve.
    #[derive(Copy)]
    pub struct Runtime in "runtime" {
        /// For network and requests; disks and passwords have separate threads. One serves tens
        /// of thousands of requests a second; more help only where a node has cores to itself.
        pub worker_threads: usize = ValueType::number("threads", 1, 64),
    }
}

table! {
    /// A node of the cluster, as the others and the clients find it.
    pub struct Node in "nodes" {
        /// What `--id` names; different for every node and never changed.
        pub id: u64 = ValueType::number("", 1, u64::MAX),
        /// Where clients dial it.
        pub client_address: String = ValueType::Address,
        /// Where the other nodes dial it.
        pub peer_address: String = ValueType::PeerAddress,
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            name: "chat".to_owned(),
            bootstrap: false,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("data"),
            segment_bytes: 64 << 20,
            snapshot_log_bytes: 64 << 20,
            snapshot_age_seconds: 86_400,
            kept_entries: 65_536,
            kept_bytes: 64 << 20,
        }
    }
}

impl Default for Autopilot {
    fn default() -> Self {
        Self {
            dead_after_seconds: 300,
            min_voters: 3,
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

impl Default for Connections {
    /// An idle connection takes some 20 KiB. `chat bench` opens 8 connections and the window 1 or 2,
    /// so that many people fit behind one address; a node has two connections with each other one.
    fn default() -> Self {
        Self {
            clients_max: 1_000,
            clients_per_source_max: 64,
            peers_max: 64,
            idle_seconds: 600,
        }
    }
}

impl Default for Limits {
    /// The 8 accounts of `chat bench --clients 256` make 1,300 requests a second each. 256 MiB are
    /// more than the requests in progress, SQLite and the log write between two checks.
    fn default() -> Self {
        Self {
            account_requests_per_second: 5_000,
            account_requests_burst: 10_000,
            inbox_messages_max: 2_000_000,
            free_bytes_min: 256 << 20,
            clock_lead_seconds_max: 3600,
            passwords_waiting_max: 512,
            connection_passwords_max: 32,
            source_failures_per_minute: 120,
        }
    }
}

impl Default for Runtime {
    fn default() -> Self {
        Self { worker_threads: 1 }
    }
}

impl Timing {
    /// How often a leader sends heartbeats.
    pub fn heartbeat_interval(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    /// The shortest time without a leader before a node campaigns.
    pub fn election_timeout(&self) -> Duration {
        Duration::from_millis(self.election_timeout_ms)
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
