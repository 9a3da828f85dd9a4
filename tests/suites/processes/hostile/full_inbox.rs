//! An account with 100,000 unread messages, whose owner reads pages and logs in without end.
//!
//! The messages are written into the logs of nodes that do not run, as if a leader had appended them
//! right before all were killed: the next leader commits them, and every node applies them.

use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use chat_consensus::{Entry, LogIndex, NodeId, Payload, Position, Writes};
use chat_log::{Options, ReadLimits, SegmentLog};
use chat_proto::storage::v1 as storage;
use chat_proto::storage::v1::command::Operation;
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::plain_request::PlainClient;
use chat_tests::processes::request_json;
use chat_tests::processes::waiting::{until, within};
use prost::Message as _;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::attacks::FULL_INBOX;
use super::limits::{ALONE, LIMIT, raise_file_limit};
use super::logins::digest;
use super::measuring::{Account, Fixture, Sideline, serve_until};

const UNREAD: u64 = 100_000;
const OWNER: &str = "collector";
/// Pages that the owner looks at before anything is measured.
const PAGES_FIRST: usize = 100;
/// Entries that are written at once.
const BATCH: u64 = 4_096;

/// The log has a few entries before.
const READ_LIMITS: ReadLimits = ReadLimits {
    entries_max: 1_000,
    bytes_max: 1 << 20,
};

/// Whose inbox is filled, as the log knows it.
struct Owner {
    token_hash: Bytes,
    credential: storage::Credential,
    /// By the leader's clock, when the account was created.
    time: f64,
}

impl Owner {
    /// Finds the account among the log's entries.
    fn among(entries: &[Entry]) -> Option<Self> {
        entries.iter().find_map(|entry| {
            let Payload::Command(command) = &entry.payload else {
                return None;
            };
            let command = storage::Command::decode(command.clone()).ok()?;
            let Some(Operation::CreateUser(user)) = command.operation else {
                return None;
            };
            let index = entry.position.index.0;
            (user.username == OWNER).then_some(Self {
                token_hash: user.token_hash,
                credential: storage::Credential {
                    incarnation: index,
                    version: index,
                },
                time: command.time,
            })
        })
    }

    /// The message with that number, from the owner to himself; the same on every node.
    fn message(&self, number: u64) -> Bytes {
        let id = Uuid::from_u64_pair(0x0000_0000_0000_4000, 1 << 63 | number);
        let message = storage::SendMessage {
            token_hash: self.token_hash.clone(),
            credential: Some(self.credential),
            message_id: id.to_string(),
            sender: OWNER.to_owned(),
            recipient: OWNER.to_owned(),
            body: "unread".to_owned(),
        };
        let command = storage::Command {
            request_id: Bytes::copy_from_slice(id.as_bytes()),
            time: self.time,
            operation: Some(Operation::SendMessage(message)),
        };
        command.encode_to_vec().into()
    }
}

/// Appends the messages to the log of a node that does not run; returns where it ended before.
fn append_messages(node: NodeId, directory: &Path) -> Position {
    let options = Options::new(node);
    let opened = SegmentLog::open_folder(&directory.join("log"), options, || fastrand::u128(..));
    let (mut log, opened) = opened.unwrap();
    let last = opened.stored.last;
    let entries = log.reader().read(LogIndex(0), last.index, READ_LIMITS);
    let owner = Owner::among(&entries.unwrap()).unwrap();
    for first in (1..=UNREAD).step_by(usize::try_from(BATCH).unwrap()) {
        let numbers = first..(first + BATCH).min(UNREAD + 1);
        let entry = |number| Entry {
            position: Position::new(last.index.0 + number, last.term.0),
            payload: Payload::Command(owner.message(number)),
        };
        let writes = Writes {
            entries: numbers.map(entry).collect(),
            ..Writes::default()
        };
        log.append_and_sync(&writes).unwrap();
    }
    log.close().unwrap();
    last
}

/// Stops all nodes, fills the inbox in every log, and starts them again.
async fn fill_inbox(cluster: &mut Cluster) {
    until("every log ends at one place", async || {
        let statuses = cluster.statuses().await;
        let ends: Vec<u64> = statuses.iter().map(|status| status.last_index).collect();
        let same = ends.windows(2).all(|pair| pair[0] == pair[1]);
        let all = ends.len() == cluster.ids().len();
        (same && all)
            .then_some(())
            .ok_or_else(|| format!("{ends:?}"))
    })
    .await;
    cluster.kill_all();
    let mut writing = JoinSet::new();
    for id in cluster.ids() {
        let directory: PathBuf = cluster.data(id);
        writing.spawn_blocking(move || append_messages(id, &directory));
    }
    let ends = writing.join_all().await;
    assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{ends:?}");
    cluster.start_all();
    cluster.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owner_of_100_000_unread_messages_costs_no_more_than_others() {
    let _alone = ALONE.lock().await;
    within(LIMIT, async {
        raise_file_limit();
        let mut cluster = Cluster::start(3).await;
        let fixture = Fixture::new(&cluster).await;
        let digest = digest();
        let client =
            PlainClient::connect(cluster.client_address(cluster.leader().await.node)).await;
        let request = request_json::create_user(OWNER, &digest);
        let reply = client
            .execute_until_available(&request, None)
            .await
            .unwrap();
        let token = reply["token"].as_str().unwrap().to_owned();
        drop(client);
        let begun = Instant::now();
        fill_inbox(&mut cluster).await;
        let filled = begun.elapsed();
        let leader = cluster.leader().await.node;
        let client = PlainClient::connect(cluster.client_address(leader)).await;
        let request = request_json::login(OWNER, &digest);
        let reply = client
            .execute_until_available(&request, None)
            .await
            .unwrap();
        assert_eq!(reply["unread"], UNREAD, "{reply}");
        println!("{UNREAD} unread messages were there after {filled:?}");
        let account = Account {
            username: OWNER,
            digest,
            token,
        };
        // What nodes have left to do after so many messages is no attack.
        let looking = async {
            for _ in 0..PAGES_FIRST {
                let request = request_json::get_messages(OWNER);
                let reply = client
                    .execute_until_available(&request, Some(&account.token))
                    .await;
                assert_eq!(reply.unwrap()["unread"], UNREAD);
            }
        };
        let (seen, ()) = serve_until(&fixture, looking).await;
        seen.check("a full inbox");
        let sideline = Sideline::new(&fixture).await;
        sideline
            .judge(&mut cluster, &fixture, FULL_INBOX, &account)
            .await;
    })
    .await;
}
