//! Prints what a row costs in the log and in the chat's tables, in the directory that is named.
//!
//! `cargo run --release -p chat-store --example measure -- some/empty/directory`

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_proto::storage::v1 as proto;
use chat_proto::storage::v1::command::Operation;
use chat_store::{
    AppliedEntry, ChatState, CommitLog, Entry, LogIndex, Payload, Position, Term, Writes,
};
use prost::Message as _;

/// About what one chat message takes as a command.
const COMMAND_BYTES: usize = 256;
const ROWS: u64 = 65_536;
const USERS: u64 = 1_000;

fn main() {
    let directory = std::env::args().nth(1).expect("usage: measure <directory>");
    let directory = Path::new(&directory);
    for batch in [1, 64, 256, 2048] {
        append(&directory.join(format!("log-{batch}")), batch);
    }
    for batch in [1, 64, 256, 2048] {
        apply(&directory.join(format!("state-{batch}")), batch, false);
    }
    apply(&directory.join("state-committed"), 64, true);
}

fn append(directory: &Path, batch: u64) {
    let rows = if batch == 1 { ROWS / 8 } else { ROWS };
    let (mut log, stored) = CommitLog::open(directory).expect("the log opens");
    assert_eq!(stored.last, Position::ZERO, "the directory must be empty");
    let mut took = Vec::new();
    for first in (1..=rows).step_by(batch as usize) {
        let entry = |index| Entry {
            position: Position::new(index, 1),
            payload: Payload::Command(Bytes::from(vec![index as u8; COMMAND_BYTES])),
        };
        let entries = (first..first + batch).map(entry).collect();
        let writes = Writes {
            entries,
            ..Writes::default()
        };
        let start = Instant::now();
        log.write_and_sync(&writes).expect("the log is written");
        took.push(start.elapsed());
    }
    report(&format!("append in batches of {batch}"), rows, took);

    let start = Instant::now();
    let read = log
        .read(LogIndex(0), LogIndex(rows), usize::MAX)
        .expect("the log is read");
    let took = start.elapsed();
    println!("  read: {:.2} us a row", micros(took) / read.len() as f64);
    println!(
        "  size: {} bytes a row",
        log.size_on_disk().expect("the log has a size") / rows
    );
    log.close().expect("the log closes");
    let start = Instant::now();
    CommitLog::open(directory).expect("the log opens");
    println!(
        "  open: {:.2} us a row",
        micros(start.elapsed()) / rows as f64
    );
}

fn apply(directory: &Path, batch: u64, commit_each: bool) {
    let rows = if batch == 1 { ROWS / 8 } else { ROWS };
    let (mut state, _reader) = ChatState::open(directory).expect("the tables open");
    let users: Vec<_> = (1..=USERS).map(create_user).collect();
    state.apply(&users).expect("the accounts are created");
    state.commit().expect("the accounts are committed");
    let mut random = fastrand::Rng::with_seed(1);
    let mut took = Vec::new();
    for first in (USERS + 1..=USERS + rows).step_by(batch as usize) {
        let entries: Vec<_> = (first..first + batch)
            .map(|index| send_message(index, &mut random))
            .collect();
        let start = Instant::now();
        state.apply(&entries).expect("the messages are applied");
        if commit_each {
            state.commit().expect("the messages are committed");
        }
        took.push(start.elapsed());
    }
    let committed = if commit_each { ", each committed" } else { "" };
    report(
        &format!("apply in batches of {batch}{committed}"),
        rows,
        took,
    );
}

fn report(what: &str, rows: u64, mut took: Vec<Duration>) {
    took.sort();
    let total: Duration = took.iter().sum();
    let at = |share: usize| micros(took[(took.len() - 1) * share / 100]);
    println!(
        "{what}: {:.1} us a row; a batch p50 {:.0}, p99 {:.0}, max {:.0} us",
        micros(total) / rows as f64,
        at(50),
        at(99),
        at(100),
    );
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn create_user(index: u64) -> AppliedEntry {
    let user = proto::CreateUser {
        username: format!("user-{index:05}"),
        password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2g".to_owned(),
        token_hash: token_hash(index),
        lifetime: Some(proto::SessionLifetime {
            idle_seconds: u32::MAX,
            absolute_seconds: u32::MAX,
        }),
    };
    entry(index, Operation::CreateUser(user))
}

fn send_message(index: u64, random: &mut fastrand::Rng) -> AppliedEntry {
    let sender = random.u64(1..=USERS);
    let id = random.u128(..);
    let message = proto::SendMessage {
        token_hash: token_hash(sender),
        credential: Some(proto::Credential {
            incarnation: sender,
            version: sender,
        }),
        message_id: format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            id as u32,
            (id >> 32) as u16,
            (id >> 48) & 0xfff,
            (id >> 60) & 0xfff,
            id >> 80
        ),
        sender: format!("user-{sender:05}"),
        recipient: format!("user-{:05}", random.u64(1..=USERS)),
        body: "x".repeat(100),
    };
    entry(index, Operation::SendMessage(message))
}

fn entry(index: u64, operation: Operation) -> AppliedEntry {
    let command = proto::Command {
        request_id: u128::from(index).to_be_bytes().to_vec().into(),
        time: index as f64,
        operation: Some(operation),
    };
    AppliedEntry {
        index: LogIndex(index),
        term: Term(1),
        command: Some(command.encode_to_vec().into()),
    }
}

fn token_hash(user: u64) -> Bytes {
    let mut hash = vec![0; 24];
    hash.extend(user.to_be_bytes());
    hash.into()
}
