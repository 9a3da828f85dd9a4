//! A slow link: so many bytes a second, each so much later.
//!
//! What is on its way is bounded, as in a real network: a faster sender has to wait.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use devcluster_api::LinkShape;

/// What a router queues for a link before its sender has to wait: besides what is on the wire.
const QUEUE_BYTES: u64 = 256 * 1024;

/// How much later bytes arrive.
fn delay(shape: LinkShape) -> Duration {
    Duration::from_millis(shape.delay_ms)
}

/// How long the link takes for so many bytes.
fn transmission_time(shape: LinkShape, bytes: usize) -> Duration {
    Duration::from_secs_f64(bytes as f64 * 8.0 / shape.bits_per_second.max(1) as f64)
}

/// How much may be on its way: what the wire holds, and the queue before it.
fn bytes_max(shape: LinkShape) -> u64 {
    QUEUE_BYTES + shape.bits_per_second / 8 * shape.delay_ms / 1000
}

/// One direction of a slow link.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    /// When the last byte that was accepted has left; connections of a link share its bandwidth.
    free_at: Mutex<Option<Instant>>,
}

impl Wire {
    /// When `bytes` that are accepted now arrive.
    fn arrival(&self, shape: LinkShape, bytes: usize, now: Instant) -> Instant {
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let left =
            free_at.map_or(now, |free_at| free_at.max(now)) + transmission_time(shape, bytes);
        *free_at = Some(left);
        left + delay(shape)
    }
}

/// What is on its way over one connection, in one direction.
#[derive(Debug)]
pub(crate) struct InTransit {
    shape: LinkShape,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<(Instant, Vec<u8>)>,
    bytes: u64,
    ended: bool,
}

impl InTransit {
    pub(crate) fn new(shape: LinkShape) -> Self {
        Self {
            shape,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Accepts some bytes, as soon as there is room; returns whether they will still be taken out.
    pub(crate) fn push(&self, wire: &Wire, bytes: &[u8]) -> bool {
        let most = bytes_max(self.shape);
        let is_full = |state: &mut State| state.bytes >= most && !state.ended;
        let state = self.changed.wait_while(self.lock(), is_full);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if state.ended {
            return false;
        }
        let arrival = wire.arrival(self.shape, bytes.len(), Instant::now());
        state.queue.push_back((arrival, bytes.to_vec()));
        state.bytes += bytes.len() as u64;
        self.changed.notify_all();
        true
    }

    /// The next bytes, once they have arrived; `None` at the end.
    pub(crate) fn pop(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let arrival = state.queue.front().map(|(arrival, _)| *arrival);
            state = match arrival {
                Some(arrival) if arrival <= now => {
                    let (_, bytes) = state.queue.pop_front()?;
                    state.bytes -= bytes.len() as u64;
                    self.changed.notify_all();
                    return Some(bytes);
                }
                Some(arrival) => {
                    let waited = self.changed.wait_timeout(state, arrival - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None if state.ended => return None,
                None => {
                    let woken = self.changed.wait(state);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// No more bytes come, or none are taken out any more.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// The same, and what is on its way is lost.
    pub(crate) fn discard(&self) {
        self.lock().queue.clear();
        self.end();
    }

    /// The state is whole after every step, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{InTransit, LinkShape, Wire};

    const TEN_MBIT: LinkShape = LinkShape {
        bits_per_second: 10_000_000,
        delay_ms: 50,
    };

    #[test]
    fn bytes_arrive_in_order_after_the_delay() {
        let (wire, now) = (Wire::default(), Instant::now());
        // 125,000 bytes are a tenth of a second.
        let first = wire.arrival(TEN_MBIT, 125_000, now);
        assert_eq!(first - now, Duration::from_millis(150));
        let second = wire.arrival(TEN_MBIT, 125_000, now);
        assert_eq!(second - now, Duration::from_millis(250));
        let later = now + Duration::from_secs(1);
        assert_eq!(
            wire.arrival(TEN_MBIT, 125_000, later) - later,
            Duration::from_millis(150),
            "a wire that was idle does not hurry afterwards"
        );
    }

    #[test]
    fn pushed_bytes_are_popped_in_order_until_the_end() {
        let wire = Wire::default();
        let transit = InTransit::new(LinkShape {
            bits_per_second: 1_000_000_000,
            delay_ms: 1,
        });
        let begun = Instant::now();
        for number in 0..3 {
            assert!(transit.push(&wire, &[number]));
        }
        for number in 0..3 {
            assert_eq!(transit.pop(), Some(vec![number]));
        }
        assert!(begun.elapsed() >= Duration::from_millis(1));
        transit.end();
        assert_eq!(transit.pop(), None);
        assert!(!transit.push(&wire, &[3]), "nothing takes it out");
    }

    #[test]
    fn discarded_bytes_do_not_arrive() {
        let transit = InTransit::new(LinkShape {
            bits_per_second: 1_000_000_000,
            delay_ms: 3_600_000,
        });
        assert!(transit.push(&Wire::default(), &[1]));
        transit.discard();
        assert_eq!(transit.pop(), None);
    }
}
