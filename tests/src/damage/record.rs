//! How rounds ended, and the table of all of them.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use chat_consensus::NodeId;

use crate::damage::file_damage::FileDamage;
use crate::damage::tree;

/// What was served may be long.
const DETAIL_CHARS_MAX: usize = 800;

/// How a round ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The node is a voter with its storage id, and has reported nothing.
    Harmless,
    /// The node is a voter with its storage id, and has reported this.
    Reported(String),
    /// The node is level under another storage id.
    NewStorageId,
    /// The node does not start, which is right for this file.
    RightlyRefused {
        /// Why it is right.
        reason: &'static str,
    },
    /// The round failed.
    Failed(Failure),
}

/// Why a round failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A node ended by itself, again after each start; its last words.
    Refused(String),
    /// A node is not level in time.
    NotLevel(String),
    /// Requests were not answered in time.
    NotServed(String),
    /// What was served is wrong, or something acknowledged is lost.
    Wrong(String),
    /// The node does not count, with its old storage id, and has reported nothing.
    Unexplained(String),
    /// A node panicked.
    Panicked(String),
    /// The files could not be prepared.
    Files(String),
}

/// One round.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its seed; `None` for a round without damage.
    pub seed: Option<u64>,
    /// Which copy of the cluster.
    pub golden: &'static str,
    /// What was damaged.
    pub damaged: Option<(NodeId, FileDamage)>,
    /// Whether the node was killed directly after its first start.
    pub interrupted: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// How often nodes were started again because they had ended by themselves.
    pub restarts: u32,
    /// From the start of the nodes until all were level.
    pub level_after: Option<Duration>,
    /// The whole round.
    pub took: Duration,
}

/// All rounds.
#[derive(Clone, Debug, Default)]
pub struct Records {
    all: Vec<Record>,
}

impl Outcome {
    /// Its name in the table.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Harmless => "harmless",
            Self::Reported(_) => "found, voter",
            Self::NewStorageId => "found, new storage id",
            Self::RightlyRefused { .. } => "refused, rightly",
            Self::Failed(failure) => match failure {
                Failure::Refused(_) => "FAILED: refused",
                Failure::NotLevel(_) => "FAILED: not level",
                Failure::NotServed(_) => "FAILED: not served",
                Failure::Wrong(_) => "FAILED: wrong",
                Failure::Unexplained(_) => "FAILED: unexplained",
                Failure::Panicked(_) => "FAILED: panicked",
                Failure::Files(_) => "FAILED: files",
            },
        }
    }

    fn detail(&self) -> &str {
        match self {
            Self::Harmless | Self::NewStorageId => "",
            Self::RightlyRefused { reason } => reason,
            Self::Reported(text)
            | Self::Failed(
                Failure::Refused(text)
                | Failure::NotLevel(text)
                | Failure::NotServed(text)
                | Failure::Wrong(text)
                | Failure::Unexplained(text)
                | Failure::Panicked(text)
                | Failure::Files(text),
            ) => text,
        }
    }
}

impl Record {
    /// Whether the round failed; one without damage must be harmless.
    pub fn has_failed(&self) -> bool {
        match &self.outcome {
            Outcome::Failed(_) => true,
            outcome => self.damaged.is_none() && *outcome != Outcome::Harmless,
        }
    }

    fn row(&self) -> (String, &'static str, &'static str) {
        let damaged = self.damaged.as_ref();
        let (file, change) = damaged.map_or_else(
            || ("(none)".to_owned(), "no damage"),
            |(_, damage)| (tree::kind(&damage.file), damage.change.name()),
        );
        (file, change, self.outcome.name())
    }
}

impl fmt::Display for Record {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seed {
            Some(seed) => write!(out, "seed {seed}, {}", self.golden)?,
            None => write!(out, "undamaged, {}", self.golden)?,
        }
        if let Some((node, damage)) = &self.damaged {
            write!(out, ", node {}: {damage}", node.0)?;
        }
        if self.interrupted {
            out.write_str(", killed once more")?;
        }
        write!(out, " -> {}", self.outcome.name())?;
        if let Some(after) = self.level_after {
            write!(out, ", level after {:.2} s", after.as_secs_f64())?;
        }
        if self.restarts > 0 {
            write!(out, ", {} restarts", self.restarts)?;
        }
        write!(out, " ({:.1} s)", self.took.as_secs_f64())?;
        let detail = self.outcome.detail();
        if detail.is_empty() {
            return Ok(());
        }
        let detail: String = detail.chars().take(DETAIL_CHARS_MAX).collect();
        write!(out, "\n    {}", detail.replace('\n', "\n    "))
    }
}

impl Records {
    /// Adds a round.
    pub fn push(&mut self, record: Record) {
        self.all.push(record);
    }

    /// Adds rounds.
    pub fn extend(&mut self, records: Self) {
        self.all.extend(records.all);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Those that failed.
    pub fn failed(&self) -> Vec<&Record> {
        self.all
            .iter()
            .filter(|record| record.has_failed())
            .collect()
    }

    /// How often each damage of each kind of file had each outcome.
    pub fn table(&self) -> String {
        let mut counts: BTreeMap<_, u32> = BTreeMap::new();
        for record in &self.all {
            *counts.entry(record.row()).or_default() += 1;
        }
        let mut text = format!(
            "{:<28} {:<13} {:<22} {:>5}\n",
            "file", "damage", "outcome", "times"
        );
        for ((file, change, outcome), count) in counts {
            writeln!(text, "{file:<28} {change:<13} {outcome:<22} {count:>5}")
                .expect("writing to a string does not fail");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use chat_consensus::NodeId;
    use expect_test::expect;

    use super::{Failure, Outcome, Record, Records};
    use crate::damage::file_damage::{Change, FileDamage};

    fn record(seed: Option<u64>, outcome: Outcome) -> Record {
        let damage = FileDamage {
            file: PathBuf::from("log/17"),
            change: Change::Flip { at: 3, bit: 1 },
        };
        Record {
            seed,
            golden: "killed",
            damaged: seed.map(|_| (NodeId(2), damage)),
            interrupted: false,
            outcome,
            restarts: 0,
            level_after: Some(Duration::from_millis(700)),
            took: Duration::from_millis(1_500),
        }
    }

    #[test]
    fn table_counts_and_failures_are_found() {
        let mut records = Records::default();
        for seed in 0..3 {
            records.push(record(Some(seed), Outcome::NewStorageId));
        }
        let lost = Outcome::Failed(Failure::Wrong("lost".to_owned()));
        records.push(record(Some(3), lost));
        records.push(record(None, Outcome::Harmless));
        assert_eq!(records.failed().len(), 1);
        expect![[r"
            file                         damage        outcome                times
            (none)                       no damage     harmless                   1
            log/*                        flip          FAILED: wrong              1
            log/*                        flip          found, new storage id      3
        "]]
        .assert_eq(&records.table());
        expect![[r"
            seed 3, killed, node 2: flip of log/17, bit 1 of byte 3 -> FAILED: wrong, level after 0.70 s (1.5 s)
                lost"]]
        .assert_eq(&records.failed()[0].to_string());
    }

    #[test]
    fn report_without_damage_is_a_failure() {
        let found = Outcome::Reported("a hole".to_owned());
        assert!(record(None, found.clone()).has_failed());
        assert!(!record(Some(1), found).has_failed());
    }
}
