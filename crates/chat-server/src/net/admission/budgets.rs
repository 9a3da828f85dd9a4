//! How many bytes of requests and of replies a node holds for its clients, and which client loses its
//! room first when that is not enough.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use chat_app::limits::log_throttle::LogThrottle;
use futures::task::AtomicWaker;

use crate::net::connection_limit::{Connection, Source};

/// How long a client may take to read a reply. A page of 1 MiB at half a megabit per second.
const READING_TIMEOUT: Duration = Duration::from_secs(20);
/// When there is no room for another reply, connections that take longer than this are closed.
const READING_TIMEOUT_WHEN_FULL: Duration = Duration::from_secs(1);

/// A page of ordinary messages is shorter.
const LARGE_REPLY_BYTES: usize = 64 << 10;

/// The size of each budget.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amounts {
    /// Requests between their head and their reply.
    requests: usize,
    /// Of these, requests whose body has not arrived. Each takes some KiB besides its bytes.
    stalled: usize,
    /// Bytes of requests, as they arrive. Handling one takes a few times as much.
    request_bytes: usize,
    /// Bytes of replies that the client has not read yet.
    reply_bytes: usize,
    /// Of `reply_bytes`, for one connection.
    reply_bytes_of_connection: usize,
}

impl Amounts {
    /// A node stays well below 256 MiB with all of it in use: 32 MiB of requests are 2,000 of the
    /// longest messages at once, 48 MiB of replies are 48 of the longest pages.
    const DEFAULT: Self = Self {
        requests: 8_192,
        stalled: 1_024,
        request_bytes: 32 << 20,
        reply_bytes: 48 << 20,
        reply_bytes_of_connection: 8 << 20,
    };
}

/// The memory that is held for all clients of a node.
#[derive(Debug)]
pub(crate) struct Budgets {
    amounts: Amounts,
    requests: Mutex<Requests>,
    replies: Mutex<Replies>,
    no_room: LogThrottle,
}

#[derive(Debug, Default)]
struct Requests {
    count: usize,
    bytes: usize,
    sources: HashMap<Source, Share>,
    next: u64,
    /// Bodies that have not arrived, the oldest first.
    stalled: BTreeMap<u64, Arc<Stalled>>,
}

/// The part of [`Requests`] of one source.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    count: usize,
    bytes: usize,
}

/// A request that was admitted; it counts until it is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    budgets: Arc<Budgets>,
    source: Source,
    /// Changed under the lock of `Budgets::requests` only.
    bytes: Arc<AtomicUsize>,
}

/// A body that has not arrived.
#[derive(Debug)]
pub(super) struct Stalled {
    source: Source,
    /// Of its request.
    bytes: Arc<AtomicUsize>,
    evicted: AtomicBool,
    reader: AtomicWaker,
}

#[derive(Debug, Default)]
struct Replies {
    bytes: usize,
    connections: HashMap<u64, usize>,
    next: u64,
    /// The oldest first.
    held: BTreeMap<u64, HeldReply>,
}

#[derive(Debug)]
struct HeldReply {
    bytes: usize,
    since: Instant,
    connection: Arc<Connection>,
}

/// Bytes of a reply, which count until this is dropped.
#[derive(Debug)]
pub(super) struct ReplyHold {
    budgets: Arc<Budgets>,
    number: u64,
}

impl Budgets {
    pub(crate) fn new() -> Arc<Self> {
        Self::with(Amounts::DEFAULT)
    }

    fn with(amounts: Amounts) -> Arc<Self> {
        Arc::new(Self {
            amounts,
            requests: Mutex::default(),
            replies: Mutex::default(),
            no_room: LogThrottle::default(),
        })
    }

    /// Admits a request whose head has so many bytes; `None` if there is no room for it.
    pub(super) fn admit(
        self: &Arc<Self>,
        connection: &Connection,
        head_bytes: usize,
    ) -> Option<Arc<Admitted>> {
        let source = connection.source();
        let mut requests = self.lock_requests();
        let share = requests.sources.get(&source).copied().unwrap_or_default();
        // One source may use half of it.
        let full = requests.count >= self.amounts.requests
            || share.count >= self.amounts.requests / 2
            || !self.make_room(&mut requests, source, head_bytes);
        if full {
            self.log_no_room("requests");
            return None;
        }
        requests.count += 1;
        requests.sources.entry(source).or_default().count += 1;
        requests.add(source, head_bytes);
        Some(Arc::new(Admitted {
            budgets: Arc::clone(self),
            source,
            bytes: Arc::new(AtomicUsize::new(head_bytes)),
        }))
    }

    /// True when `bytes` more of `source` fit. To make room it evicts bodies that have not arrived, the
    /// oldest first: those of the same source if that has too much, otherwise those of all sources.
    fn make_room(&self, requests: &mut Requests, source: Source, bytes: usize) -> bool {
        let max = self.amounts.request_bytes;
        loop {
            let share = requests.sources.get(&source).map_or(0, |share| share.bytes);
            let same_source = share + bytes > max / 2;
            if !same_source && requests.bytes + bytes <= max {
                return true;
            }
            let mut stalled = requests.stalled.iter();
            let oldest = stalled.find(|(_, stalled)| !same_source || stalled.source == source);
            let Some(oldest) = oldest.map(|(number, _)| *number) else {
                return false;
            };
            requests.evict(oldest);
        }
    }

