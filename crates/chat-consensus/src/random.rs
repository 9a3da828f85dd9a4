//! The node's only source of randomness: seeded, and equal seeds decide equally.

use core::hash::{Hash, Hasher};
use core::time::Duration;

/// A generator that can be compared, copied and hashed with the node that owns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Random(fastrand::Rng);

impl Random {
    pub(crate) fn with_seed(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    pub(crate) fn bits(&mut self) -> u32 {
        self.0.u32(..)
    }

    /// A duration from `least` to `most`, both included.
    pub(crate) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.0.u64(micros(least)..=micros(most)))
    }
}

impl Hash for Random {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.get_seed().hash(state);
    }
}
