//! The time that a leader gives to its proposals: that of its clock, as long as it is plausible.
//!
//! Applying uses the greatest time of any leader so far. A leader whose clock is a year ahead for a
//! second would end all sessions, and the log's time would then stop for a year, on every node, without
//! a remedy. Therefore a leader follows its clock within limits:
//!
//! 1. At its start a node trusts its clock, or the log's time if that is later: after a long stop of
//!    the whole cluster there is no other source of the time.
//! 2. From then on the expected time advances like the machine's clock since boot, which includes
//!    suspension. A proposed time is at most `lead_max` ahead of the expected time.
//! 3. The expected time follows the clock, but no faster than time passes: a clock that remains an hour
//!    further ahead is trusted an hour later.
//! 4. While another node leads, and for a minute its commands carry times that advance as steadily as
//!    time passes, the expected time is taken from them: so a wrong clock at a node's start is noticed
//!    once the node has followed any leader. Entries that a node catches up on arrive faster than
//!    that, so they do not count.
//!
//! The limits of this: a clock that is wrong at the start of a node that leads before it has followed
//! for a minute is trusted; so is one that is wrong by less than `lead_max`; and a clock that jumps
//! because it was wrong before (a paused virtual machine) is followed late, not at once, unless the
//! node is restarted. No request is rejected because of a clock. A clock that is behind has no other
//! effect than what applying does anyway: the log's time stops until the clock catches up.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::log_throttle::LogThrottle;

/// How long commands of another leader must come in steadily, in seconds.
const STEADY_SECONDS: f64 = 60.0;
/// How steadily, in seconds: more than sending and applying takes in a bad moment.
const STEADY_WITHIN: f64 = 10.0;

/// What the machine's clocks show, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Since 1970. May jump.
    pub wall: f64,
    /// Since the machine was switched on, suspended or not. Never jumps.
    pub running: f64,
}

/// Gives times to proposals.
pub struct LogClock {
    clocks: Box<dyn Fn() -> Reading + Send + Sync>,
    lead_max: f64,
    state: Mutex<State>,
    lines: LogThrottle,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// The expected time, as a distance from [`Reading::running`].
    offset: f64,
    /// When `offset` was last changed.
    moved: f64,
    /// When this node last proposed: entries that are applied soon after may be its proposals.
    proposed: Option<f64>,
    /// A time of another leader, as such a distance, and since when later ones agree with it.
    steady: Option<(f64, f64)>,
}

