//! Prints what a row costs in the log and in the chat's tables, in the directory that is named.
//!
//! `cargo run --release -p chat-store --example measure -- some/empty/directory`

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_store::{CommitLog, Entry, LogIndex, Payload, Position, Writes};

/// About what one chat message takes as a command.
const COMMAND_BYTES: usize = 256;
const ROWS: u64 = 32_768;

fn main() {
    let directory = std::env::args().nth(1).expect("usage: measure <directory>");
    let directory = Path::new(&directory);
    for batch in [1, 64, 256, 512, 2048] {
        append(&directory.join(format!("log-{batch}")), batch);
    }
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
    took.sort();
    let total: Duration = took.iter().sum();
    let per_row = total.as_secs_f64() * 1e6 / rows as f64;
    let at = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64() * 1e6;
    println!(
        "append in batches of {batch}: {per_row:.1} us a row; a batch p50 {:.0}, p99 {:.0}, max {:.0} us; {} bytes",
        at(50),
        at(99),
        at(100),
        log.size_on_disk().expect("the log has a size"),
    );

    let start = Instant::now();
    let read = log
        .read(LogIndex(0), LogIndex(rows), usize::MAX)
        .expect("the log is read");
    println!(
        "  read: {:.2} us a row",
        start.elapsed().as_secs_f64() * 1e6 / read.len() as f64
    );
    log.close().expect("the log closes");
    let start = Instant::now();
    let (_log, stored) = CommitLog::open(directory).expect("the log opens");
    println!(
        "  open: {:.2} us a row",
        start.elapsed().as_secs_f64() * 1e6 / stored.last.index.0 as f64
    );
}
