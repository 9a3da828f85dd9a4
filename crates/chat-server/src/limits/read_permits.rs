//! How many pages are read at once, for one connection and for one session over all its connections.
//!
//! A page is long and expensive, and asking for it is neither. Whoever has pages read and does not
//! take them gets few: each connection and each session begins with a few turns, has one more for each
//! page that it has taken, and one less for each that it has not. A turn lasts until the connection has
//! taken the page. What counts as taken is what the system has taken for the connection, whatever
//! HTTP/2 says.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::auth::token::TokenHash;
use crate::limits::recent::Recent;
use crate::net::connection_limit::Connection;

/// Turns of a new connection, and how many it may have in the end: with a few connections more than
/// the disk serves at once.
const CONNECTION_PERMITS: (usize, usize) = (2, 32);
/// The same for a session: at first more than a person needs, and enough when a lost connection still
/// holds some; in the end as many as make one session of a program as fast as many.
const SESSION_PERMITS: (usize, usize) = (4, 256);
/// Sessions whose turns are remembered. One that is forgotten begins anew.
const SESSIONS_MAX: usize = 32_768;
/// How long a turn rests whose page found no room: else the next page would be read at once, again
/// and again for nothing. By then whoever holds the room has taken what it holds, or is closed.
const REST_WITHOUT_ROOM: Duration = Duration::from_secs(1);

/// The turns of one connection or session.
#[derive(Debug)]
pub(crate) struct ReadPermits {
    free: Arc<Semaphore>,
    /// Free or not.
    count: AtomicUsize,
    first: usize,
    max: usize,
}

/// The turns of the sessions that have read lately.
#[derive(Debug)]
pub(crate) struct SessionReadPermits {
    sessions: Mutex<Recent<TokenHash, Arc<ReadPermits>>>,
}

/// Read one page.
#[derive(Debug)]
pub(crate) struct ReadPermit {
    connection: Arc<Connection>,
    /// Of the page; 0 while nobody counts them.
    bytes: AtomicUsize,
    without_room: AtomicBool,
    /// Of the connection, and of the session if there is one.
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    turns: Arc<ReadPermits>,
    permit: OwnedSemaphorePermit,
}

impl ReadPermits {
    pub(crate) fn of_connection() -> Arc<Self> {
        Self::new(CONNECTION_PERMITS)
    }

    fn new((first, max): (usize, usize)) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(first)),
            count: AtomicUsize::new(first),
            first,
            max,
        })
    }

    async fn turn(self: &Arc<Self>) -> Held {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        Held {
            turns: Arc::clone(self),
            permit: permit.expect("the semaphore is never closed"),
        }
    }

    /// Changes the count as long as `change` allows it.
    fn recount(&self, change: impl Fn(usize) -> Option<usize>) -> bool {
        let relaxed = Ordering::Relaxed;
        self.count.fetch_update(relaxed, relaxed, change).is_ok()
    }
}

impl Held {
    fn end(self, taken: bool) {
        let turns = &self.turns;
        if taken {
            if turns.recount(|count| (count < turns.max).then_some(count + 1)) {
                turns.free.add_permits(1);
            }
        } else if turns.recount(|count| (count > turns.first).then(|| count - 1)) {
            self.permit.forget();
        }
    }
}

impl SessionReadPermits {
    pub(crate) fn new() -> Self {
        Self {
            sessions: Mutex::new(Recent::new(SESSIONS_MAX)),
        }
    }

    /// Waits for the turn to read a page for a connection, and for whoever has `token`.
    pub(crate) async fn turn(
        &self,
        connection: &Arc<Connection>,
        token: Option<TokenHash>,
    ) -> ReadPermit {
        let mut held = vec![connection.read_permits().turn().await];
        if let Some(token) = token {
            held.push(self.of(token).turn().await);
        }
        ReadPermit {
            connection: Arc::clone(connection),
            bytes: AtomicUsize::new(0),
            without_room: AtomicBool::new(false),
            held,
        }
    }

    fn of(&self, token: TokenHash) -> Arc<ReadPermits> {
        // Nothing panics while it is held.
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = sessions.entry(token, || ReadPermits::new(SESSION_PERMITS));
        Arc::clone(turns)
    }
}