    /// Reserves room for the bytes of a reply on `connection`; `None` if there is none. Large replies
    /// may use three quarters of the budget.
    pub(super) fn hold_reply(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        bytes: usize,
    ) -> Option<ReplyHold> {
        let now = Instant::now();
        let mut replies = self.lock_replies();
        let of_connection = replies.connections.get(&connection.number());
        let of_connection = of_connection.copied().unwrap_or(0);
        // Each connection may have one reply, if there is room at all.
        let share = self.amounts.reply_bytes_of_connection;
        let fits = of_connection == 0 || of_connection + bytes <= share;
        let max = if bytes > LARGE_REPLY_BYTES {
            self.amounts.reply_bytes / 4 * 3
        } else {
            self.amounts.reply_bytes
        };
        if fits && replies.bytes + bytes > max {
            replies.close_older_than(READING_TIMEOUT_WHEN_FULL, now);
        }
        if !fits || replies.bytes + bytes > max {
            drop(replies);
            self.log_no_room("replies");
            return None;
        }
        let number = replies.next;
        replies.next += 1;
        replies.bytes += bytes;
        *replies.connections.entry(connection.number()).or_default() += bytes;
        let held = HeldReply {
            bytes,
            since: now,
            connection: Arc::clone(connection),
        };
        replies.held.insert(number, held);
        Some(ReplyHold {
            budgets: Arc::clone(self),
            number,
        })
    }

    /// Closes connections that have not taken a reply for too long.
    pub(crate) fn close_slow_readers(&self, now: Instant) {
        self.lock_replies().close_older_than(READING_TIMEOUT, now);
    }

    fn log_no_room(&self, whose: &str) {
        if let Some(times) = self.no_room.record(Instant::now()) {
            tracing::warn!(
                whose,
                times,
                "no memory left in the budget for what clients send or read"
            );
        }
    }

    fn lock_requests(&self) -> MutexGuard<'_, Requests> {
        // Nothing panics while it is held; the same below.
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_replies(&self) -> MutexGuard<'_, Replies> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Requests {
    fn add(&mut self, source: Source, bytes: usize) {
        self.bytes += bytes;
        self.sources.entry(source).or_default().bytes += bytes;
    }

    fn subtract(&mut self, source: Source, bytes: usize) {
        self.bytes -= bytes;
        if let Some(share) = self.sources.get_mut(&source) {
            share.bytes -= bytes;
        }
    }

    /// Its bytes no longer count: the body is dropped as soon as its task runs.
    fn evict(&mut self, number: u64) {
        if let Some(stalled) = self.stalled.remove(&number) {
            let bytes = stalled.bytes.swap(0, Ordering::Relaxed);
            self.subtract(stalled.source, bytes);
            stalled.evicted.store(true, Ordering::Release);
            stalled.reader.wake();
        }
    }
}

impl Admitted {
    /// Counts bytes of the body that have arrived; false if there is no room for them.
    pub(super) fn grow(&self, bytes: usize) -> bool {
        let mut requests = self.budgets.lock_requests();
        let fits = self.budgets.make_room(&mut requests, self.source, bytes);
        if fits {
            requests.add(self.source, bytes);
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.budgets.log_no_room("requests");
        }
        fits
    }

    /// Registers the body as not arrived. If there are too many, the oldest is evicted.
    pub(super) fn stall(&self) -> (u64, Arc<Stalled>) {
        let mut requests = self.budgets.lock_requests();
        while requests.stalled.len() >= self.budgets.amounts.stalled {
            let Some(oldest) = requests.stalled.first_key_value() else {
                break;
            };
            let oldest = *oldest.0;
            requests.evict(oldest);
        }
        let number = requests.next;
        requests.next += 1;
        let stalled = Arc::new(Stalled {
            source: self.source,
            bytes: Arc::clone(&self.bytes),
            evicted: AtomicBool::new(false),
            reader: AtomicWaker::new(),
        });
        requests.stalled.insert(number, Arc::clone(&stalled));
        (number, stalled)
    }

    /// The body has arrived or is dropped.
    pub(super) fn end_stall(&self, number: u64) {
        self.budgets.lock_requests().stalled.remove(&number);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut requests = self.budgets.lock_requests();
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        requests.count -= 1;
        requests.subtract(self.source, bytes);
        if let Some(share) = requests.sources.get_mut(&self.source) {
            share.count -= 1;
            if share.count == 0 && share.bytes == 0 {
                requests.sources.remove(&self.source);
            }
        }
    }
}

impl Stalled {
    /// Whether it was evicted. The task of `waker` is woken if that happens later.
    pub(super) fn is_evicted(&self, waker: &Waker) -> bool {
        self.reader.register(waker);
        self.evicted.load(Ordering::Acquire)
    }
}

impl Replies {
    fn close_older_than(&mut self, timeout: Duration, now: Instant) {
        while let Some((number, oldest)) = self.held.first_key_value() {
            if now.saturating_duration_since(oldest.since) < timeout {
                return;
            }
            let (number, connection) = (*number, Arc::clone(&oldest.connection));
            self.release(number);
            if !connection.is_closed() {
                tracing::debug!(peer = ?connection.peer(), "the connection of a client that does not read is closed");
                connection.close();
            }
        }
    }

    fn release(&mut self, number: u64) {
        let Some(held) = self.held.remove(&number) else {
            return;
        };
        self.bytes -= held.bytes;
        let connection = held.connection.number();
        if let Some(bytes) = self.connections.get_mut(&connection) {
            *bytes -= held.bytes;
            if *bytes == 0 {
                self.connections.remove(&connection);
            }
        }
    }
}

impl Drop for ReplyHold {
    fn drop(&mut self) {
        self.budgets.lock_replies().release(self.number);
    }
}

#[cfg(test)]
mod tests;
