//! The limit on connections of a listener: a number in all, and a number for one source address.
//!
//! Without a limit, a flood of connections uses up every file that the process may open, and then none
//! is left for the other nodes and the disk. With only a limit, the first connections keep the others
//! out. So when there is no slot left, a new connection replaces an idle one: the oldest that has not
//! sent its HTTP/2 preface, otherwise the one that has been without a request for longest. Only if all
//! of them are in use is the new connection closed, and its client tries another node.
//!
//! A connection counts for its source once it has sent its preface. Connections without a preface
//! share half of all slots, which is more than are ever accepted at once: so a client that sends its
//! preface at once is served before a flood of silent connections could replace it.

mod connection;
mod source;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chat_app::limits::log_throttle::LogThrottle;

pub(crate) use connection::{Connection, RequestUnderWay};
pub(crate) use source::Source;

/// A connection that was used within this time is not idle: its client may be about to send another
/// request.
const IDLE_MIN: Duration = Duration::from_secs(1);

/// How many connections a listener holds, and how long a connection may be without a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionLimits {
    /// In all.
    pub(crate) total: usize,
    /// From one source.
    pub(crate) per_source: usize,
    /// A connection is closed after so long without a request; `None` for never.
    pub(crate) idle: Option<Duration>,
}

/// The connections of one listener.
#[derive(Debug)]
pub(crate) struct Connections {
    /// For the log.
    listener: &'static str,
    limits: ConnectionLimits,
    inner: Mutex<Inner>,
    full: LogThrottle,
    rejected: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    /// By number, so the oldest is first.
    open: BTreeMap<u64, Arc<Connection>>,
    /// Of `open`, the connections that have not sent their preface.
    silent: BTreeSet<u64>,
    /// How many connections of each source have sent their preface.
    sources: HashMap<Source, usize>,
}

