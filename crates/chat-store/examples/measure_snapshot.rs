//! Measures what a snapshot of the chat's tables costs, in the given directory: its time, its processor
//! time, and what it does to applying beside it.
//!
//! `cargo run --release -p chat-store --example measure_snapshot -- some/empty/directory 1000000`; a
//! second run goes on with the tables of the first.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{io, thread};

use bytes::Bytes;
use chat_proto::storage::v1 as proto;
use chat_proto::storage::v1::command::Operation;
use chat_store::{
    ChainValue, ChatState, ClusterId, CommittedEntry, LogBase, LogIndex, Membership, NodeId,
    Position, StorageId, Term, Voter,
};
use futures::executor::block_on;
use prost::Message as _;

const USERS: u64 = 1_000;

/// Beside the snapshot: a batch of so many messages, committed, every so often.
const BATCH: u64 = 64;
const INTERVAL: Duration = Duration::from_millis(20);

/// How fast the copies are written, in MiB a second; 0 is as fast as possible.
const PACES: [u64; 4] = [64, 32, 16, 0];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: measure_snapshot <directory> <messages>";
    let directory = arguments.next().expect(usage);
    let directory = Path::new(&directory);
    let messages: u64 = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .expect(usage);
    let (mut state, _reader) = ChatState::open(directory).expect("the tables open");
    let mut random = fastrand::Rng::with_seed(1 + state.applied_index().0);
    fill(&mut state, messages, &mut random);
    // An interrupted run left it.
    drop(std::fs::remove_file(directory.join("copy")));
    let mut next = state.applied_index().0 + 1;
    install(&mut state, directory);
    assert_eq!(state.applied(), Position::new(next - 1, 1));
    for _ in 0..2 {
        let took = apply_for(&mut state, &mut next, &mut random, |begun| {
            begun.elapsed() < Duration::from_secs(10)
        });
        report("applying alone", took);
        for pace in PACES {
            take(&mut state, (&mut next, &mut random), pace, directory);
        }
    }
}

