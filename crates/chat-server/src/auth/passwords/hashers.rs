//! The threads that hash: fewer than there are cores, at a lower priority than everything else, and
//! fed from a queue for each kind of request in turn.
//!
//! One core stays free for the thread that sends heartbeats; where there is only one core, the lower
//! priority has the same effect. So neither an election nor a message waits for a password.

use std::num::NonZero;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::fair_queue::{FairQueue, Lanes, Next};

/// By how much the niceness of the threads is above that of the process. Beside threads that use all
/// the time they can get, this gives the hashers a quarter of a core, so that a login still takes no
/// more than a second.
const NICENESS: i32 = 5;

/// What a password is needed for. Each kind has a separate queue, and hashers take from the queues in
/// turn: a flood of one kind does not delay the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Login,
    CreateUser,
    ChangePassword,
}

const KINDS: usize = 3;

/// A piece of work. If it is dropped without being done, its caller gets an error.
pub(super) struct Job {
    /// When its caller no longer waits for it.
    pub(super) deadline: Instant,
    pub(super) work: Box<dyn FnOnce() + Send>,
}

/// When a source may be served again, if not now.
type Paced = dyn Fn(u64, Instant) -> Option<Instant> + Send + Sync;

/// The threads and their queues. The threads end when this is dropped and the queues are empty.
pub(super) struct Hashers {
    shared: Arc<Shared>,
}

struct Shared {
    queues: Mutex<Queues>,
    changed: Condvar,
    paced: Box<Paced>,
}

struct Queues {
    kinds: [FairQueue<Job>; KINDS],
    /// The queue that is served next.
    turn: usize,
    closed: bool,
}

impl Hashers {
    /// Starts the threads; each queue holds at most `waiting_max` jobs.
    pub(super) fn start(
        waiting_max: usize,
        paced: impl Fn(u64, Instant) -> Option<Instant> + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queues: Mutex::new(Queues::new(waiting_max)),
            changed: Condvar::new(),
            paced: Box::new(paced),
        });
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        // Made first, so that threads that have started end when another one cannot.
        let hashers = Self { shared };
        for number in 0..cores.saturating_sub(1).max(1) {
            let shared = Arc::clone(&hashers.shared);
            thread::Builder::new()
                .name(format!("hasher {number}"))
                .spawn(move || shared.work())?;
        }
        Ok(hashers)
    }

    /// Adds a job; drops one if that is one too many.
    pub(super) fn push(&self, kind: Kind, lanes: Lanes, job: Job) {
        let shed = self.shared.lock().kinds[kind as usize].push(lanes, job);
        drop(shed);
        self.shared.changed.notify_one();
    }
}

impl Drop for Hashers {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// What one thread does.
    fn work(&self) {
        // On Linux niceness belongs to the thread. If it cannot be set, all threads have one priority.
        if let Err(error) = rustix::process::nice(NICENESS) {
            tracing::warn!(%error, "the priority of password hashing cannot be lowered");
        }
        while let Some(job) = self.next() {
            if Instant::now() >= job.deadline {
                continue;
            }
            // The caller gets an error, since the work is dropped; other jobs still need the thread.
            if panic::catch_unwind(AssertUnwindSafe(job.work)).is_err() {
                tracing::error!("hashing a password has panicked");
            }
        }
    }

