//! Writes the same batches into `log.db` and into segment files, in turn, and prints what each took:
//! the measurement of `docs/decisions/0002`. Its argument is an empty directory on the disk that is
//! to be measured.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_consensus::{
    ClusterId, Entry, HardState, LogBase, Membership, NodeId, Payload, Position, StorageId, Voter,
    Writes,
};
use chat_log::{Options, SegmentLog};
use chat_sqlite_log::CommitLog;
use futures::executor::block_on;

/// How many batches of each size are measured, in turn, a tenth of them at a time.
const BATCHES: usize = 1_000;
const ROUNDS: usize = 10;
const PAYLOAD_BYTES: usize = 256;

/// What a run of batches took.
#[derive(Default)]
struct Cost {
    times: Vec<Duration>,
    processor: Duration,
    bytes: u64,
    calls: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1);
    let directory = directory.ok_or("the argument is an empty directory")?;
    let directory = Path::new(&directory);
    println!("entries a batch | log | p50 us | p99 us | CPU us | bytes written | write calls");
    for entries in [1, 16, 64, 256] {
        let folder = directory.join(entries.to_string());
        let (old_folder, new_folder) = (folder.join("old"), folder.join("new"));
        fs::create_dir_all(&old_folder)?;
        let (mut old, _) = CommitLog::open(&old_folder)?;
        let (mut new, _) = SegmentLog::open_folder(&new_folder, Options::new(NodeId(1)), random)?;
        block_on(old.write_and_sync(&bootstrap()))?;
        new.append_and_sync(&bootstrap())?;
        let (mut old_cost, mut new_cost) = (Cost::default(), Cost::default());
        let mut next = 1;
        for _ in 0..ROUNDS {
            let batches = batches(next, entries);
            next += (batches.len() * entries) as u64;
            old_cost.measure(&batches, |writes| {
                block_on(old.write_and_sync(writes)).map_err(Into::into)
            })?;
            new_cost.measure(&batches, |writes| {
                new.append_and_sync(writes).map_err(Into::into)
            })?;
        }
        old_cost.print(entries, "log.db");
        new_cost.print(entries, "segments");
    }
    Ok(())
}

fn batches(first: u64, entries: usize) -> Vec<Writes> {
    let mut index = first;
    let batch = |_| {
        let entry = |_| {
            let payload = vec![(index % 251) as u8; PAYLOAD_BYTES];
            let entry = Entry {
                position: Position::new(index, 1),
                payload: Payload::Command(Bytes::from(payload)),
            };
            index += 1;
            entry
        };
        Writes {
            entries: (0..entries).map(entry).collect(),
            ..Writes::default()
        }
    };
    (0..BATCHES / ROUNDS).map(batch).collect()
}

impl Cost {
    fn measure(
        &mut self,
        batches: &[Writes],
        mut write: impl FnMut(&Writes) -> Result<(), Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        let (processor, io) = (processor_time()?, io_counts()?);
        for batch in batches {
            let begun = Instant::now();
            write(batch)?;
            self.times.push(begun.elapsed());
        }
        self.processor += processor_time()?.saturating_sub(processor);
        let now = io_counts()?;
        self.bytes += now.0 - io.0;
        self.calls += now.1 - io.1;
        Ok(())
    }

    fn print(mut self, entries: usize, log: &str) {
        self.times.sort_unstable();
        let count = self.times.len();
        let at = |part: usize| self.times[(count * part / 100).min(count - 1)].as_micros();
        let batches = count as u64;
        println!(
            "{entries} | {log} | {} | {} | {} | {} | {:.1}",
            at(50),
            at(99),
            self.processor.as_micros() / u128::from(batches),
            self.bytes / batches,
            self.calls as f64 / batches as f64,
        );
    }
}

/// User and system time of this process, from `/proc/self/schedstat` of all its threads.
fn processor_time() -> Result<Duration, Box<dyn Error>> {
    let mut nanoseconds = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += text
            .split(' ')
            .next()
            .ok_or("schedstat is empty")?
            .parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Bytes that this process passed to calls that write, and how many of those there were. What the disk got
/// is not counted: the kernel accounts a whole large folio for each byte in it.
fn io_counts() -> Result<(u64, u64), Box<dyn Error>> {
    let text = fs::read_to_string("/proc/self/io")?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.ok_or("a field is missing")?
            .trim()
            .parse::<u64>()
            .map_err(Box::<dyn Error>::from)
    };
    Ok((field("wchar:")?, field("syscw:")?))
}

fn bootstrap() -> Writes {
    let cluster = ClusterId(1);
    let voter = Voter {
        node: NodeId(1),
        storage: StorageId(1),
    };
    let membership = Membership::of_voters(cluster, vec![voter]);
    Writes {
        boot_count: Some(1),
        hard_state: Some(HardState {
            cluster: Some(cluster),
            ..HardState::default()
        }),
        base: Some(Box::new(LogBase::first(membership))),
        ..Writes::default()
    }
}

fn random() -> u128 {
    use std::hash::{BuildHasher as _, RandomState};
    u128::from(RandomState::new().hash_one(0))
}
