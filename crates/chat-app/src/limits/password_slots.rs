//! How many requests with passwords are in progress for each connection of this node. Further ones are
//! rejected here, so that one client fills neither the path to the leader nor the leader's queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::origin::{Origin, Source};

/// Counts these requests.
#[derive(Debug)]
pub struct PasswordSlots {
    connection_max: usize,
    taken: Arc<Taken>,
}

/// Bounded by the number of all requests in progress.
type Taken = Mutex<HashMap<(Source, u64), usize>>;

/// Counts until it is dropped.
#[derive(Debug)]
pub struct PasswordSlot {
    taken: Arc<Taken>,
    /// `None` if the source is not known.
    key: Option<(Source, u64)>,
}

impl PasswordSlots {
    /// Each connection has `connection_max` slots.
    pub fn new(connection_max: usize) -> Self {
        Self {
            connection_max,
            taken: Arc::default(),
        }
    }

    /// A slot, unless the connection uses all of its slots. Unknown sources are not counted.
    pub fn acquire(&self, origin: &Origin) -> Option<PasswordSlot> {
        if !origin.source.is_known() {
            return Some(PasswordSlot {
                taken: Arc::clone(&self.taken),
                key: None,
            });
        }
        let key = (origin.source.clone(), origin.connection);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(key.clone()).or_default();
        if *count >= self.connection_max {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(PasswordSlot {
            taken: Arc::clone(&self.taken),
            key: Some(key),
        })
    }
}

impl Drop for PasswordSlot {
    fn drop(&mut self) {
        let Some(key) = &self.key else {
            return;
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PasswordSlots;
    use crate::origin::Origin;

    #[test]
    fn connection_has_a_limit_of_slots_and_gives_them_back() {
        let slots = PasswordSlots::new(2);
        let [one, other] =
            ["192.0.2.1:1", "192.0.2.1:2"].map(|peer| Origin::of(Some(peer.parse().unwrap())));
        let taken = [slots.acquire(&one), slots.acquire(&one)];
        assert!(taken.iter().all(Option::is_some));
        assert!(slots.acquire(&one).is_none());
        assert!(slots.acquire(&other).is_some());
        drop(taken);
        assert!(slots.acquire(&one).is_some());
        assert!(slots.taken.lock().unwrap().is_empty(), "nothing is kept");
    }
}
