//! The state of one accepted connection, shared by its stream and its requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;

use super::source::Source;
use crate::limits::permit_pool::PermitPool;

/// One connection. Requests find it among their extensions.
#[derive(Debug)]
pub(crate) struct Connection {
    number: u64,
    source: Source,
    peer: Option<SocketAddr>,
    opened: Instant,
    /// It has sent the HTTP/2 preface.
    begun: AtomicBool,
    requests: AtomicUsize,
    read_permits: Arc<PermitPool>,
    /// Bytes that were written and not yet counted for a page.
    written: AtomicUsize,
    /// When the last request ended, in milliseconds after `opened`.
    quiet_since_ms: AtomicU64,
    closed: AtomicBool,
    /// Wakes the task that serves the connection.
    task_waker: AtomicWaker,
}

/// A request of a connection, from its head until its reply is sent or dropped.
#[derive(Debug)]
pub(crate) struct RequestUnderWay {
    connection: Arc<Connection>,
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
            read_permits: PermitPool::of_connection(),
            written: AtomicUsize::new(0),
            quiet_since_ms: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            task_waker: AtomicWaker::new(),
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

    pub(super) fn set_begun(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Counts a request until the result is dropped.
    pub(crate) fn begin_request(self: &Arc<Self>) -> RequestUnderWay {
        self.requests.fetch_add(1, Ordering::Relaxed);
        RequestUnderWay {
            connection: Arc::clone(self),
        }
    }

    /// The permits to read pages for it.
    pub(crate) fn read_permits(&self) -> &Arc<PermitPool> {
        &self.read_permits
    }

    /// The operating system has accepted so many bytes.
    pub(crate) fn has_written(&self, bytes: usize) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether a page of so many bytes was written. No byte counts for two pages.
    pub(crate) fn has_taken(&self, bytes: usize) -> bool {
        let rest = |written: usize| written.checked_sub(bytes);
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        self.written.fetch_update(set, get, rest).is_ok()
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
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.task_waker.wake();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Sets the task to wake when the connection is closed.
    pub(crate) fn register_task(&self, waker: &Waker) {
        self.task_waker.register(waker);
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
