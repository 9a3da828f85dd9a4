//! What reads find out about the file that they read: the writer learns it here, and stops.

use std::sync::{Arc, OnceLock};

use super::error::StateError;
use super::opening;

/// Why one file must not be used any more, once a read of it has failed for that. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct FoundDamage {
    reason: Arc<OnceLock<String>>,
}

impl FoundDamage {
    /// Notes the reason if the result is damage. The first one counts.
    pub(super) fn note<T>(&self, result: Result<T, StateError>) -> Result<T, StateError> {
        if let Err(error) = &result
            && error.is_damage()
        {
            self.reason.get_or_init(|| {
                let reason = opening::sentence(error);
                tracing::error!(reason, "a read has found that the state is damaged");
                reason
            });
        }
        result
    }

    pub(super) fn reason(&self) -> Option<String> {
        self.reason.get().cloned()
    }
}
