//! The commands of the simulated state machine and its answers.
//!
//! The machine is a list of operations: a repeated one changes nothing and gets the first answer
//! again (R15). Its state is a function of the committed log, so nodes keep only how far they are.

use bytes::Bytes;
use chat_consensus::LogIndex;

/// How much of a command or an answer is read here; what a service adds follows.
pub const PREFIX_BYTES: usize = 16;

/// One attempt of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// The same for every retry.
    pub operation: u64,
    /// Another one for every retry, so that "not appended" can be checked.
    pub attempt: u64,
}

/// What the state machine answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The operation that took effect.
    pub operation: u64,
    /// The index of its first entry.
    pub index: LogIndex,
}

impl Command {
    /// As bytes.
    pub fn encode(self) -> Bytes {
        pair(self.operation, self.attempt)
    }

    /// As bytes, with those of a service behind it.
    pub fn followed_by(self, rest: &[u8]) -> Bytes {
        followed_by(&self.encode(), rest)
    }

    /// From bytes; `None` if they are something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (operation, attempt) = unpair(bytes)?;
        Some(Self { operation, attempt })
    }
}

impl Answer {
    /// As bytes.
    pub fn encode(self) -> Bytes {
        pair(self.operation, self.index.0)
    }

    /// As bytes, with those of a service behind it.
    pub fn followed_by(self, rest: &[u8]) -> Bytes {
        followed_by(&self.encode(), rest)
    }

    /// From bytes; `None` if they are something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (operation, index) = unpair(bytes)?;
        let index = LogIndex(index);
        Some(Self { operation, index })
    }
}

fn pair(first: u64, second: u64) -> Bytes {
    let mut bytes = Vec::with_capacity(16);
    bytes.extend_from_slice(&first.to_le_bytes());
    bytes.extend_from_slice(&second.to_le_bytes());
    Bytes::from(bytes)
}

fn followed_by(prefix: &[u8], rest: &[u8]) -> Bytes {
    Bytes::from([prefix, rest].concat())
}

fn unpair(bytes: &[u8]) -> Option<(u64, u64)> {
    let (first, second) = bytes.split_at_checked(8)?;
    let first = u64::from_le_bytes(first.try_into().ok()?);
    let second = u64::from_le_bytes(second.get(..8)?.try_into().ok()?);
    Some((first, second))
}