    /// The next job, once there is one; `None` when there will be no more.
    fn next(&self) -> Option<Job> {
        let mut queues = self.lock();
        loop {
            let now = Instant::now();
            match queues.pop(|source| (self.paced)(source, now)) {
                Next::Item(job) => return Some(job),
                Next::At(_) | Next::Empty if queues.closed => return None,
                Next::At(at) => {
                    let wait = at.saturating_duration_since(now);
                    let waited = self.changed.wait_timeout(queues, wait);
                    queues = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                Next::Empty => {
                    let waited = self.changed.wait(queues);
                    queues = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        // Nothing panics while it is held.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    fn new(waiting_max: usize) -> Self {
        Self {
            kinds: std::array::from_fn(|_| FairQueue::new(waiting_max)),
            turn: 0,
            closed: false,
        }
    }

    /// From the queue that is next, or the first one after it that has something.
    fn pop(&mut self, paced: impl Fn(u64) -> Option<Instant>) -> Next<Job> {
        let mut earliest: Option<Instant> = None;
        for _ in 0..KINDS {
            let queue = &mut self.kinds[self.turn];
            self.turn = (self.turn + 1) % KINDS;
            match queue.pop(&paced) {
                Next::Item(job) => return Next::Item(job),
                Next::At(at) => {
                    earliest = Some(earliest.map_or(at, |earliest| earliest.min(at)));
                }
                Next::Empty => {}
            }
        }
        earliest.map_or(Next::Empty, Next::At)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::{Hashers, Job, Kind, Queues};
    use crate::auth::passwords::fair_queue::{Lanes, Next};

    /// Far above what any test here takes.
    const TEST_TIMEOUT: Duration = Duration::from_secs(20);

    const LANES: Lanes = Lanes {
        source: 1,
        connection: 1,
        account: 1,
    };

    fn job(work: impl FnOnce() + Send + 'static) -> Job {
        Job {
            deadline: Instant::now() + TEST_TIMEOUT,
            work: Box::new(work),
        }
    }

    /// The niceness of this thread, from the kernel.
    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[test]
    fn hashers_have_a_lower_priority() {
        let hashers = Hashers::start(8, |_, _| None).unwrap();
        let (sender, receiver) = mpsc::channel();
        hashers.push(
            Kind::Login,
            LANES,
            job(move || sender.send(niceness()).unwrap()),
        );
        let found = receiver.recv_timeout(TEST_TIMEOUT).unwrap();
        assert_eq!(found, (niceness() + super::NICENESS).min(19));
    }

    #[test]
    fn flood_of_one_kind_does_not_delay_the_others() {
        let mut queues = Queues::new(200);
        let (sender, receiver) = mpsc::channel();
        let mut push = |kind: Kind| {
            let sender = sender.clone();
            let job = job(move || sender.send(kind).unwrap());
            assert!(queues.kinds[kind as usize].push(LANES, job).is_none());
        };
        for _ in 0..120 {
            push(Kind::Login);
        }
        push(Kind::CreateUser);
        push(Kind::ChangePassword);
        for _ in 0..4 {
            let Next::Item(job) = queues.pop(|_| None) else {
                panic!("there are more");
            };
            (job.work)();
        }
        let done: Vec<Kind> = receiver.try_iter().collect();
        let expected = [
            Kind::Login,
            Kind::CreateUser,
            Kind::ChangePassword,
            Kind::Login,
        ];
        assert_eq!(done, expected);
    }

    #[test]
    fn panicking_job_ends_no_hasher() {
        let hashers = Hashers::start(8, |_, _| None).unwrap();
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            hashers.push(
                Kind::Login,
                LANES,
                job(|| panic!("a panic that the test expects")),
            );
        }
        let (sender, receiver) = mpsc::channel();
        hashers.push(Kind::Login, LANES, job(move || sender.send(()).unwrap()));
        receiver.recv_timeout(TEST_TIMEOUT).unwrap();
    }

    #[test]
    fn job_past_its_deadline_is_not_done() {
        let hashers = Hashers::start(8, |_, _| None).unwrap();
        let (sender, receiver) = mpsc::channel();
        let late = sender.clone();
        hashers.push(
            Kind::Login,
            LANES,
            Job {
                deadline: Instant::now(),
                work: Box::new(move || late.send("late").unwrap()),
            },
        );
        hashers.push(
            Kind::Login,
            LANES,
            job(move || sender.send("in time").unwrap()),
        );
        assert_eq!(receiver.recv_timeout(TEST_TIMEOUT).unwrap(), "in time");
    }

    #[test]
    fn paced_source_is_served_when_its_pause_is_over() {
        let at = Instant::now() + Duration::from_millis(50);
        let hashers = Hashers::start(8, move |_, now| (now < at).then_some(at)).unwrap();
        let (sender, receiver) = mpsc::channel();
        hashers.push(
            Kind::Login,
            LANES,
            job(move || sender.send(Instant::now()).unwrap()),
        );
        assert!(receiver.recv_timeout(TEST_TIMEOUT).unwrap() >= at);
    }
}
