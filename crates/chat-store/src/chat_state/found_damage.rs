//! What reads find out about the file that they read: it is noted for the next start at once, and the
//! writer learns it here, and stops.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::error::StateError;
use super::opening;
use super::state_directories::mark_directory;

/// Why one file must not be used any more, once a read of it has failed for that. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct FoundDamage {
    /// The file's.
    directory: PathBuf,
    reason: Arc<OnceLock<String>>,
}

impl FoundDamage {
    pub(super) fn of(file: &Path) -> Self {
        Self {
            directory: file.parent().unwrap_or(file).to_owned(),
            reason: Arc::default(),
        }
    }

    /// Notes the reason if the result is damage. The first one counts.
    pub(super) fn note<T>(&self, result: Result<T, StateError>) -> Result<T, StateError> {
        if let Err(error) = &result
            && error.is_damage()
        {
            self.reason.get_or_init(|| {
                let reason = opening::sentence(error);
                tracing::error!(reason, "a read has found that the state is damaged");
                if let Err(error) = mark_directory(&self.directory, &reason) {
                    // The next start may find it again.
                    tracing::error!(%error, "that could not be noted");
                }
                reason
            });
        }
        result
    }

    pub(super) fn reason(&self) -> Option<String> {
        self.reason.get().cloned()
    }
}
