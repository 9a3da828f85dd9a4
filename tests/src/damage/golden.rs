//! A healthy cluster with a history, and copies of its nodes' directories at some moments of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chat_client::{ChatClient, OutgoingMessage, Sent};
use chat_consensus::NodeId;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::damage::facts::{Account, Facts};
use crate::damage::tree;
use crate::processes::cluster::Cluster;
use crate::processes::history::Letter;
use crate::processes::waiting::until;

const NODES: u64 = 3;
/// Without the wrong passwords of the rounds: each other warning is a report of a damage.
const LOG_FILTER: &str = "info,chat_server::auth=error";
const NAMES: [&str; 4] = ["ann", "ben", "cid", "dee"];
/// Requests under way at the same time, for which the disks sync together.
const SENDERS: usize = 16;
/// In each phase of the history; some hundreds in all.
const MESSAGES: usize = 120;
/// While one node is paused.
const MESSAGES_WITHOUT_ONE: usize = 40;
/// Of each inbox and in each phase.
const READ_OR_DELETED: usize = 6;
/// One text in so many is long. The texts together are longer than a few small segments, and are read
/// from every node in every round.
const LONG_ONE_IN: usize = 16;
const LONG_BYTES_MAX: usize = 6_000;
const SHORT_BYTES_MAX: usize = 800;

/// After the last write of a log it takes a second until the node notes how far its log had been
/// synced. Damages of what was written later are believed: no node can know better
/// (`docs/storage.md`). After so long without a write to any file the note is there.
const QUIET: Duration = Duration::from_millis(1_400);

/// What makes logs short, so that there are several segments and snapshots: lines of the
/// configuration that follow the key `directory` of the section `[storage]`. The timing is more patient
/// than the default one: beside a compiler on two cores nodes with 400 ms elect for half a minute.
fn small_limits() -> &'static str {
    "segment_bytes = 32768\n\
     snapshot_log_bytes = 65536\n\
     kept_entries = 150\n\
     kept_bytes = 131072\n\n\
     [timing]\n\
     heartbeat_ms = 200\n\
     election_timeout_ms = 1000\n\n"
}

/// Copies of the directories of all nodes at one moment, in which all of them had ended.
#[derive(Debug)]
pub struct Golden {
    /// How they had ended.
    pub name: &'static str,
    /// What clients knew then.
    pub facts: Facts,
    /// The storage id of each node.
    pub storage_ids: BTreeMap<NodeId, String>,
    folder: PathBuf,
}

/// A cluster and the copies from its history.
#[derive(Debug)]
pub struct Goldens {
    /// The cluster, none of whose nodes runs between two rounds.
    pub cluster: Cluster,
    copies: Vec<Golden>,
    old: PathBuf,
    _home: TempDir,
}

/// The cluster while its history is made.
struct Author {
    cluster: Cluster,
    client: ChatClient,
    facts: Facts,
    written: usize,
    home: PathBuf,
}

impl Golden {
    /// The directory of a node.
    pub fn data(&self, node: NodeId) -> PathBuf {
        node_folder(&self.folder, node)
    }
}

impl Goldens {
    /// Makes the history, and copies from it.
    ///
    /// # Panics
    ///
    /// When the cluster does not serve.
    pub async fn build() -> Self {
        let home = tempfile::Builder::new().prefix("chat-damage-").tempdir();
        let home = home.expect("a temporary folder can be made");
        let cluster = Cluster::start_with(NODES, LOG_FILTER, small_limits()).await;
        let mut author = Author {
            client: cluster.client(),
            cluster,
            facts: Facts::default(),
            written: 0,
            home: home.path().to_path_buf(),
        };
        author.sign_up().await;
        author.write(MESSAGES).await;
        author.read_and_delete().await;
        author.change_password("ann").await;
        author.kill_all().await;
        let old = author.copy("old");

        let mut copies = Vec::new();
        author.restart().await;
        author.write(MESSAGES).await;
        author.read_and_delete().await;
        author.change_password("ben").await;
        copies.push(author.killed_in_a_burst().await);
        author.restart().await;
        author.write(MESSAGES).await;
        author.read_and_delete().await;
        copies.push(author.killed_with_one_behind().await);
        author.restart().await;
        author.read_and_delete().await;
        copies.push(author.stopped().await);
        Self {
            cluster: author.cluster,
            copies,
            old,
            _home: home,
        }
    }

