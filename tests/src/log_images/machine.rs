//! A log that is used at random, beside the model of what it must hold.

mod open_log;

use crate::faulty_disk::{CrashPoint, FaultyDirectory};
use chat_consensus::{Entry, LogIndex, NodeId, Writes};
use chat_log::{LogError, Options, ReadLimits, SegmentLog};

use super::expected::{Candidates, Expected, Found, Written};
use super::step::Step;
use open_log::OpenLog;

/// So small that most logs have several segments.
const SEGMENT_BYTES: [u64; 3] = [4 << 10, 8 << 10, 16 << 10];

/// A process and its disk.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) directory: FaultyDirectory,
    options: Options,
    log: Option<OpenLog>,
    pub(super) expected: Expected,
    /// What was acknowledged since both slots of `node` were last written: oldest first, and first
    /// what these slots remember. The last is what is expected.
    pub(super) since_witness: Vec<Expected>,
    pub(super) written: Written,
    pub(super) random: fastrand::Rng,
}

impl Machine {
    /// A machine whose log was opened for the first time.
    pub(super) fn new(seed: u64) -> Self {
        Self::recorded(seed).0
    }

    /// The same, with every state in which its first start could have died.
    pub(super) fn recorded(seed: u64) -> (Self, Vec<CrashPoint>) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut options = Options::new(NodeId(1));
        options.segment_bytes = SEGMENT_BYTES[random.usize(0..SEGMENT_BYTES.len())];
        let directory = FaultyDirectory::empty();
        directory.record();
        let (log, opened) = SegmentLog::open(directory.clone(), options, || random.u128(..))
            .expect("an empty disk without faults opens");
        let expected = Expected::empty(opened.stored.storage);
        assert_eq!(opened.stored, expected.stored(), "an empty log");
        let points = directory.take_recorded();
        let machine = Self {
            directory,
            options,
            log: Some(OpenLog::new(log)),
            since_witness: vec![expected.clone()],
            expected,
            written: Written::new(),
            random,
        };
        (machine, points)
    }

    /// The same machine with another disk, on which no process runs yet.
    pub(super) fn on(&self, directory: FaultyDirectory, seed: u64) -> Self {
        Self {
            directory,
            options: self.options,
            log: None,
            expected: self.expected.clone(),
            since_witness: self.since_witness.clone(),
            written: self.written.clone(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// A copy of the machine as it is, with a new process.
    pub(super) fn fork(&self, seed: u64) -> Self {
        self.on(self.directory.image().into_directory().kill(), seed)
    }

    /// Ends the process, if one runs, without a sign to it.
    pub(super) fn end(&mut self) {
        self.log = None;
        self.directory = self.directory.kill();
    }

    /// Opens the log and reads it whole.
    pub(super) fn open(&mut self) -> Result<Found, LogError> {
        self.log = None;
        let (directory, random) = (self.directory.clone(), &mut self.random);
        let (log, opened) = SegmentLog::open(directory, self.options, || random.u128(..))?;
        let mut open = OpenLog::new(log);
        let pieces = open.read_all(&opened);
        self.log = Some(open);
        Ok(Found { opened, pieces })
    }

    /// Closes the log as at a polite end, and the power fails.
    pub(super) fn close(&mut self) -> Result<(), LogError> {
        let open = self.log.take().expect("a process runs");
        open.log.close()?;
        (self.directory, _) = self.directory.lose_flushes(0);
        Ok(())
    }

    /// Opens the log, which must hold one of the candidates, and nothing may have been found damaged
    /// but what the crash tore. From then on that is expected.
    pub(super) fn reopen(&mut self, candidates: &Candidates) -> Result<(), String> {
        let found = self.open().map_err(|error| describe(&error))?;
        let state = candidates.find(&found)?;
        self.expect(state);
        // A start writes both slots.
        self.since_witness = vec![self.expected.clone()];
        Ok(())
    }

    fn expect(&mut self, state: Expected) {
        self.written.extend(state.written());
        self.since_witness.push(state.clone());
        self.expected = state;
    }

    /// What the next step will be.
    pub(super) fn draw(&mut self) -> Step {
        let step = Step::next(&self.expected, &mut self.random);
        // Entries of a step that fails may be found, too.
        let candidates = self.expected.candidates(&step);
        self.written.extend(candidates.last().written());
        step
    }

    /// Takes one step, which must succeed.
    pub(super) fn step(&mut self, step: &Step) -> Result<(), String> {
        self.try_step(step).map_err(|error| describe(&error))?;
        self.read_some()
    }

    /// Takes one step. If it fails, what was acknowledged before is still expected.
    pub(super) fn try_step(&mut self, step: &Step) -> Result<(), LogError> {
        let candidates = self.expected.candidates(step);
        let mut after = candidates.last().clone();
        let open = self.log.as_mut().expect("a process runs");
        match step {
            Step::Append(writes) => open.log.append_and_sync(writes)?,
            Step::Install(base) => open.log.install(base)?,
            Step::Compact(through) => {
                let base = open.log.compact(*through)?;
                assert!(
                    base.position.index <= *through.max(&self.expected.begins_after()),
                    "compacted to {:?}, and only through {through:?} was asked for",
                    base.position
                );
                after.begin_after(base.position.index);
                assert_eq!(Some(base), after.base, "the base that a compaction returns");
            }
            Step::NameState(name) => open.log.set_state_directory(name)?,
            Step::Roll => open.log.roll()?,
            Step::RefreshWitness => open.log.refresh_witness()?,
            Step::Reopen => {
                let open = self.log.take().expect("a process runs");
                if self.random.bool() {
                    open.log.close()?;
                }
                self.directory = self.directory.kill();
                let found = self.open()?;
                after = Candidates::only(&after)
                    .find(&found)
                    .unwrap_or_else(|why| panic!("a restart changed the log: {why}"));
            }
        }
        let open = self.log.as_ref().expect("a process runs");
        after.synced_block = open.log.synced_block();
        if step.writes_node(&self.expected) {
            // The slots remember the log as it was before the block of this batch.
            let remembered = self.expected.with_node_of(&after);
            self.since_witness = vec![remembered];
        }
        if matches!(step, Step::Reopen) {
            self.since_witness.clear();
        }
        self.expect(after);
        Ok(())
    }

    /// Whether a log that failed accepts another write.
    pub(super) fn still_writes(&mut self) -> bool {
        let Some(open) = &mut self.log else {
            return false;
        };
        let next = Writes {
            boot_count: Some(self.expected.boot_count + 100),
            ..Writes::default()
        };
        open.log.append_and_sync(&next).is_ok()
    }

    /// A part of the log is read beside its writer, as it must be.
    fn read_some(&mut self) -> Result<(), String> {
        let (begin, last) = (self.expected.begins_after(), self.expected.last().index);
        if begin == last {
            return Ok(());
        }
        let after = self.random.u64(begin.0..last.0);
        let limits = ReadLimits {
            entries_max: self.random.usize(1..9),
            bytes_max: self.random.usize(0..4000),
        };
        let open = self.log.as_mut().expect("a process runs");
        let entries = open
            .reader
            .read(LogIndex(after), last, limits)
            .map_err(|error| describe(&error))?;
        let skipped = usize::try_from(after - begin.0).expect("logs of tests are short");
        let there = self.expected.entries[skipped..]
            .iter()
            .map(|(entry, _)| entry);
        let size: usize = entries.iter().map(Entry::size).sum();
        let within =
            entries.len() == 1 || (entries.len() <= limits.entries_max && size <= limits.bytes_max);
        if entries.is_empty() || !within || !entries.iter().eq(there.take(entries.len())) {
            return Err(format!(
                "read {} entries after {after} with {limits:?}, which are not those in the log",
                entries.len()
            ));
        }
        Ok(())
    }
}

/// An error with its causes.
pub(super) fn describe(error: &LogError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
