//! The outcomes that clients received: each operation takes effect once, in an order that agrees with
//! real time, no acknowledged one is lost, no read is stale, and a proposal that was reported as not
//! appended is in no log (R13, R14).
//!
//! The simulated state machine is a list, so one number is enough: an acknowledged operation or a
//! finished read shows the list up to some index, and an operation that begins later must take effect
//! after it, a read must see that much.

use std::collections::BTreeMap;

use chat_consensus::LogIndex;

use crate::checker::agreement::CommittedLog;
use crate::checker::{Checked, Violation, ensure};
use crate::simulation::command::Answer;

/// The recorded history of one run.
#[derive(Debug, Default)]
pub struct History {
    operations: BTreeMap<u64, Operation>,
    /// By attempt: whether it is in any log, and whether it was reported as not appended.
    attempts: Vec<Attempt>,
    /// Everything up to here was shown to some client.
    shown: LogIndex,
    /// How many operations were acknowledged.
    pub acknowledged: u64,
    /// How many reads were answered.
    pub reads: u64,
}

#[derive(Debug)]
struct Operation {
    /// What had been shown to clients when it began.
    shown_before: LogIndex,
    acknowledged: Option<LogIndex>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Attempt {
    written: bool,
    refused: bool,
}

impl History {
    /// A client begins `operation`, for the first time.
    pub fn begins(&mut self, operation: u64) {
        self.operations.insert(
            operation,
            Operation {
                shown_before: self.shown,
                acknowledged: None,
            },
        );
    }

    /// What a read that begins now must at least see.
    pub fn shown(&self) -> LogIndex {
        self.shown
    }

    /// An attempt's command is written into some log.
    ///
    /// # Errors
    ///
    /// It was refused before (R13).
    pub fn written(&mut self, attempt: u64) -> Checked {
        let attempt_record = self.attempt(attempt);
        attempt_record.written = true;
        let refused = attempt_record.refused;
        ensure(!refused, "not-appended", || {
            format!("attempt {attempt} was reported as not appended and is in a log")
        })
    }

    /// An attempt was reported to its client as not appended.
    ///
    /// # Errors
    ///
    /// It is in a log (R13).
    pub fn refused(&mut self, attempt: u64) -> Checked {
        let attempt_record = self.attempt(attempt);
        attempt_record.refused = true;
        let written = attempt_record.written;
        ensure(!written, "not-appended", || {
            format!("attempt {attempt} is in a log and is reported as not appended")
        })
    }

    /// An operation was acknowledged to its client.
    ///
    /// # Errors
    ///
    /// It did not, or elsewhere, or twice, or before something that was shown before it began.
    pub fn acknowledged(
        &mut self,
        operation: u64,
        answer: Option<Answer>,
        committed: &CommittedLog,
    ) -> Checked {
        let Some(answer) = answer else {
            let what = format!("operation {operation} got the answer of another entry");
            return Err(Violation::new("exactly-once", what));
        };
        ensure(answer.operation == operation, "exactly-once", || {
            format!(
                "operation {operation} got the answer of operation {}",
                answer.operation
            )
        })?;
        ensure(
            committed.first_of(operation) == Some(answer.index),
            "acknowledged-lost",
            || {
                format!(
                    "operation {operation} is acknowledged at {} and not there",
                    answer.index
                )
            },
        )?;
        let Some(record) = self.operations.get_mut(&operation) else {
            let what = format!("operation {operation} is acknowledged and was never begun");
            return Err(Violation::new("exactly-once", what));
        };
        let first = *record.acknowledged.get_or_insert(answer.index);
        let before = record.shown_before;
        ensure(first == answer.index, "exactly-once", || {
            format!(
                "operation {operation} took effect at {first} and at {}",
                answer.index
            )
        })?;
        ensure(answer.index > before, "real-time-order", || {
            format!(
                "operation {operation} took effect at {}, though {before} was shown before it began",
                answer.index
            )
        })?;
        self.shown = self.shown.max(answer.index);
        self.acknowledged += 1;
        Ok(())
    }

    /// A read that began when `shown_before` had been shown returns everything up to `seen`.
    ///
    /// # Errors
    ///
    /// It is stale (R14).
    pub fn read(&mut self, shown_before: LogIndex, seen: LogIndex) -> Checked {
        ensure(seen >= shown_before, "stale-read", || {
            format!("a read returned {seen}, though {shown_before} was shown before it began")
        })?;
        self.shown = self.shown.max(seen);
        self.reads += 1;
        Ok(())
    }

    fn attempt(&mut self, attempt: u64) -> &mut Attempt {
        let place = usize::try_from(attempt).expect("attempts are few");
        if self.attempts.len() <= place {
            self.attempts.resize(place + 1, Attempt::default());
        }
        &mut self.attempts[place]
    }
}
