//! Checks what rests in the log, slowly and beside everything else: rot is found while other nodes still
//! have the entries, and not only when this one needs them.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use crate::runner::log_store::LogReader;
use crate::runner::loop_event::LoopEvent;
use crate::runner::snapshot_task::lower_priority;
use crate::runner::stop_reason::StopReason;

/// A start has other things to do.
const BEGIN_AFTER: Duration = Duration::from_secs(60);

/// Between the ends of two passes, and before something that could not be read is tried again.
const PASS_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// How much is read in a second, in bytes, on average: a fraction of what a disk does.
const BYTES_PER_SECOND: u64 = 8 << 20;

/// The thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct LogScrub(
    #[expect(dead_code, reason = "dropping it is what counts")] SyncSender<()>,
);

impl LogScrub {
    /// Reads through `reader` until this is dropped. What it finds stops the replica, as a read for a follower
    /// does that finds it.
    pub(super) fn start(reader: impl LogReader, events: Sender<LoopEvent>) -> Self {
        let (end, ended) = sync_channel(0);
        let work = move || {
            lower_priority();
            scrub(reader, BEGIN_AFTER, &ended, &events);
        };
        let spawned = std::thread::Builder::new()
            .name("log scrub".to_owned())
            .spawn(work);
        if let Err(error) = spawned {
            tracing::warn!(%error, "the log is not checked in the background");
        }
        Self(end)
    }
}

/// `begin_after` is how long it waits first.
fn scrub(
    mut reader: impl LogReader,
    begin_after: Duration,
    ended: &Receiver<()>,
    events: &Sender<LoopEvent>,
) {
    let mut wait = begin_after;
    while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        wait = match reader.scrub() {
            Ok(0) => PASS_INTERVAL,
            Ok(bytes) => Duration::from_millis(bytes * 1000 / BYTES_PER_SECOND),
            Err(error) => {
                let reason = StopReason::Log(Arc::from(error.into()));
                // A replica that has stopped receives nothing more.
                drop(events.blocking_send(LoopEvent::Stop(reason)));
                return;
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use chat_consensus::{Entry, LogIndex};

    use super::*;
    use crate::runner::log_store::ReadLimits;

    /// Finds damage at its third part.
    struct Rotten(u32);

    impl LogReader for Rotten {
        type Error = std::io::Error;

        async fn read(
            &mut self,
            _after: LogIndex,
            _last: LogIndex,
            _limits: ReadLimits,
        ) -> Result<Vec<Entry>, Self::Error> {
            Ok(Vec::new())
        }

        fn scrub(&mut self) -> Result<u64, Self::Error> {
            self.0 += 1;
            match self.0 {
                3 => Err(std::io::Error::other("rot")),
                _ => Ok(1),
            }
        }
    }

    #[test]
    fn what_it_finds_stops_the_replica() {
        let (events, mut received) = tokio::sync::mpsc::channel(1);
        let (end, ended) = sync_channel(0);
        scrub(Rotten(0), Duration::ZERO, &ended, &events);
        let stop = received.try_recv();
        assert!(
            matches!(stop, Ok(LoopEvent::Stop(StopReason::Log(_)))),
            "{stop:?}"
        );
        drop(end);
        scrub(Rotten(2), Duration::ZERO, &ended, &events);
        assert!(received.try_recv().is_err(), "it had ended before");
    }
}
