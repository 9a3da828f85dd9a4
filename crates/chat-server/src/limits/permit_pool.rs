//! Permits to read pages, for one connection or one session: few at first, one more for each page
//! that the client has taken, one less for each page that it has not taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits of a new connection, and the most that it may get: with a few connections more than the
/// disk serves at once.
pub(super) const CONNECTION_PERMITS: (usize, usize) = (2, 32);
/// The same for a session. At first more than a person needs, and enough when a lost connection
/// still holds some; at most as many as make one session of a program as fast as many sessions.
pub(super) const SESSION_PERMITS: (usize, usize) = (4, 256);

/// The permits of one connection or session.
#[derive(Debug)]
pub(crate) struct PermitPool {
    free: Arc<Semaphore>,
    /// Free or held.
    count: AtomicUsize,
    first: usize,
    max: usize,
}

/// A permit that is taken out of its pool until this is dropped or ended.
#[derive(Debug)]
pub(super) struct PooledPermit {
    pool: Arc<PermitPool>,
    permit: OwnedSemaphorePermit,
}

impl PermitPool {
    pub(crate) fn of_connection() -> Arc<Self> {
        Self::new(CONNECTION_PERMITS)
    }

    pub(super) fn of_session() -> Arc<Self> {
        Self::new(SESSION_PERMITS)
    }

    fn new((first, max): (usize, usize)) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(first)),
            count: AtomicUsize::new(first),
            first,
            max,
        })
    }

    pub(super) async fn acquire(self: &Arc<Self>) -> PooledPermit {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        PooledPermit {
            pool: Arc::clone(self),
            permit: permit.expect("the semaphore is never closed"),
        }
    }

    /// Changes the count as long as `change` allows it.
    fn recount(&self, change: impl Fn(usize) -> Option<usize>) -> bool {
        let relaxed = Ordering::Relaxed;
        self.count.fetch_update(relaxed, relaxed, change).is_ok()
    }
}

impl PooledPermit {
    /// Gives the permit back, and grows or shrinks the pool by whether the page was taken.
    pub(super) fn end(self, taken: bool) {
        let pool = &self.pool;
        if taken {
            if pool.recount(|count| (count < pool.max).then_some(count + 1)) {
                pool.free.add_permits(1);
            }
        } else if pool.recount(|count| (count > pool.first).then(|| count - 1)) {
            self.permit.forget();
        }
    }
}
