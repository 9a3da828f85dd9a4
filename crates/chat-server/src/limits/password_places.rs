//! How many passwords are under way for each connection of this node. More are refused here: who asks
//! for everything at once neither fills the way to the leader nor the leader's queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::net::origin::{Origin, Source};

/// Counts them.
#[derive(Debug)]
pub(crate) struct PasswordPlaces {
    connection_max: usize,
    taken: Arc<Taken>,
}

/// Bounded by what is under way in all.
type Taken = Mutex<HashMap<(Source, u64), usize>>;

/// Counts until it is dropped.
#[derive(Debug)]
pub(crate) struct PasswordPlace {
    taken: Arc<Taken>,
    /// `None` if it is not known whose it is.
    key: Option<(Source, u64)>,
}

impl PasswordPlaces {
    pub(crate) fn new(connection_max: usize) -> Self {
        Self {
            connection_max,
            taken: Arc::default(),
        }
    }

    /// A place, unless the connection has all of its own already. What is not known is not counted.
    pub(crate) fn enter(&self, origin: &Origin) -> Option<PasswordPlace> {
        if !origin.source.is_known() {
            return Some(PasswordPlace {
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
        Some(PasswordPlace {
            taken: Arc::clone(&self.taken),
            key: Some(key),
        })
    }
}

impl Drop for PasswordPlace {
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
    use super::PasswordPlaces;
    use crate::net::origin::Origin;

    #[test]
    fn a_connection_has_so_many_places_and_gives_them_back() {
        let places = PasswordPlaces::new(2);
        let [one, other] =
            ["192.0.2.1:1", "192.0.2.1:2"].map(|peer| Origin::of(Some(peer.parse().unwrap())));
        let taken = [places.enter(&one), places.enter(&one)];
        assert!(taken.iter().all(Option::is_some));
        assert!(places.enter(&one).is_none());
        assert!(places.enter(&other).is_some());
        drop(taken);
        assert!(places.enter(&one).is_some());
        assert!(places.taken.lock().unwrap().is_empty(), "nothing is kept");
    }
}
