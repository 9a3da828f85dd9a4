//! Tens of thousands of disks on which `chat-log` is opened: after a crash at every operation on a
//! file, after disks that lied, and after every kind of rot.
//!
//! After a crash on a disk that keeps its promises everything that was acknowledged is there, and what
//! was in progress is there whole or not at all. After a lie or rot the log is never believed wrongly:
//! it has everything, or says what it lost, or has a new storage id (R18). The one exception is what
//! nothing on that disk remembers; those are counted.

mod corruption;
mod crashes;
mod expected;
mod lies;
mod machine;
mod step;
mod verdict;
mod workload;

use std::collections::BTreeMap;
use std::fmt;

pub use corruption::corruptions;
pub use crashes::{crashes, first_starts};
pub use lies::lies;

/// How many of the failures are printed.
const FAILURES_PRINTED: usize = 4;

/// How many images there were of each kind, and what went wrong with some.
#[derive(Debug, Default)]
pub struct Report {
    counts: BTreeMap<String, u64>,
    failures: Vec<String>,
}

impl Report {
    fn add(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    fn check(&mut self, what: &str, result: Result<(), String>) {
        if let Err(why) = result {
            self.failures.push(format!("{what}: {why}"));
        }
    }

    /// How many images there were of the kinds whose names begin with `what`.
    pub fn of(&self, what: &str) -> u64 {
        let these = self
            .counts
            .iter()
            .filter(|(name, _)| name.starts_with(what));
        these.map(|(_, count)| count).sum()
    }

    /// What went wrong, each with what was done before.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Ends a test if anything went wrong.
    ///
    /// # Panics
    ///
    /// If it did, with the first failures.
    pub fn require_no_failure(&self) {
        let count = self.failures.len();
        let first = self.failures.iter().take(FAILURES_PRINTED);
        let first: Vec<&str> = first.map(String::as_str).collect();
        assert!(
            count == 0,
            "{count} images fail:\n\n{}\n",
            first.join("\n\n")
        );
    }

    /// Ends a test that met too few cases of a kind, and so proves nothing about it.
    ///
    /// # Panics
    ///
    /// If there were fewer than `least` images of the kinds whose names begin with `what`.
    pub fn require(&self, what: &str, least: u64) {
        let count = self.of(what);
        assert!(
            count >= least,
            "{what}: {count}, and {least} are required\n{self}"
        );
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.counts {
            writeln!(f, "  {count:>7} {what}")?;
        }
        Ok(())
    }
}
