//! Measures the cost of a row in the log and in the chat's tables, in the given directory.
//!
//! `cargo run --release -p chat-store --example measure -- some/empty/directory`

use futures::executor::block_on;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_proto::storage::v1 as proto;
use chat_proto::storage::v1::command::Operation;
use chat_store::{
    ChainValue, ChatReader, ChatState, CommitLog, CommittedEntry, Entry, InboxQuery, LogIndex,
    Payload, Position, ReadLimits, Term, Writes,
};
use prost::Message as _;

/// Longer than the measurements take.
const LIFETIME: proto::SessionLifetime = proto::SessionLifetime {
    idle_seconds: u32::MAX,
    absolute_seconds: u32::MAX,
};

/// About the size of one chat message as a command.
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
    change_old(&directory.join("state-old"));
    read_inboxes(&directory.join("state-inboxes"));
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
        block_on(log.write_and_sync(&writes)).expect("the log is written");
        took.push(start.elapsed());
    }
    report(&format!("append in batches of {batch}"), rows, took);

    let start = Instant::now();
    let read =
        block_on(log.read(LogIndex(0), LogIndex(rows), ReadLimits::NONE)).expect("the log is read");
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
    block_on(state.apply(&users)).expect("the accounts are created");
    block_on(state.commit()).expect("the accounts are committed");
    let mut random = fastrand::Rng::with_seed(1);
    let mut took = Vec::new();
    for first in (USERS + 1..=USERS + rows).step_by(batch as usize) {
        let entries: Vec<_> = (first..first + batch)
            .map(|index| send_message(index, &mut random))
            .collect();
        let start = Instant::now();
        block_on(state.apply(&entries)).expect("the messages are applied");
        if commit_each {
            block_on(state.commit()).expect("the messages are committed");
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

/// How many messages one user has, while other users have as many together.
const INBOX: usize = 32_768;

/// The cost of reading and deleting in a large inbox among others, and of deleting its account.
fn change_old(directory: &Path) {
    let (mut state, _reader) = ChatState::open(directory).expect("the tables open");
    let mut random = fastrand::Rng::with_seed(2);
    let (mut ids, mut next) = fill_inbox(&mut state, &mut random);
    for (count, entries) in [(1, 1024), (500, 16)] {
        for (kind, operation) in [
            ("read", read as fn(Vec<String>) -> Operation),
            ("delete", delete),
        ] {
            let mut took = Vec::new();
            for chunk in ids.chunks(count).take(entries) {
                let entry = entry(next, operation(chunk.to_vec()));
                let start = Instant::now();
                block_on(state.apply(&[entry])).expect("it is applied");
                took.push(start.elapsed());
                next += 1;
            }
            let rows = (count * entries) as u64;
            report(&format!("{kind} {count} an entry"), rows, took);
        }
        ids.drain(..count * entries);
    }
    let end = proto::DeleteUser {
        session: Some(session(1)),
    };
    let start = Instant::now();
    block_on(state.apply(&[entry(next, Operation::DeleteUser(end))])).expect("it is applied");
    report("delete an account", 1, vec![start.elapsed()]);
    next += 1;
    let mut took = Vec::new();
    for _ in 0..64 {
        let entries: Vec<_> = (next..next + 64)
            .map(|index| {
                let (id, recipient) = (message_id(&mut random), random.u64(2..=USERS));
                send(index, &mut random, id, recipient)
            })
            .collect();
        next += 64;
        let start = Instant::now();
        block_on(state.apply(&entries)).expect("the messages are applied");
        took.push(start.elapsed());
    }
    report(
        "apply in batches of 64 while its inbox is deleted",
        64 * 64,
        took,
    );
}

/// Sends every other message to the first user. Returns their ids, shuffled, and the next index.
fn fill_inbox(state: &mut ChatState, random: &mut fastrand::Rng) -> (Vec<String>, u64) {
    let users: Vec<_> = (1..=USERS).map(create_user).collect();
    block_on(state.apply(&users)).expect("the accounts are created");
    let mut ids = Vec::new();
    let mut next = USERS + 1;
    while ids.len() < INBOX {
        let mut entries = Vec::new();
        for index in next..next + 256 {
            let id = message_id(random);
            let recipient = if index % 2 == 0 {
                ids.push(id.clone());
                1
            } else {
                random.u64(2..=USERS)
            };
            entries.push(send(index, random, id, recipient));
        }
        block_on(state.apply(&entries)).expect("the messages are applied");
        next += 256;
    }
    block_on(state.commit()).expect("the messages are committed");
    random.shuffle(&mut ids);
    (ids, next)
}

/// How many unread messages a large inbox has, and a small one.
const UNREAD: [u64; 2] = [300_000, 20];
/// How often each is read, one after the other.
const LOOKS: u64 = 500;

/// The cost of a page of 20 messages and of a login, by the number of unread messages.
fn read_inboxes(directory: &Path) {
    let (mut state, reader) = ChatState::open(directory).expect("the tables open");
    let mut random = fastrand::Rng::with_seed(3);
    let users: Vec<_> = (1..=USERS).map(create_user).collect();
    block_on(state.apply(&users)).expect("the accounts are created");
    let mut next = USERS + 1;
    for (recipient, unread) in (1..).zip(UNREAD) {
        for _ in 0..unread {
            let id = message_id(&mut random);
            let message = send(next, &mut random, id, recipient);
            block_on(state.apply(&[message])).expect("a message is applied");
            next += 1;
        }
    }
    block_on(state.commit()).expect("the messages are committed");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut pages = [Vec::new(), Vec::new()];
    let mut logins = [Vec::new(), Vec::new()];
    for _ in 0..LOOKS {
        for (inbox, user) in (1..=UNREAD.len() as u64).enumerate() {
            let start = Instant::now();
            runtime.block_on(page(&reader, user));
            pages[inbox].push(start.elapsed());
            let login = proto::CreateSession {
                username: username(user),
                credential: session(user).credential,
                token_hash: token_hash(next),
                lifetime: Some(LIFETIME),
                password_hash: String::new(),
            };
            let entry = entry(next, Operation::CreateSession(login));
            next += 1;
            let start = Instant::now();
            block_on(state.apply(&[entry])).expect("the login is applied");
            logins[inbox].push(start.elapsed());
        }
    }
    for (what, took) in [("page of 20", pages), ("login", logins)] {
        for (unread, took) in UNREAD.into_iter().zip(took) {
            report(&format!("{what} with {unread} unread"), LOOKS, took);
        }
    }
}

async fn page(reader: &ChatReader, user: u64) {
    let mut snapshot = reader.begin().await.expect("reading begins");
    let token: Vec<u8> = token_hash(user).to_vec();
    let token = token.try_into().expect("32 bytes");
    let session = snapshot.session(&token).await.expect("it is read");
    let session = session.expect("it is valid");
    let query = InboxQuery {
        limit: 20,
        ..InboxQuery::default()
    };
    let page = snapshot.inbox(&session, query).await.expect("it is read");
    assert_eq!(page.messages.len(), 20);
    let unread = snapshot.unread_count(&session).await.expect("it is read");
    assert_eq!(
        unread,
        UNREAD[usize::try_from(user).expect("it is small") - 1]
    );
}

fn read(message_ids: Vec<String>) -> Operation {
    Operation::ReadMessages(proto::ReadMessages {
        session: Some(session(1)),
        message_ids,
    })
}

fn delete(message_ids: Vec<String>) -> Operation {
    Operation::DeleteMessages(proto::DeleteMessages {
        session: Some(session(1)),
        message_ids,
    })
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

fn create_user(index: u64) -> CommittedEntry {
    let user = proto::CreateUser {
        username: username(index),
        password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2g".to_owned(),
        token_hash: token_hash(index),
        lifetime: Some(LIFETIME),
    };
    entry(index, Operation::CreateUser(user))
}

fn send_message(index: u64, random: &mut fastrand::Rng) -> CommittedEntry {
    let (id, recipient) = (message_id(random), random.u64(1..=USERS));
    send(index, random, id, recipient)
}

/// From any user but the first.
fn send(index: u64, random: &mut fastrand::Rng, id: String, recipient: u64) -> CommittedEntry {
    let session = session(random.u64(2..=USERS));
    let message = proto::SendMessage {
        token_hash: session.token_hash,
        credential: session.credential,
        message_id: id,
        sender: session.username,
        recipient: username(recipient),
        body: "x".repeat(100),
    };
    entry(index, Operation::SendMessage(message))
}

fn session(user: u64) -> proto::Session {
    proto::Session {
        token_hash: token_hash(user),
        username: username(user),
        credential: Some(proto::Credential {
            incarnation: user,
            version: user,
        }),
    }
}

fn username(user: u64) -> String {
    format!("user-{user:05}")
}

fn message_id(random: &mut fastrand::Rng) -> String {
    let id = random.u128(..);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        id as u32,
        (id >> 32) as u16,
        (id >> 48) & 0xfff,
        (id >> 60) & 0xfff,
        id >> 80
    )
}

fn entry(index: u64, operation: Operation) -> CommittedEntry {
    let command = proto::Command {
        request_id: u128::from(index).to_be_bytes().to_vec().into(),
        time: index as f64,
        operation: Some(operation),
    };
    CommittedEntry {
        index: LogIndex(index),
        term: Term(1),
        chain: ChainValue([1; 16]),
        command: Some(command.encode_to_vec().into()),
    }
}

fn token_hash(user: u64) -> Bytes {
    let mut hash = vec![0; 24];
    hash.extend(user.to_be_bytes());
    hash.into()
}
