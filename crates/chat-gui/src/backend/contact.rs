//! Success of one task ends the pauses of the others: a task that waits before its next attempt tries
//! at once when another one has reached the servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Counts successes after which a pause of another task has no reason any more.
#[derive(Clone, Debug)]
pub(super) struct Contact {
    successes: watch::Sender<u64>,
    /// The highest index of the log that was acknowledged to this window.
    acknowledged: Arc<AtomicU64>,
}

/// The successes that one task has not seen yet.
#[derive(Debug)]
pub(super) struct ContactReceiver(watch::Receiver<u64>);

impl Contact {
    pub(super) fn new() -> Self {
        Self {
            successes: watch::Sender::new(0),
            acknowledged: Arc::default(),
        }
    }

    /// The servers have acknowledged a message with this index of the log.
    pub(super) fn acknowledge(&self, index: u64) {
        self.acknowledged.fetch_max(index, Ordering::Relaxed);
    }

    /// The highest index of the log that was acknowledged to this window.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// The servers have carried something out, or a node leads again.
    pub(super) fn succeeded(&self) {
        self.successes.send_modify(|count| *count += 1);
    }

    pub(super) fn subscribe(&self) -> ContactReceiver {
        ContactReceiver(self.successes.subscribe())
    }
}

impl ContactReceiver {
    /// Forgets what has succeeded so far: an attempt begins now.
    pub(super) fn forget(&mut self) {
        self.0.mark_unchanged();
    }

    /// Waits for the next success. The attempt that then begins forgets it.
    pub(super) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // The backend ends; its tasks are ended with it.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::{Contact, ContactReceiver};

    async fn has_changed(receiver: &mut ContactReceiver) -> bool {
        tokio::select! {
            biased;
            () = receiver.changed() => true,
            () = ready(()) => false,
        }
    }

    #[tokio::test]
    async fn success_of_another_task_ends_one_pause() {
        let contact = Contact::new();
        contact.succeeded();
        let mut receiver = contact.subscribe();
        assert!(!has_changed(&mut receiver).await, "it was earlier");
        contact.succeeded();
        assert!(has_changed(&mut receiver).await);
        assert!(!has_changed(&mut receiver).await, "once");
        contact.succeeded();
        receiver.forget();
        assert!(!has_changed(&mut receiver).await, "before the attempt");
    }
}