impl std::fmt::Debug for LogClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogClock")
            .field("lead_max", &self.lead_max)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl LogClock {
    /// With the given clocks; `log_time` is that of the newest applied command.
    pub fn new(
        clocks: impl Fn() -> Reading + Send + Sync + 'static,
        lead_max: Duration,
        log_time: f64,
    ) -> Self {
        let now = clocks();
        let lead_max = lead_max.as_secs_f64();
        if now.wall + lead_max < log_time {
            let behind = log_time - now.wall;
            tracing::warn!(
                behind,
                "this node's clock is behind the log's time, which stops until the clock catches up"
            );
        }
        Self {
            clocks: Box::new(clocks),
            lead_max,
            state: Mutex::new(State {
                offset: now.wall.max(log_time) - now.running,
                moved: now.running,
                proposed: None,
                steady: None,
            }),
            lines: LogThrottle::default(),
        }
    }

    /// The time for a proposal made now, in seconds since 1970.
    pub fn propose(&self) -> f64 {
        let now = (self.clocks)();
        let (time, expected) = {
            let mut state = self.state();
            let expected = state.offset + now.running;
            let time = now.wall.min(expected + self.lead_max);
            let passed = (now.running - state.moved).max(0.0);
            state.offset += (time - expected).clamp(-passed, passed);
            state.moved = now.running;
            state.proposed = Some(now.running);
            (time, expected)
        };
        let ahead = now.wall - expected;
        if ahead.abs() > self.lead_max
            && let Some(times) = self.lines.record(Instant::now())
        {
            tracing::warn!(
                ahead,
                time,
                times,
                "this node's clock differs from the time that is expected; if the clock is right, \
                 restart this node"
            );
        }
        time
    }

    /// Observes the log's time after entries were applied, which may be another leader's.
    pub fn observe(&self, log_time: f64) {
        let now = (self.clocks)();
        let mut state = self.state();
        let recently = |at: f64| now.running - at < STEADY_SECONDS;
        if state.proposed.is_some_and(recently) {
            state.steady = None;
            return;
        }
        let offset = log_time - now.running;
        match state.steady {
            Some((steady, since)) if (offset - steady).abs() <= STEADY_WITHIN => {
                if !recently(since) {
                    state.offset = offset;
                    state.moved = now.running;
                }
            }
            _ => state.steady = Some((offset, now.running)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and every state of it is a good one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::{LogClock, Reading};

    const HOUR: f64 = 3600.0;
    const DAY: f64 = 24.0 * HOUR;
    const YEAR: f64 = 365.0 * DAY;
    /// When the machine was switched on.
    const START: f64 = 1_790_000_000.0;

    /// A machine whose clocks the test sets.
    #[derive(Clone)]
    struct Machine(Arc<Mutex<Reading>>);

    impl Machine {
        /// It has been on for a day, and its clock is wrong by `wrong`.
        fn new(wrong: f64) -> Self {
            Self(Arc::new(Mutex::new(Reading {
                wall: START + DAY + wrong,
                running: DAY,
            })))
        }

        /// A node that starts here and has applied up to `log_time`.
        fn node(&self, log_time: f64) -> LogClock {
            let clocks = Arc::clone(&self.0);
            let lead_max = Duration::from_secs(3600);
            LogClock::new(move || *clocks.lock().unwrap(), lead_max, log_time)
        }

        fn pass(&self, seconds: f64) {
            let mut now = self.0.lock().unwrap();
            now.wall += seconds;
            now.running += seconds;
        }

        fn set(&self, seconds: f64) {
            self.0.lock().unwrap().wall += seconds;
        }

        /// The time that is right on every machine here.
        fn true_time(&self) -> f64 {
            START + self.0.lock().unwrap().running
        }
    }

    #[track_caller]
    fn check(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-3, "{found} is not {expected}");
    }

    #[test]
    fn correct_clock_is_followed_whatever_the_time_of_the_log() {
        for stopped_for in [0.0, DAY, YEAR] {
            let machine = Machine::new(0.0);
            let node = machine.node(machine.true_time() - stopped_for);
            for _ in 0..100 {
                check(node.propose(), machine.true_time());
                machine.pass(HOUR);
            }
        }
    }

    #[test]
    fn clock_jump_moves_the_log_at_most_by_the_limit() {
        let machine = Machine::new(0.0);
        let node = machine.node(machine.true_time());
        machine.pass(HOUR);
        check(node.propose(), machine.true_time());
        machine.set(YEAR);
        for _ in 0..1_000 {
            let ahead = node.propose() - machine.true_time();
            assert!(ahead <= HOUR + 2.0, "{ahead}");
            machine.pass(0.001);
        }
        machine.set(-YEAR);
        machine.pass(10.0);
        check(node.propose(), machine.true_time());
    }

    #[test]
    fn clock_jump_to_the_correct_time_is_followed_eventually() {
        let machine = Machine::new(-8.0 * HOUR);
        let node = machine.node(0.0);
        machine.set(8.0 * HOUR);
        check(node.propose(), machine.true_time() - 7.0 * HOUR);
        for _ in 0..8 * 60 {
            machine.pass(60.0);
            node.propose();
        }
        check(node.propose(), machine.true_time());
        // At once when the node is restarted.
        let machine = Machine::new(0.0);
        check(machine.node(0.0).propose(), machine.true_time());
    }

    #[test]
    fn clock_that_is_wrong_at_the_start_is_noticed_by_following() {
        let machine = Machine::new(YEAR);
        let node = machine.node(machine.true_time());
        for _ in 0..100 {
            node.observe(machine.true_time());
            machine.pass(1.0);
        }
        check(node.propose(), machine.true_time() + HOUR);
    }

    #[test]
    fn times_of_entries_caught_up_on_are_ignored() {
        let machine = Machine::new(0.0);
        let node = machine.node(machine.true_time() - YEAR);
        // A year of entries in two minutes.
        for passed in 0..120 {
            let left = f64::from(120 - passed) / 120.0;
            node.observe(machine.true_time() - YEAR * left);
            machine.pass(1.0);
        }
        check(node.propose(), machine.true_time());
    }

    #[test]
    fn leader_does_not_take_its_times_for_those_of_another() {
        let machine = Machine::new(0.0);
        let node = machine.node(machine.true_time());
        machine.set(YEAR);
        for _ in 0..600 {
            node.observe(node.propose());
            machine.pass(1.0);
        }
        let ahead = node.propose() - machine.true_time();
        assert!(ahead <= HOUR + 601.0, "{ahead}");
    }

    #[test]
    fn clock_that_is_behind_the_log_is_proposed_unchanged() {
        let machine = Machine::new(-YEAR);
        let node = machine.node(machine.true_time());
        check(node.propose(), machine.true_time() - YEAR);
    }

    #[test]
    fn suspension_of_the_machine_is_not_a_clock_jump() {
        let machine = Machine::new(0.0);
        let node = machine.node(machine.true_time());
        machine.pass(3.0 * DAY);
        check(node.propose(), machine.true_time());
    }
}
