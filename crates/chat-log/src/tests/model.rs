//! Random work on a log beside a list of entries that does the same.

use chat_consensus::{
    Entry, LogBase, LogIndex, Membership, MembershipChange, Payload, Position, TermRun,
};
use fastrand::Rng;

use crate::tests::fixture::{Disk, Log, append, base, entries, members, truncate};
use crate::{Opened, OsDirectory, ReadLimits, SegmentReader};

/// What the log must hold.
struct Model {
    base: LogBase,
    entries: Vec<Entry>,
    term: u64,
}

impl Model {
    fn last(&self) -> u64 {
        self.base.position.index.0 + self.entries.len() as u64
    }

    fn truncate(&mut self, after: u64) {
        let kept = after - self.base.position.index.0;
        self.entries.truncate(kept as usize);
    }

    fn begin_at(&mut self, base: LogBase) {
        let forgotten = base.position.index.0 - self.base.position.index.0;
        let members = self.members_at(base.position.index.0);
        assert_eq!(base.membership, members);
        self.entries.drain(..forgotten as usize);
        self.base = base;
    }

    fn changes(&self) -> Vec<MembershipChange> {
        let changes = self.entries.iter().filter_map(MembershipChange::of);
        changes.collect()
    }

    fn members_at(&self, index: u64) -> Membership {
        let mut changes = self.changes();
        changes.retain(|change| change.index.0 <= index);
        let newest = changes.pop().map(|change| change.membership);
        newest.unwrap_or_else(|| self.base.membership.clone())
    }

    fn terms(&self) -> Vec<TermRun> {
        let mut runs: Vec<TermRun> = Vec::new();
        for entry in &self.entries {
            let (term, first) = (entry.position.term, entry.position.index);
            if runs.last().is_none_or(|run| run.term != term) {
                runs.push(TermRun { term, first });
            }
        }
        runs
    }

    fn check(&self, log: &Log) {
        let after = self.base.position.index;
        assert_eq!(log.base().as_ref(), Some(&self.base));
        let limits = ReadLimits::NONE;
        let read = log.reader().read(after, LogIndex(u64::MAX), limits);
        assert_eq!(read.unwrap(), self.entries);
    }

    fn check_opened(&self, opened: &Opened) {
        assert_eq!(opened.findings, []);
        assert_eq!(opened.stored.terms, self.terms());
        assert_eq!(opened.stored.changes, self.changes());
        assert_eq!(opened.stored.base.as_ref(), Some(&self.base));
        let chain = self
            .entries
            .iter()
            .fold(self.base.chain, chat_consensus::ChainValue::next);
        assert_eq!(opened.chain, chain);
    }
}

/// A log, and what it must hold.
struct Run {
    random: Rng,
    disk: Disk,
    /// `None` only between closing and opening.
    log: Option<Log>,
    reader: SegmentReader<OsDirectory>,
    model: Model,
    /// Entries are filled up to this.
    entry_bytes: usize,
    /// Where the last read ended.
    read_through: u64,
}

impl Run {
    fn new(seed: u64, segment_bytes: u64, entry_bytes: usize) -> Self {
        let mut disk = Disk::new(segment_bytes);
        let log = disk.open_with_base();
        Self {
            random: Rng::with_seed(seed),
            disk,
            reader: log.reader(),
            log: Some(log),
            model: Model {
                base: base(),
                entries: vec![],
                term: 1,
            },
            entry_bytes,
            read_through: 0,
        }
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    fn entries(&mut self, after: u64, count_max: u64) -> Vec<Entry> {
        let count = self.random.u64(..count_max);
        let mut entries = entries(after + 1, after + count, self.model.term);
        for entry in &mut entries {
            if let Payload::Command(command) = &mut entry.payload {
                let mut bytes = command.to_vec();
                bytes.resize(bytes.len().max(self.entry_bytes), b'.');
                *command = bytes.into();
            }
        }
        // Few, so that the same members often return.
        let next = members(self.random.u64(1..5));
        if let Some(entry) = entries.last_mut()
            && self.random.u8(..4) == 0
            && next != self.model.members_at(after)
        {
            entry.payload = Payload::Membership(next);
        }
        entries
    }

    /// An index between the log's beginning and its end.
    fn index(&mut self) -> u64 {
        let begin = self.model.base.position.index.0;
        self.random.u64(begin..=self.model.last())
    }

    fn step(&mut self) {
        match self.random.u32(..20) {
            0..9 => {
                self.model.term += u64::from(self.random.u8(..4) == 0);
                let new = self.entries(self.model.last(), 20);
                self.log().append_and_sync(&append(new.clone())).unwrap();
                self.model.entries.extend(new);
            }
            9..12 => {
                let after = self.index();
                self.model.term += 1;
                let new = self.entries(after, 4);
                let writes = truncate(after, new.clone());
                self.log().append_and_sync(&writes).unwrap();
                self.model.truncate(after);
                self.model.entries.extend(new);
            }
            12 => self.log().roll().unwrap(),
            13 => {
                let through = LogIndex(self.index());
                let begins = self.log().compact(through).unwrap();
                assert!(begins.position.index <= through);
                self.model.begin_at(begins);
            }
            14 if self.random.u8(..4) == 0 => self.install(),
            15 => self.restart(),
            _ => self.read(),
        }
    }

    fn check(&self) {
        self.model.check(self.log.as_ref().unwrap());
    }

    fn install(&mut self) {
        let mut installed = base();
        installed.position = Position::new(self.model.last() + 10, self.model.term);
        installed.chain.0[0] = self.random.u8(..);
        installed.membership = members(self.random.u64(1..5));
        self.log().install(&installed).unwrap();
        self.model.base = installed;
        self.model.entries.clear();
    }

    fn restart(&mut self) {
        drop(self.log.take());
        let (log, opened) = self.disk.open();
        self.model.check_opened(&opened);
        self.reader = log.reader();
        self.log = Some(log);
    }

    fn read(&mut self) {
        let begin = self.model.base.position.index.0;
        let mut after = self.index();
        if self.random.bool() && (begin..=self.model.last()).contains(&self.read_through) {
            after = self.read_through;
        }
        let last = self.random.u64(after..=self.model.last());
        let limits = ReadLimits {
            entries_max: self.random.usize(1..200),
            ..ReadLimits::NONE
        };
        let read = self.reader.read(LogIndex(after), LogIndex(last), limits);
        let read = read.unwrap();
        self.read_through = last.min(after + limits.entries_max as u64);
        let range = (after - begin) as usize..(self.read_through - begin) as usize;
        assert_eq!(read, self.model.entries[range]);
    }
}

fn run(seed: u64, segment_bytes: u64, entry_bytes: usize) {
    let mut run = Run::new(seed, segment_bytes, entry_bytes);
    for _ in 0..120 {
        run.step();
    }
    run.check();
    for name in run.reader.sealed_segments() {
        run.reader.verify_segment(&name).unwrap();
    }
    run.restart();
    run.check();
}

#[test]
fn log_holds_what_a_list_holds_after_the_same_work() {
    for seed in 0..20 {
        run(seed, 4096, 0);
    }
}

/// Blocks are found from the middle of a segment, too.
#[test]
fn log_with_large_segments_holds_what_a_list_holds() {
    for seed in 0..10 {
        run(seed, 1 << 20, 3000);
    }
}
