//! Visits every state that can be reached, depth first, by several threads.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::action::Action;
use crate::world::{Violation, World};

/// The set of visited states is in so many parts, so that threads rarely wait for each other.
const PARTS: usize = 64;
/// A thread looks so often whether another one has nothing to do.
const SHARE_EVERY: u32 = 256;

/// A path to what the protocol forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub violation: Violation,
    /// What leads to it.
    pub path: Vec<String>,
}

/// What was explored.
#[derive(Clone, Debug)]
pub struct Report {
    /// Distinct states.
    pub states: u64,
    /// Steps that were taken, also to states that were known.
    pub steps: u64,
    /// Whether every state within the bounds was visited.
    pub is_complete: bool,
    /// The longest path without a repeated state that was taken.
    pub deepest: usize,
    /// How long it took.
    pub took: Duration,
    /// The first violation.
    pub found: Option<Found>,
}

/// A state on the way to the current one, and what is left to try from it.
struct Frame {
    world: World,
    left: Vec<Action>,
    /// What led here.
    action: Option<Action>,
}

struct Shared {
    visited: Vec<Mutex<HashSet<u64>>>,
    states: AtomicU64,
    steps: AtomicU64,
    deepest: AtomicUsize,
    states_max: u64,
    stop: AtomicBool,
    /// Threads that have nothing to do.
    idle: AtomicUsize,
    threads: usize,
    pool: Mutex<Vec<Frame>>,
    found: Mutex<Option<Found>>,
}

/// Visits every state that can be reached from `start`, at most about `states_max`, or up to the first
/// violation.
pub fn explore(start: World, states_max: u64, threads: usize) -> Report {
    let begun = Instant::now();
    let shared = Shared {
        visited: (0..PARTS).map(|_| Mutex::default()).collect(),
        states: AtomicU64::new(0),
        steps: AtomicU64::new(0),
        deepest: AtomicUsize::new(0),
        states_max,
        stop: AtomicBool::new(false),
        idle: AtomicUsize::new(0),
        threads,
        pool: Mutex::default(),
        found: Mutex::default(),
    };
    shared.visit(start.fingerprint());
    let left = start.actions();
    lock(&shared.pool).push(Frame {
        world: start,
        left,
        action: None,
    });
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| shared.work());
        }
    });
    let found = lock(&shared.found).take();
    let states = shared.states.load(Ordering::Relaxed);
    Report {
        states,
        steps: shared.steps.load(Ordering::Relaxed),
        is_complete: found.is_none() && states < states_max,
        deepest: shared.deepest.load(Ordering::Relaxed),
        took: begun.elapsed(),
        found,
    }
}

impl Shared {
    /// Whether a state is new.
    fn visit(&self, print: u64) -> bool {
        let part = usize::try_from(print % PARTS as u64).expect("few parts");
        let is_new = lock(&self.visited[part]).insert(print);
        if is_new && self.states.fetch_add(1, Ordering::Relaxed) + 1 >= self.states_max {
            self.stop.store(true, Ordering::Relaxed);
        }
        is_new
    }

    fn work(&self) {
        let mut is_idle = false;
        while !self.stop.load(Ordering::Relaxed) {
            let taken = lock(&self.pool).pop();
            match taken {
                Some(frame) => {
                    if std::mem::take(&mut is_idle) {
                        self.idle.fetch_sub(1, Ordering::SeqCst);
                    }
                    self.search(frame);
                }
                None => {
                    if !std::mem::replace(&mut is_idle, true) {
                        self.idle.fetch_add(1, Ordering::SeqCst);
                    }
                    if self.idle.load(Ordering::SeqCst) == self.threads {
                        return;
                    }
                    std::thread::yield_now();
                }
            }
        }
    }

    /// Everything below one state.
    fn search(&self, first: Frame) {
        let mut stack = vec![first];
        let mut steps = 0_u32;
        while let Some(frame) = stack.last_mut() {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let Some(action) = frame.left.pop() else {
                stack.pop();
                continue;
            };
            steps += 1;
            self.steps.fetch_add(1, Ordering::Relaxed);
            let world = match frame.world.after(&action) {
                Ok(world) => world,
                Err(violation) => return self.report(&stack, &action, violation),
            };
            if self.visit(world.fingerprint()) {
                let left = world.actions();
                let action = Some(action);
                stack.push(Frame {
                    world,
                    left,
                    action,
                });
                self.deepest.fetch_max(stack.len(), Ordering::Relaxed);
            }
            if steps.is_multiple_of(SHARE_EVERY) && self.idle.load(Ordering::Relaxed) > 0 {
                self.share(&mut stack);
            }
        }
    }

    /// Gives another thread half of what is left at the first state that has enough.
    fn share(&self, stack: &mut [Frame]) {
        let Some(frame) = stack.iter_mut().find(|frame| frame.left.len() > 1) else {
            return;
        };
        let half = frame.left.split_off(frame.left.len() / 2);
        lock(&self.pool).push(Frame {
            world: frame.world.clone(),
            left: half,
            action: None,
        });
    }

    fn report(&self, stack: &[Frame], last: &Action, violation: Violation) {
        let taken = stack.iter().filter_map(|frame| frame.action.as_ref());
        let path = taken.chain([last]).map(Action::to_string).collect();
        lock(&self.found).get_or_insert(Found { violation, path });
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A panic of another thread ends the search anyway.
fn lock<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