    /// How many copies there are.
    pub fn len(&self) -> usize {
        self.copies.len()
    }

    /// Whether there is no copy.
    pub fn is_empty(&self) -> bool {
        self.copies.is_empty()
    }

    /// The cluster, and a copy for it.
    pub fn parts(&mut self, number: usize) -> (&mut Cluster, &Golden) {
        (&mut self.cluster, &self.copies[number])
    }

    /// A copy.
    pub fn copy(&self, number: usize) -> &Golden {
        &self.copies[number]
    }

    /// The directory of a node earlier than in any of the copies.
    pub fn old_data(&self, node: NodeId) -> PathBuf {
        node_folder(&self.old, node)
    }
}

impl Author {
    async fn sign_up(&mut self) {
        for name in NAMES {
            let password = format!("the password of {name}");
            let session = self.client.sign_up(name, &password).await;
            let account = Account {
                session: session.expect("a healthy cluster serves"),
                password,
                former_password: None,
            };
            self.facts.accounts.insert(name.to_owned(), account);
        }
    }

    async fn change_password(&mut self, name: &str) {
        let account = &self.facts.accounts[name];
        let password = format!("another password of {name}");
        let changed = self
            .client
            .change_password(&account.session, &account.password, &password)
            .await;
        let account = Account {
            session: changed.expect("a healthy cluster serves"),
            former_password: Some(account.password.clone()),
            password,
        };
        self.facts.accounts.insert(name.to_owned(), account);
    }

    /// Sends so many messages, each of which is acknowledged.
    async fn write(&mut self, count: usize) {
        let mut left = self.letters(count);
        while !left.is_empty() {
            let now = left.split_off(left.len().saturating_sub(SENDERS));
            for (letter, sent) in self.send_all(now).join_all().await {
                let sent = sent.unwrap_or_else(|error| panic!("{letter:?}: {error}"));
                self.facts.acknowledged(letter, sent);
            }
        }
    }

    async fn read_and_delete(&mut self) {
        for name in NAMES {
            let session = &self.facts.accounts[name].session;
            let messages = self.facts.messages_of(name);
            let place = messages.len() / 3;
            let read = &messages[place..place + READ_OR_DELETED];
            let marked = self.client.mark_read(session, read).await;
            marked.expect("a healthy cluster serves");
            // One of those that were read, others that were not.
            let deleted = &messages[place + READ_OR_DELETED - 1..place + 2 * READ_OR_DELETED];
            let done = self.client.delete_messages(session, deleted).await;
            done.expect("a healthy cluster serves");
            self.facts.read(read);
            self.facts.deleted(deleted);
        }
    }

    /// All nodes are killed while messages are on their way.
    async fn killed_in_a_burst(&mut self) -> Golden {
        let storage_ids = self.storage_ids().await;
        self.quiet().await;
        let burst = self.letters(SENDERS);
        let mut sending = self.send_all(burst.clone());
        // The first is acknowledged.
        drop(sending.join_next().await);
        self.cluster.kill_all();
        drop(sending);
        // Not even those that were acknowledged must survive a damage; see `QUIET`.
        for letter in burst {
            self.facts.unknown(letter);
        }
        self.golden("killed", storage_ids)
    }

