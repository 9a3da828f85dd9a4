//! A process that writes is killed again and again; everything that it had acknowledged survives.
//!
//! The child is this program, started again. The seed and the number of batches written before
//! determine what it writes, so the parent knows what must be on the disk. A kill is not a power
//! failure: what was written and not synced survives it. The simulated disk loses that.

use futures::executor::block_on;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use chat_store::{
    ChatState, ClusterId, CommitLog, CommittedEntry, Entry, HardState, LogBase, LogIndex,
    Membership, NodeId, Payload, Position, ReadLimits, StorageId, Stored, Voter, Writes,
};

use crate::history::{USERS, create_user, random_command};
use crate::tables::dump;

const KILLS: u64 = 12;
/// The child's parameters: directory, seed, and how many batches were written before.
const DIRECTORY: &str = "CHAT_STORE_CRASH_DIRECTORY";
const SEED: &str = "CHAT_STORE_CRASH_SEED";
const WRITTEN: &str = "CHAT_STORE_CRASH_WRITTEN";

/// The batches that follow from one seed, and what the disk contains after those generated so far.
#[derive(Clone)]
struct Script {
    random: fastrand::Rng,
    batches: u64,
    hard_state: HardState,
    entries: Vec<Entry>,
    /// Never truncated.
    committed: usize,
}

impl Script {
    fn new(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            batches: 0,
            hard_state: HardState::default(),
            entries: Vec::new(),
            committed: 0,
        }
    }

    fn after(seed: u64, batches: u64) -> Self {
        let mut script = Self::new(seed);
        for _ in 0..batches {
            script.next_batch();
        }
        script
    }

    fn next_batch(&mut self) -> Writes {
        self.batches += 1;
        let mut writes = Writes::default();
        if self.batches == 1 {
            self.hard_state.cluster = Some(base().membership.cluster);
            writes.hard_state = Some(self.hard_state);
            writes.base = Some(Box::new(base()));
            self.append(&mut writes, Payload::Empty);
            for number in 1..=USERS {
                self.append(&mut writes, Payload::Command(create_user(number)));
            }
            self.committed = self.entries.len();
            return writes;
        }
        if self.random.u8(0..4) == 0 {
            let vote = Voter {
                node: NodeId(3),
                storage: StorageId(self.random.u128(..)),
            };
            let term = self.hard_state.term.next();
            self.hard_state = HardState {
                term,
                vote: self.random.bool().then_some(vote),
                ..self.hard_state
            };
            writes.hard_state = Some(self.hard_state);
            // Entries are replaced only in a new term, so a position always has the same content.
            if self.random.bool() {
                let kept = self.random.usize(self.committed..=self.entries.len());
                self.entries.truncate(kept);
                writes.truncate_after = Some(LogIndex(kept as u64));
            }
        }
        let count = self.random.choice([0, 1, 1, 1, 2, 5, 64, 200]).unwrap();
        for _ in 0..count {
            let payload = match self.random.u8(0..20) {
                0 => Payload::Empty,
                _ => Payload::Command(random_command(&mut self.random, self.entries.len())),
            };
            self.append(&mut writes, payload);
        }
        self.committed = self.random.usize(self.committed..=self.entries.len());
        writes
    }

    fn append(&mut self, writes: &mut Writes, payload: Payload) {
        let index = self.entries.len() as u64 + 1;
        let entry = Entry {
            position: Position::new(index, self.hard_state.term.0),
            payload,
        };
        writes.entries.push(entry.clone());
        self.entries.push(entry);
    }

    fn describes(&self, stored: &Stored) -> bool {
        let last = self
            .entries
            .last()
            .map_or(Position::ZERO, |entry| entry.position);
        stored.last == last && stored.hard_state == self.hard_state
    }
}

fn base() -> LogBase {
    LogBase::first(membership())
}

fn membership() -> Membership {
    let voter = |node| Voter {
        node: NodeId(node),
        storage: StorageId(node.into()),
    };
    Membership::of_voters(ClusterId(9), (1..=3).map(voter).collect())
}

#[test]
fn acknowledged_writes_survive_kills_with_seed_1() {
    check_kills(1);
}

#[test]
fn acknowledged_writes_survive_kills_with_seed_2() {
    check_kills(2);
}

#[test]
fn acknowledged_writes_survive_kills_with_seed_3() {
    check_kills(3);
}

fn check_kills(seed: u64) {
    let directory = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut script = Script::new(seed);
    for kill in 1..=KILLS {
        let acknowledged = run_and_kill(directory.path(), seed, script.batches, &mut random);
        script = Script::after(seed, script.batches + acknowledged);
        // Only entries that were acknowledged before are applied.
        let committed = script.committed;
        script = check_log(directory.path(), script, kill);
        check_state(directory.path(), &script, committed);
    }
}