impl Connections {
    pub(crate) fn new(listener: &'static str, limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self {
            listener,
            limits,
            inner: Mutex::default(),
            full: LogThrottle::default(),
            rejected: AtomicU64::new(0),
        })
    }

    /// A slot for a connection from `peer`; `None` if all slots are used by connections that are not
    /// idle.
    pub(crate) fn admit(self: &Arc<Self>, peer: Option<SocketAddr>) -> Option<Arc<Connection>> {
        let source = Source::from(peer);
        let now = Instant::now();
        let mut inner = self.lock();
        let full = inner.open.len() >= self.limits.total
            || inner.silent.len() >= (self.limits.total / 2).max(1);
        if full && !self.make_room(&mut inner, source, now, |_| true) {
            return None;
        }
        let number = inner.next;
        inner.next += 1;
        let connection = Arc::new(Connection::new(number, source, peer, now));
        inner.open.insert(number, Arc::clone(&connection));
        inner.silent.insert(number);
        Some(connection)
    }

    /// The connection has sent its preface and counts for its source from now on. It is closed if the
    /// source has too many.
    pub(super) fn begin(&self, connection: &Connection) {
        let source = connection.source();
        let mut inner = self.lock();
        if !inner.silent.contains(&connection.number()) {
            return;
        }
        let of_source = inner.sources.get(&source).copied().unwrap_or(0);
        let now = Instant::now();
        let others = |other: &Connection| other.has_begun() && other.source() == source;
        if of_source >= self.limits.per_source && !self.make_room(&mut inner, source, now, others) {
            inner.remove(connection.number());
            connection.close();
            return;
        }
        inner.silent.remove(&connection.number());
        *inner.sources.entry(source).or_default() += 1;
        connection.set_begun();
    }

    /// Closes the idlest connection for which `may_go` is true; false if there is none.
    fn make_room(
        &self,
        inner: &mut Inner,
        source: Source,
        now: Instant,
        may_go: impl Fn(&Connection) -> bool,
    ) -> bool {
        let idle = inner.idlest(now, may_go);
        if idle.is_none() {
            self.rejected.fetch_add(1, Ordering::Relaxed);
        }
        self.log_full(inner, source, now);
        idle.is_some_and(|idle| {
            inner.remove(idle.number());
            idle.close();
            true
        })
    }

    /// Closes the idlest connection, so that its file can be used otherwise.
    pub(crate) fn close_idlest(&self) {
        let mut inner = self.lock();
        if let Some(idle) = inner.idlest(Instant::now(), |_| true) {
            inner.remove(idle.number());
            idle.close();
        }
    }

    /// Closes connections that have been without a request for too long.
    pub(crate) fn close_idle(&self, now: Instant) {
        let Some(idle) = self.limits.idle else {
            return;
        };
        let mut inner = self.lock();
        let idle: Vec<Arc<Connection>> = inner
            .open
            .values()
            .filter(|connection| connection.quiet_for(now).is_some_and(|quiet| quiet >= idle))
            .cloned()
            .collect();
        for connection in idle {
            inner.remove(connection.number());
            connection.close();
        }
    }

    /// Frees the slot of a connection that has ended. If this module closed it, its slot was freed
    /// before.
    pub(super) fn release(&self, connection: &Connection) {
        self.lock().remove(connection.number());
    }

    fn log_full(&self, inner: &Inner, source: Source, now: Instant) {
        if let Some(times) = self.full.record(now) {
            let rejected = self.rejected.swap(0, Ordering::Relaxed);
            tracing::warn!(
                listener = self.listener,
                connections = inner.open.len(),
                connections_max = self.limits.total,
                per_source_max = self.limits.per_source,
                ?source,
                times,
                rejected,
                "connections are at their limit: idle ones were closed, others rejected"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Of the connections for which `may_go` is true: the oldest without a preface, otherwise the one
    /// that has been without a request for longest.
    fn idlest(
        &self,
        now: Instant,
        may_go: impl Fn(&Connection) -> bool,
    ) -> Option<Arc<Connection>> {
        let candidates = || self.open.values().filter(|connection| may_go(connection));
        let silent = self
            .silent
            .iter()
            .filter_map(|number| self.open.get(number));
        let silent = silent.into_iter().find(|connection| may_go(connection));
        let quiet = |connection: &&Arc<Connection>| connection.quiet_for(now);
        silent
            .or_else(|| {
                candidates()
                    .filter(|connection| quiet(connection).is_some_and(|quiet| quiet >= IDLE_MIN))
                    .max_by_key(quiet)
            })
            .cloned()
    }

    fn remove(&mut self, number: u64) {
        let Some(connection) = self.open.remove(&number) else {
            return;
        };
        if self.silent.remove(&number) {
            return;
        }
        if let Some(count) = self.sources.get_mut(&connection.source()) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&connection.source());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::{Connection, ConnectionLimits, Connections, IDLE_MIN, Source};

    const LIMITS: ConnectionLimits = ConnectionLimits {
        total: 3,
        per_source: 2,
        idle: Some(Duration::from_secs(60)),
    };

    fn address(text: &str) -> Option<SocketAddr> {
        Some(text.parse().unwrap())
    }

    /// A connection that has sent its preface.
    fn begun(connections: &Arc<Connections>, peer: &str) -> Arc<Connection> {
        let connection = connections.admit(address(peer)).unwrap();
        connections.begin(&connection);
        connection
    }

    #[test]
    fn source_does_not_take_all_slots() {
        let connections = Connections::new("test", LIMITS);
        let first = begun(&connections, "192.0.2.1:1");
        let _second = begun(&connections, "192.0.2.1:2");
        assert!(begun(&connections, "192.0.2.1:3").is_closed());
        let _other = begun(&connections, "192.0.2.2:1");
        assert!(connections.admit(address("192.0.2.3:1")).is_none(), "full");
        connections.release(&first);
        assert!(connections.admit(address("192.0.2.3:1")).is_some());
    }

    #[test]
    fn oldest_silent_connection_is_replaced_first() {
        let connections = Connections::new("test", LIMITS);
        let speaking = begun(&connections, "192.0.2.1:1");
        let silent = connections.admit(address("192.0.2.1:2")).unwrap();
        let newcomer = begun(&connections, "192.0.2.1:3");
        assert!(silent.is_closed());
        assert!(!speaking.is_closed() && !newcomer.is_closed());
        // Its end, a moment later, frees no second slot.
        connections.release(&silent);
        let _other = begun(&connections, "192.0.2.2:4");
        assert!(connections.admit(address("192.0.2.2:5")).is_none());
    }

    #[test]
    fn silent_connections_do_not_count_for_their_source() {
        let connections = Connections::new("test", ConnectionLimits { total: 8, ..LIMITS });
        let silent: Vec<_> = (0..4)
            .map(|_| connections.admit(address("192.0.2.1:1")).unwrap())
            .collect();
        let _speaking = begun(&connections, "192.0.2.1:2");
        let closed: Vec<bool> = silent.iter().map(|silent| silent.is_closed()).collect();
        assert_eq!(closed, [true, false, false, false], "half of the slots");
    }

    #[test]
    fn connection_with_a_request_is_not_replaced() {
        let connections = Connections::new("test", LIMITS);
        let working = begun(&connections, "192.0.2.1:1");
        let quiet = begun(&connections, "192.0.2.1:2");
        let request = working.begin_request();
        let later = Instant::now() + IDLE_MIN;
        let idlest = |may_go: Source| {
            let inner = connections.lock();
            inner.idlest(later, |other| other.source() == may_go)
        };
        let source = working.source();
        assert_eq!(
            idlest(source).map(|idle| idle.number()),
            Some(quiet.number())
        );
        connections.release(&quiet);
        assert!(idlest(source).is_none());
        drop(request);
        assert!(idlest(source).is_some());
    }

    #[test]
    fn idle_connection_is_closed() {
        let connections = Connections::new("test", LIMITS);
        let working = begun(&connections, "192.0.2.1:1");
        let quiet = begun(&connections, "192.0.2.1:2");
        let _request = working.begin_request();
        let now = Instant::now();
        connections.close_idle(now + Duration::from_secs(59));
        assert!(!quiet.is_closed());
        connections.close_idle(now + Duration::from_secs(61));
        assert!(quiet.is_closed() && !working.is_closed());
    }
}