    /// All nodes are killed when one of them lacks what the two others have acknowledged. If one of
    /// these then loses it, the other is the last that has it.
    async fn killed_with_one_behind(&mut self) -> Golden {
        let storage_ids = self.storage_ids().await;
        let leader = self.cluster.settled().await.node;
        let behind = self.cluster.ids().into_iter().find(|id| *id != leader);
        let behind = behind.expect("there are three");
        self.cluster.pause(behind);
        self.write(MESSAGES_WITHOUT_ONE).await;
        self.quiet().await;
        self.cluster.kill(behind);
        self.cluster.kill_all();
        self.golden("one behind", storage_ids)
    }

    async fn stopped(&mut self) -> Golden {
        let storage_ids = self.storage_ids().await;
        let ids = self.cluster.ids();
        for ending in self.cluster.terminate(&ids).await {
            assert!(ending.success(), "a node was stopped: {ending}");
        }
        self.golden("stopped", storage_ids)
    }

    /// Waits until no file has changed for a while.
    async fn quiet(&self) {
        let directories: Vec<PathBuf> = self
            .cluster
            .ids()
            .iter()
            .map(|id| self.cluster.data(*id))
            .collect();
        until("no node writes", async || {
            let changed = directories
                .iter()
                .filter_map(|one| tree::changed(one).ok())
                .max();
            let age = changed.and_then(|changed| changed.elapsed().ok());
            match age {
                Some(age) if age >= QUIET => Ok(()),
                age => Err(format!("written {age:?} ago")),
            }
        })
        .await;
    }

    async fn kill_all(&mut self) {
        self.cluster.settled().await;
        self.cluster.kill_all();
    }

    async fn restart(&mut self) {
        self.cluster.start_all();
        self.cluster.settled().await;
    }

    fn letters(&mut self, count: usize) -> Vec<Letter> {
        let numbers = self.written..self.written + count;
        self.written += count;
        numbers.map(letter).collect()
    }

    fn send_all(
        &self,
        letters: Vec<Letter>,
    ) -> JoinSet<(Letter, Result<Sent, chat_client::ClientError>)> {
        let mut sending = JoinSet::new();
        for letter in letters {
            let client = self.client.clone();
            let session = self.facts.accounts[&letter.sender].session.clone();
            sending.spawn(async move {
                let sent = client.send_message(&session, &letter.message).await;
                (letter, sent)
            });
        }
        sending
    }

    async fn storage_ids(&self) -> BTreeMap<NodeId, String> {
        let mut ids = BTreeMap::new();
        for id in self.cluster.ids() {
            let status = self.cluster.status(id).await;
            ids.insert(id, status.expect("a healthy node replies").storage_id);
        }
        ids
    }

    fn golden(&self, name: &'static str, storage_ids: BTreeMap<NodeId, String>) -> Golden {
        Golden {
            name,
            facts: self.facts.clone(),
            storage_ids,
            folder: self.copy(name),
        }
    }

    fn copy(&self, name: &str) -> PathBuf {
        let folder = self.home.join(name);
        for id in self.cluster.ids() {
            let copied = tree::restore(&self.cluster.data(id), &node_folder(&folder, id));
            copied.expect("the directories of ended nodes can be copied");
        }
        folder
    }
}

fn node_folder(folder: &Path, node: NodeId) -> PathBuf {
    folder.join(format!("node-{}", node.0))
}

/// Texts of many lengths, none like another at any place.
fn letter(number: usize) -> Letter {
    let sender = NAMES[number % NAMES.len()];
    let recipient = NAMES[number / NAMES.len() % NAMES.len()];
    let is_long = number.is_multiple_of(LONG_ONE_IN);
    let length_max = if is_long {
        LONG_BYTES_MAX
    } else {
        SHORT_BYTES_MAX
    };
    let length = 20 + number * 977 % length_max;
    let mut body = String::new();
    for word in 0_usize.. {
        if body.len() >= length {
            break;
        }
        body.push_str(&format!("{number}.{word} from {sender} to {recipient}; "));
    }
    Letter {
        sender: sender.to_owned(),
        message: OutgoingMessage::new(recipient, body),
    }
}
