//! How many pages are read at once, for one connection and for one session over all its connections.
//!
//! A page is long and expensive, but the request for it is short and cheap. A client that has pages read and does
//! not take them gets few: each connection and each session begins with a few permits, gets one more
//! for each page that it has taken, and one less for each page that it has not. A permit is held until
//! the connection has taken the page. A page counts as taken when the operating system has accepted
//! its bytes for the connection, whatever HTTP/2 reports.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chat_app::limits::recent::Recent;
use chat_app::token::TokenHash;
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::limits::permit_pool::{PermitPool, PooledPermit};
use crate::net::connection_limit::Connection;

/// Sessions whose permits are remembered. A session that is dropped starts again.
const SESSIONS_MAX: usize = 32_768;
/// How long a permit is withheld whose page found no room in memory: otherwise the next page would be
/// read at once, again and again for nothing. After this time the client that occupies the room has
/// taken its page, or its connection is closed.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(1);

/// The permits of the sessions that have read recently.
#[derive(Debug)]
pub(crate) struct SessionReadPermits {
    sessions: Mutex<Recent<TokenHash, Arc<PermitPool>>>,
}

/// Permission to read one page.
#[derive(Debug)]
pub(crate) struct ReadPermit {
    connection: Arc<Connection>,
    /// Length of the page; 0 until it is counted.
    bytes: AtomicUsize,
    without_room: AtomicBool,
    /// From the connection's pool, and from the session's if there is one.
    pooled: Vec<PooledPermit>,
}

impl SessionReadPermits {
    pub(crate) fn new() -> Self {
        Self {
            sessions: Mutex::new(Recent::new(SESSIONS_MAX)),
        }
    }

    /// Waits for a permit to read a page for a connection, and for the session of `token`.
    pub(crate) async fn acquire(
        &self,
        connection: &Arc<Connection>,
        token: Option<TokenHash>,
    ) -> ReadPermit {
        let mut pooled = vec![connection.read_permits().acquire().await];
        if let Some(token) = token {
            pooled.push(self.of(token).acquire().await);
        }
        ReadPermit {
            connection: Arc::clone(connection),
            bytes: AtomicUsize::new(0),
            without_room: AtomicBool::new(false),
            pooled,
        }
    }

    fn of(&self, token: TokenHash) -> Arc<PermitPool> {
        // Nothing panics while it is held.
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = sessions.entry(token, PermitPool::of_session);
        Arc::clone(pool)
    }
}

impl ReadPermit {
    /// So many bytes of the page are queued for the connection.
    pub(crate) fn add_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// There was no room in memory for the page.
    pub(crate) fn set_without_room(&self) {
        self.without_room.store(true, Ordering::Relaxed);
    }
}

impl Drop for ReadPermit {
    fn drop(&mut self) {
        let pooled = std::mem::take(&mut self.pooled);
        if self.without_room.load(Ordering::Relaxed) {
            // Without a runtime the process is ending, and no page is read any more.
            if let Ok(runtime) = Handle::try_current() {
                // As many tasks as a connection has permits.
                runtime.spawn(async move {
                    sleep(NO_ROOM_PAUSE).await;
                    drop(pooled);
                });
            }
            return;
        }
        let bytes = self.bytes.load(Ordering::Relaxed);
        if bytes == 0 {
            // There was no page.
            return;
        }
        let taken = self.connection.has_taken(bytes);
        for permit in pooled {
            permit.end(taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chat_app::token::TokenHash;
    use futures::FutureExt as _;
    use tokio::time::Instant;

    use super::{NO_ROOM_PAUSE, ReadPermit, SessionReadPermits};
    use crate::limits::permit_pool::{CONNECTION_PERMITS, SESSION_PERMITS};
    use crate::net::connection_limit::{Connection, ConnectionLimits, Connections};

    const PAGE_BYTES: usize = 1 << 20;
    const TOKEN: Option<TokenHash> = Some(TokenHash([7; 32]));

    fn connections() -> impl Fn() -> Arc<Connection> {
        let limits = ConnectionLimits {
            total: 1_000,
            per_source: 1_000,
            idle: None,
        };
        let connections = Connections::new("test", limits);
        move || connections.admit(None).unwrap()
    }

    /// A permit that is free now, for a page that is queued for the connection.
    fn permit(
        sessions: &SessionReadPermits,
        connection: &Arc<Connection>,
        token: Option<TokenHash>,
    ) -> Option<ReadPermit> {
        let permit = sessions.acquire(connection, token).now_or_never()?;
        permit.add_bytes(PAGE_BYTES);
        Some(permit)
    }

    #[test]
    fn session_that_takes_nothing_reads_few_pages_on_all_its_connections() {
        let (sessions, connect) = (SessionReadPermits::new(), connections());
        let connections: Vec<_> = (0..20).map(|_| connect()).collect();
        let all = || {
            let permits = connections
                .iter()
                .flat_map(|connection| [(); 3].map(|()| permit(&sessions, connection, TOKEN)));
            permits.flatten().collect::<Vec<_>>()
        };
        for _ in 0..3 {
            let permits = all();
            assert_eq!(permits.len(), SESSION_PERMITS.0);
        }
        // Another session does not wait for the first one's permits.
        let _permits = all();
        let other = Some(TokenHash([8; 32]));
        assert!(permit(&sessions, &connect(), other).is_some());
    }

    #[test]
    fn permits_grow_with_pages_taken_and_shrink_with_pages_not_taken() {
        let (sessions, connection) = (SessionReadPermits::new(), connections()());
        // How many permits there are; of their pages `taken` are taken, the others not.
        let count = |taken: usize| {
            let permits =
                (0..=CONNECTION_PERMITS.1).map_while(|_| permit(&sessions, &connection, None));
            let permits: Vec<_> = permits.collect();
            connection.has_written(taken * PAGE_BYTES);
            permits.len()
        };
        let counts = [2, 3, 6, 0, 0].map(count);
        assert_eq!(counts, [2, 4, 6, 12, 2]);
        for _ in 0..2 * CONNECTION_PERMITS.1 {
            connection.has_written(PAGE_BYTES);
            drop(permit(&sessions, &connection, None));
        }
        assert_eq!(count(0), CONNECTION_PERMITS.1);
    }

    #[test]
    fn request_without_page_changes_no_permits() {
        let (sessions, connection) = (SessionReadPermits::new(), connections()());
        for _ in 0..8 {
            drop(sessions.acquire(&connection, TOKEN).now_or_never().unwrap());
        }
        let permits = [(); 3].map(|()| permit(&sessions, &connection, TOKEN).is_some());
        assert_eq!(permits, [true; 3], "each is given back");
        let permits: Vec<_> = (0..3)
            .map(|_| permit(&sessions, &connection, TOKEN))
            .collect();
        assert!(permits[1].is_some() && permits[2].is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn permit_without_room_is_withheld() {
        let (sessions, connection) = (SessionReadPermits::new(), connections()());
        for _ in 0..CONNECTION_PERMITS.0 {
            permit(&sessions, &connection, None)
                .unwrap()
                .set_without_room();
        }
        assert!(permit(&sessions, &connection, None).is_none());
        let begun = Instant::now();
        drop(sessions.acquire(&connection, None).await);
        assert!(begun.elapsed() >= NO_ROOM_PAUSE);
    }
}
