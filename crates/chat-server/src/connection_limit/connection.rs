//! What is known of one accepted connection, shared by its stream and its requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Source;

/// How many pages are read at once for a new connection. Each one that it takes lets it have one more
/// at a time, so that a client which does not take any costs no more than these.
const READS_AT_FIRST: usize = 2;
/// How many it may have in the end: with a few connections more than the disk serves at once.
const READS_MAX: usize = 32;

/// One connection. Requests find it among their extensions.
#[derive(Debug)]
pub(crate) struct Connection {
    number: u64,
    source: Source,
    peer: Option<SocketAddr>,
    opened: Instant,
    /// It has sent what every HTTP/2 client sends first.
    begun: AtomicBool,
    requests: AtomicUsize,
    /// Pages that may be read at once.
    reads: Arc<Semaphore>,
    reads_max: AtomicUsize,
    /// When the last request was over, in milliseconds after `opened`.
    quiet_since_ms: AtomicU64,
    cut: AtomicBool,
    /// Of the task that carries the connection.
    carrier: AtomicWaker,
}

/// A request of a connection, from its head until its reply is sent or dropped.
#[derive(Debug)]
pub(crate) struct RequestUnderWay {
    connection: Arc<Connection>,
}

/// A page that is read for a connection, until the connection has taken it.
#[derive(Debug)]
pub(crate) struct ReadTurn {
    connection: Arc<Connection>,
    taken: AtomicBool,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    pub(super) fn new(
        number: u64,
        source: Source,
        peer: Option<SocketAddr>,
        opened: Instant,
    ) -> Self {
        Self {
            number,
            source,
            peer,
            opened,
            begun: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
            reads: Arc::new(Semaphore::new(READS_AT_FIRST)),
            reads_max: AtomicUsize::new(READS_AT_FIRST),
            quiet_since_ms: AtomicU64::new(0),
            cut: AtomicBool::new(false),
            carrier: AtomicWaker::new(),
        }
    }

    /// Different for every connection of a listener; later ones have higher numbers.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }

    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    pub(super) fn begins(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Counts a request as long as the result is held.
    pub(crate) fn begin_request(self: &Arc<Self>) -> RequestUnderWay {
        self.requests.fetch_add(1, Ordering::Relaxed);
        RequestUnderWay {
            connection: Arc::clone(self),
        }
    }

    /// Waits for its turn to read a page for this connection.
    pub(crate) async fn read_turn(self: &Arc<Self>) -> ReadTurn {
        let permit = Arc::clone(&self.reads).acquire_owned().await;
        ReadTurn {
            connection: Arc::clone(self),
            taken: AtomicBool::new(false),
            _permit: permit.expect("the semaphore is never closed"),
        }
    }

    /// For how long there has been no request; `None` while there is one.
    pub(super) fn quiet_for(&self, now: Instant) -> Option<Duration> {
        if self.requests.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let since = Duration::from_millis(self.quiet_since_ms.load(Ordering::Relaxed));
        Some(now.saturating_duration_since(self.opened + since))
    }

    /// Closes the connection: its next read or write fails.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.carrier.wake();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Whom to wake when it is cut.
    pub(super) fn carried_by(&self, waker: &Waker) {
        self.carrier.register(waker);
    }
}

impl ReadTurn {
    /// The whole page was handed over.
    pub(crate) fn is_taken(&self) {
        self.taken.store(true, Ordering::Relaxed);
    }
}

impl Drop for ReadTurn {
    fn drop(&mut self) {
        let connection = &self.connection;
        let more = |max| (max < READS_MAX).then_some(max + 1);
        let (get, set) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.taken.load(get) && connection.reads_max.fetch_update(set, get, more).is_ok() {
            connection.reads.add_permits(1);
        }
    }
}

impl Drop for RequestUnderWay {
    fn drop(&mut self) {
        let quiet_since = self.connection.opened.elapsed().as_millis();
        let quiet_since = u64::try_from(quiet_since).unwrap_or(u64::MAX);
        let connection = &self.connection;
        connection
            .quiet_since_ms
            .store(quiet_since, Ordering::Relaxed);
        connection.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