/// Starts the child, kills it at a random moment, and returns how many batches it acknowledged.
fn run_and_kill(directory: &Path, seed: u64, written: u64, random: &mut fastrand::Rng) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "crash::child_writes_until_it_is_killed",
            "--exact",
            "--nocapture",
        ])
        .env(DIRECTORY, directory)
        .env(SEED, seed.to_string())
        .env(WRITTEN, written.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = 0;
    let kill_after = random.u64(1..=12);
    while acknowledged < kill_after {
        acknowledged += next_acknowledgement(&mut output).expect("the child writes until killed");
    }
    let moment = Instant::now() + Duration::from_micros(random.u64(..3000));
    while Instant::now() < moment {
        std::hint::spin_loop();
    }
    kill(&mut child);
    // Lines that are still in the pipe are acknowledgements too.
    acknowledged + std::iter::from_fn(|| next_acknowledgement(&mut output)).sum::<u64>()
}

fn kill(child: &mut Child) {
    const SIGKILL: i32 = 9;
    child.kill().unwrap();
    assert_eq!(
        child.wait().unwrap().signal(),
        Some(SIGKILL),
        "it ends by the signal"
    );
}

/// 1 for an acknowledgement, 0 for a line of the test framework; `None` at the end.
fn next_acknowledgement(output: &mut BufReader<ChildStdout>) -> Option<u64> {
    let mut line = String::new();
    let length = output.read_line(&mut line).unwrap();
    (length > 0).then(|| u64::from(line == "acknowledged\n"))
}

/// The log must contain what was acknowledged, or that and the one batch that was in progress.
/// Returns the script of what it contains.
fn check_log(directory: &Path, acknowledged: Script, starts: u64) -> Script {
    let (mut log, stored) = CommitLog::open(directory).unwrap();
    assert_eq!(stored.boot_count, starts);
    assert_eq!(stored.base, Some(base()));
    let mut in_progress = acknowledged.clone();
    in_progress.next_batch();
    let script = if in_progress.describes(&stored) {
        in_progress
    } else {
        acknowledged
    };
    assert!(
        script.describes(&stored),
        "{:?} {:?}",
        stored.last,
        stored.hard_state
    );
    let mut entries = Vec::new();
    let limits = ReadLimits {
        bytes_max: 10_000,
        ..ReadLimits::NONE
    };
    while entries.len() < script.entries.len() {
        let after = LogIndex(entries.len() as u64);
        entries.extend(block_on(log.read(after, stored.last.index, limits)).unwrap());
    }
    assert!(entries == script.entries);
    script
}

/// After the rest of the log is applied, the tables must equal tables rebuilt from the whole log.
fn check_state(directory: &Path, script: &Script, committed: usize) {
    let (mut state, _) = ChatState::open(directory).unwrap();
    let applied = usize::try_from(state.applied_index().0).unwrap();
    assert!(applied <= committed, "{applied} {committed}");
    let entries = applied_entries(&script.entries[..committed]);
    block_on(state.apply(&entries[applied..])).unwrap();
    state.close().unwrap();

    let other = tempfile::tempdir().unwrap();
    let (mut rebuilt, _) = ChatState::open(other.path()).unwrap();
    block_on(rebuilt.apply(&entries)).unwrap();
    rebuilt.close().unwrap();
    assert!(dump(directory) == dump(other.path()));
}

/// `entries` begin with the first one.
fn applied_entries(entries: &[Entry]) -> Vec<CommittedEntry> {
    let mut chain = base().chain;
    let applied = |entry: &Entry| CommittedEntry {
        index: entry.position.index,
        term: entry.position.term,
        chain: {
            chain = chain.next(entry);
            chain
        },
        command: match &entry.payload {
            Payload::Command(command) => Some(command.clone()),
            Payload::Empty | Payload::Membership(_) => None,
        },
    };
    entries.iter().map(applied).collect()
}

/// The child. Does nothing when it runs as an ordinary test.
#[test]
fn child_writes_until_it_is_killed() {
    let Ok(directory) = std::env::var(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    let number = |name| std::env::var(name).unwrap().parse().unwrap();
    let mut script = Script::after(number(SEED), number(WRITTEN));
    let (mut log, stored) = CommitLog::open(&directory).unwrap();
    let boot_count = Some(stored.boot_count + 1);
    block_on(log.write_and_sync(&Writes {
        boot_count,
        ..Writes::default()
    }))
    .unwrap();
    let (mut state, _) = ChatState::open(&directory).unwrap();
    loop {
        let writes = script.next_batch();
        block_on(log.write_and_sync(&writes)).unwrap();
        println!("acknowledged");
        let applied = usize::try_from(state.applied_index().0).unwrap();
        let entries = applied_entries(&script.entries[..script.committed]);
        block_on(state.apply(&entries[applied..])).unwrap();
        if script.batches.is_multiple_of(3) {
            block_on(state.commit()).unwrap();
        }
    }
}