/// Takes a snapshot at this pace while messages are applied.
fn take(
    state: &mut ChatState,
    (next, random): (&mut u64, &mut fastrand::Rng),
    pace: u64,
    directory: &Path,
) {
    let copy = directory.join("copy");
    let begun = Instant::now();
    let writer = block_on(state.snapshot()).expect("a snapshot begins");
    println!("begun in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    let (done, waiting) = mpsc::channel();
    let path = copy.clone();
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let copying = thread::spawn(move || {
        let mut written = 0;
        let began = Instant::now();
        let copied = writer.write(&path, &mut |bytes| {
            written += bytes as u64;
            wait(pace, began, written, &path)
        });
        done.send((began.elapsed(), written))
            .expect("the result is awaited");
        copied
    });
    let mut ended = None;
    let took = apply_for(state, next, random, |_begun| {
        ended = waiting.try_recv().ok();
        ended.is_none()
    });
    copying
        .join()
        .expect("it does not panic")
        .expect("the copy is written");
    let (seconds, _written) = ended.expect("it has ended");
    let cpu = cpu_seconds() - cpu;
    let wal = std::fs::metadata(state.path().with_extension("db-wal"));
    println!(
        "pace {pace} MiB/s: {:.2} s, {} MiB; processor {cpu:.2} s with applying in {:.2} s; wal {} MiB",
        seconds.as_secs_f64(),
        std::fs::metadata(&copy).expect("the copy exists").len() >> 20,
        begun.elapsed().as_secs_f64(),
        wal.map_or(0, |wal| wal.len() >> 20),
    );
    report("  applying beside it", took);
    let took = apply_for(state, next, random, |begun| {
        begun.elapsed() < Duration::from_secs(3)
    });
    report("  applying after it", took);
    std::fs::remove_file(&copy).expect("the copy is removed");
}

/// Replaces the tables by a snapshot of themselves.
fn install(state: &mut ChatState, directory: &Path) {
    let copy = directory.join("copy");
    let writer = block_on(state.snapshot()).expect("a snapshot begins");
    let (position, chain) = (writer.position(), writer.chain());
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    writer
        .write(&copy, &mut |_bytes| Ok(()))
        .expect("the copy is written");
    println!(
        "copy alone: {:.2} s, processor {:.2} s",
        begun.elapsed().as_secs_f64(),
        cpu_seconds() - cpu
    );
    let base = LogBase {
        position,
        chain,
        membership: Membership::of_voters(
            ClusterId(1),
            vec![Voter {
                node: NodeId(1),
                storage: StorageId(1),
            }],
        ),
    };
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    block_on(state.install(&copy, &base)).expect("it is installed");
    std::fs::remove_file(&copy).expect("the copy is removed");
    println!(
        "install: {:.2} s, processor {:.2} s",
        begun.elapsed().as_secs_f64(),
        cpu_seconds() - cpu
    );
}

fn wait(pace: u64, began: Instant, written: u64, path: &Path) -> io::Result<()> {
    if written % (4 << 20) < 300 << 10 {
        std::fs::File::open(path)?.sync_data()?;
    }
    if let Some(micros) = (written * 1_000_000).checked_div(pace << 20) {
        let due = Duration::from_micros(micros);
        thread::sleep(due.saturating_sub(began.elapsed()));
    }
    Ok(())
}

/// Fills the tables up to so many messages, unless an earlier run has.
fn fill(state: &mut ChatState, messages: u64, random: &mut fastrand::Rng) {
    let begun = Instant::now();
    if state.applied_index().0 == 0 {
        let users: Vec<_> = (1..=USERS).map(create_user).collect();
        block_on(state.apply(&users)).expect("the accounts are created");
    }
    let mut next = state.applied_index().0 + 1;
    while next <= messages {
        let entries: Vec<_> = (next..next + 256)
            .map(|index| send(index, random))
            .collect();
        block_on(state.apply(&entries)).expect("the messages are applied");
        next += 256;
    }
    block_on(state.commit()).expect("they are committed");
    println!("filled in {:.1} s", begun.elapsed().as_secs_f64());
}

fn apply_for(
    state: &mut ChatState,
    next: &mut u64,
    random: &mut fastrand::Rng,
    mut goes_on: impl FnMut(Instant) -> bool,
) -> Vec<Duration> {
    let begun = Instant::now();
    let mut took = Vec::new();
    while goes_on(begun) {
        let entries: Vec<_> = (*next..*next + BATCH)
            .map(|index| send(index, random))
            .collect();
        *next += BATCH;
        let start = Instant::now();
        block_on(state.apply(&entries)).expect("the messages are applied");
        block_on(state.commit()).expect("they are committed");
        took.push(start.elapsed());
        thread::sleep(INTERVAL.saturating_sub(start.elapsed()));
    }
    took
}

fn report(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |share: f64| {
        let place = (took.len() - 1) as f64 * share;
        took[place as usize].as_secs_f64() * 1e3
    };
    println!(
        "{what}: {} batches, p50 {:.2} p90 {:.2} p99 {:.2} max {:.2} ms",
        took.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}

/// What this process has used.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("it has fields")
        .split(' ')
        .collect();
    let ticks = |place: usize| fields[place].parse::<f64>().expect("a number");
    (ticks(12) + ticks(13)) / 100.0
}

fn create_user(index: u64) -> CommittedEntry {
    let user = proto::CreateUser {
        username: username(index),
        password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2g".to_owned(),
        token_hash: token_hash(index),
        lifetime: Some(proto::SessionLifetime {
            idle_seconds: u32::MAX,
            absolute_seconds: u32::MAX,
        }),
    };
    entry(index, Operation::CreateUser(user))
}

fn send(index: u64, random: &mut fastrand::Rng) -> CommittedEntry {
    let sender = random.u64(1..=USERS);
    let id = random.u128(..);
    let message = proto::SendMessage {
        token_hash: token_hash(sender),
        credential: Some(proto::Credential {
            incarnation: sender,
            version: sender,
        }),
        message_id: format!(
            "{:08x}-{:04x}-4000-8000-{:012x}",
            id as u32,
            (id >> 32) as u16,
            id >> 80
        ),
        sender: username(sender),
        recipient: username(random.u64(1..=USERS)),
        body: "x".repeat(100),
    };
    entry(index, Operation::SendMessage(message))
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
        chain: ChainValue(u128::from(index).to_be_bytes()),
        command: Some(command.encode_to_vec().into()),
    }
}

fn username(user: u64) -> String {
    format!("user-{user:05}")
}

fn token_hash(user: u64) -> Bytes {
    let mut hash = vec![0; 24];
    hash.extend(user.to_be_bytes());
    hash.into()
}