impl ReadPermit {
    /// So many bytes of the page wait for the connection.
    pub(crate) fn holds(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// There was no room for the page.
    pub(crate) fn finds_no_room(&self) {
        self.without_room.store(true, Ordering::Relaxed);
    }
}

impl Drop for ReadPermit {
    fn drop(&mut self) {
        let held = std::mem::take(&mut self.held);
        if self.without_room.load(Ordering::Relaxed) {
            // Without a runtime the process ends, and nobody reads.
            if let Ok(runtime) = Handle::try_current() {
                // As many tasks as a connection has turns.
                runtime.spawn(async move {
                    sleep(REST_WITHOUT_ROOM).await;
                    drop(held);
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
        for one in held {
            one.end(taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt as _;
    use tokio::time::Instant;

    use super::{
        CONNECTION_PERMITS, REST_WITHOUT_ROOM, ReadPermit, SESSION_PERMITS, SessionReadPermits,
    };
    use crate::auth::token::TokenHash;
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

    /// A turn that is there without waiting, for a page that waits for the connection.
    fn turn(
        sessions: &SessionReadPermits,
        connection: &Arc<Connection>,
        token: Option<TokenHash>,
    ) -> Option<ReadPermit> {
        let turn = sessions.turn(connection, token).now_or_never()?;
        turn.holds(PAGE_BYTES);
        Some(turn)
    }

    #[test]
    fn a_session_that_takes_nothing_has_few_pages_on_all_its_connections() {
        let (sessions, connect) = (SessionReadPermits::new(), connections());
        let connections: Vec<_> = (0..20).map(|_| connect()).collect();
        let all = || {
            let turns = connections
                .iter()
                .flat_map(|connection| [(); 3].map(|()| turn(&sessions, connection, TOKEN)));
            turns.flatten().collect::<Vec<_>>()
        };
        for _ in 0..3 {
            let turns = all();
            assert_eq!(turns.len(), SESSION_PERMITS.0);
        }
        // Another session does not wait for that one's.
        let _turns = all();
        let other = Some(TokenHash([8; 32]));
        assert!(turn(&sessions, &connect(), other).is_some());
    }

    #[test]
    fn turns_grow_with_what_is_taken_and_shrink_with_what_is_not() {
        let (sessions, connection) = (SessionReadPermits::new(), connections()());
        // How many there are; of the pages so many are taken, the others not.
        let count = |taken: usize| {
            let turns =
                (0..=CONNECTION_PERMITS.1).map_while(|_| turn(&sessions, &connection, None));
            let turns: Vec<_> = turns.collect();
            connection.has_written(taken * PAGE_BYTES);
            turns.len()
        };
        let counts = [2, 3, 6, 0, 0].map(count);
        assert_eq!(counts, [2, 4, 6, 12, 2]);
        for _ in 0..2 * CONNECTION_PERMITS.1 {
            connection.has_written(PAGE_BYTES);
            drop(turn(&sessions, &connection, None));
        }
        assert_eq!(count(0), CONNECTION_PERMITS.1);
    }

    #[test]
    fn a_refusal_changes_no_turns() {
        let (sessions, connection) = (SessionReadPermits::new(), connections()());
        for _ in 0..8 {
            drop(sessions.turn(&connection, TOKEN).now_or_never().unwrap());
        }
        let turns = [(); 3].map(|()| turn(&sessions, &connection, TOKEN).is_some());
        assert_eq!(turns, [true; 3], "each is given back");
        let turns: Vec<_> = (0..3)
            .map(|_| turn(&sessions, &connection, TOKEN))
            .collect();
        assert!(turns[1].is_some() && turns[2].is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_without_room_rests() {
        let (sessions, connection) = (SessionReadPermits::new(), connections()());
        for _ in 0..CONNECTION_PERMITS.0 {
            turn(&sessions, &connection, None).unwrap().finds_no_room();
        }
        assert!(turn(&sessions, &connection, None).is_none());
        let begun = Instant::now();
        drop(sessions.turn(&connection, None).await);
        assert!(begun.elapsed() >= REST_WITHOUT_ROOM);
    }
}
