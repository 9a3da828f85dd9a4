//! The record of a run: always as a hash, on request also as lines of text.

use std::fmt;

/// The record of a run.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(crate) fn new(record_trace: bool) -> Self {
        Self {
            // FNV-1a's offset basis.
            hash: 0xcbf2_9ce4_8422_2325,
            lines: record_trace.then(Vec::new),
        }
    }

    /// Adds a number to the hash.
    pub(crate) fn note(&mut self, number: u64) {
        // FNV-1a over 8 bytes at once: distinguishes runs as well, and is eight times as fast.
        self.hash = (self.hash ^ number).wrapping_mul(0x0000_0100_0000_01b3);
        self.hash ^= self.hash >> 29;
    }

    /// Adds bytes to the hash.
    pub(crate) fn note_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.note(u64::from_le_bytes(word));
        }
    }

    /// Adds a line, if lines are recorded.
    pub(crate) fn record(&mut self, now: u64, what: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{} {}", Moment(now), what()));
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        self.lines.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

/// A time of the virtual clock, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(pub(crate) u64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6}.{:03} ms", self.0 / 1_000, self.0 % 1_000)
    }
}
