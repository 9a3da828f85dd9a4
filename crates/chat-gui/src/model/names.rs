//! What things are called: people, messages, requests, nodes and places in the log. Nothing here
//! knows how they are shown or where they come from.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use uuid::Uuid;

/// The longest text of a message, in bytes of UTF-8; the server's own limit.
pub const BODY_BYTES_MAX: usize = 16_384;
/// The longest name of an account, in characters; the server's own limit.
pub const NAME_CHARACTERS_MAX: usize = 64;
/// The longest pattern for a search of accounts, in bytes; the server's own limit.
pub const PATTERN_BYTES_MAX: usize = 64;
/// How many of the oldest unread messages can be read at once, at most.
pub const READ_NEXT_MAX: u16 = 100;

/// The name of an account. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// A message's name for good, made by whoever sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub Uuid);

/// A request's name, the same on every attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub Uuid);

/// The number of a node, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// A leader's time in office; each election begins a higher one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

/// A position in the log that all nodes share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogIndex(pub u64);

/// Where an acknowledged message stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commit {
    /// Its position.
    pub index: LogIndex,
    /// The term of the leader that appended it.
    pub term: Term,
}

/// Ids for what a person makes, drawn once. The window draws random ones, tests count.
pub struct IdSource(Box<dyn FnMut() -> Uuid + Send>);

/// A password on its way to the servers. Shown nowhere, not even in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Name {
    /// A name as somebody wrote it; whether it is allowed is for the server to say.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(Arc::from(text.as_ref()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}", self.0)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LogIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl IdSource {
    /// Ids that nobody else draws.
    pub fn random() -> Self {
        Self(Box::new(Uuid::now_v7))
    }

    /// 1, 2, 3 and so on, for tests and for the demo.
    pub fn counting() -> Self {
        let mut last = 0;
        Self(Box::new(move || {
            last += 1;
            Uuid::from_u128(last)
        }))
    }

    /// The next one.
    pub fn draw(&mut self) -> Uuid {
        (self.0)()
    }
}

impl fmt::Debug for IdSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdSource")
    }
}

impl Password {
    /// What a person typed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; for the request that needs it and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}
