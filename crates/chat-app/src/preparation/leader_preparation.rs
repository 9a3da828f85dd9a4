//! What the leader's part of every change works with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chat_store::ChatReader;

use crate::limits::inbox_room::InboxRoom;
use crate::limits::log_throttle::LogThrottle;
use crate::limits::quotas::Quotas;
use crate::log_clock::LogClock;

/// How long the sessions last that the leader opens.
#[derive(Clone, Copy, Debug)]
pub struct SessionLifetime {
    /// Without being used, in seconds.
    pub idle_seconds: u32,
    /// Since they began, in seconds.
    pub absolute_seconds: u32,
}

/// What the leader's part of every change works with.
#[derive(Debug)]
pub struct LeaderPreparation<P, H> {
    /// Sees what is published on this node.
    pub reader: ChatReader,
    /// Hashes passwords.
    pub passwords: P,
    /// Time and randomness.
    pub host: Arc<H>,
    /// Of sessions that it opens.
    pub lifetime: SessionLifetime,
    /// Gives times to commands.
    pub clock: Arc<LogClock>,
    /// Of accounts, and of the disk.
    pub quotas: Arc<Quotas>,
    /// Of inboxes.
    pub inboxes: InboxRoom,
    /// Of copies of sent messages, which do not count in inboxes.
    pub copies: InboxRoom,
    /// What it counts and keeps apart by itself.
    pub counters: Counters,
}

/// What a preparation counts and keeps apart by itself.
#[derive(Debug, Default)]
pub struct Counters {
    /// A repeated message is looked up; further requests are rejected without it. There are few
    /// readers, and accounts that exceed a limit must not occupy all of them.
    lookup: AtomicBool,
    pub(super) exceeded: LogThrottle,
    pub(super) not_understood: LogThrottle,
}

/// Ends a lookup when it is dropped.
pub(super) struct Lookup<'a>(&'a AtomicBool);

impl Counters {
    /// `None` while another lookup runs.
    pub(super) fn begin_lookup(&self) -> Option<Lookup<'_>> {
        let running = self.lookup.swap(true, Ordering::Acquire);
        (!running).then(|| Lookup(&self.lookup))
    }
}

impl Drop for Lookup<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
