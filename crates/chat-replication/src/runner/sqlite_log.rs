//! The log in one SQLite file, `log.db`, of `chat-sqlite-log`.

use std::path::PathBuf;
use std::sync::Arc;

use chat_consensus::{Entry, LogIndex, NodeId, Position, Stored, Writes};
use chat_sqlite_log::{CommitLog, LogError};
use tokio::sync::{Mutex, watch};

use crate::runner::log_store::{LogReader, LogStore, ReadLimits};

/// The log in a directory of its own, as `log.db`; made if it is missing. One replica at a time can
/// use it. It cannot be compacted.
#[derive(Debug)]
pub struct SqliteLog {
    directory: PathBuf,
    connection: Arc<Connection>,
}

/// Reads a [`SqliteLog`].
#[derive(Debug)]
pub struct SqliteLogReader {
    connection: Arc<Connection>,
    writing: watch::Receiver<bool>,
}

/// SQLite has the file on one connection, so reads go between writes.
#[derive(Debug)]
struct Connection {
    /// `None` before the log is loaded and after it was closed.
    log: Mutex<Option<CommitLog>>,
    /// Whether a write waits or is under way; reads wait for it. A leader whose write lasts too long
    /// resigns (R10).
    writing: watch::Sender<bool>,
}

impl SqliteLog {
    /// The log in `directory`, which is opened when a replica starts.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            connection: Arc::new(Connection {
                log: Mutex::new(None),
                writing: watch::Sender::new(false),
            }),
        }
    }
}

impl LogStore for SqliteLog {
    type Reader = SqliteLogReader;
    type Error = LogError;

    async fn load(&mut self, node: NodeId) -> Result<Stored, LogError> {
        let directory = self.directory.clone();
        let opened = tokio::task::spawn_blocking(move || CommitLog::open(&directory)).await;
        let (mut log, stored) = opened.expect("opening the log does not panic")?;
        log.claim(node).await?;
        *self.connection.log.lock().await = Some(log);
        Ok(stored)
    }

    fn reader(&self) -> SqliteLogReader {
        SqliteLogReader {
            connection: Arc::clone(&self.connection),
            writing: self.connection.writing.subscribe(),
        }
    }

    async fn append_and_sync(&mut self, writes: &Writes) -> Result<(), LogError> {
        self.connection.writing.send_replace(true);
        let mut log = self.connection.log.lock().await;
        let written = loaded(&mut log).write_and_sync(writes).await;
        self.connection.writing.send_replace(false);
        written
    }

    async fn compact(&mut self, _through: LogIndex) -> Result<Position, LogError> {
        Ok(Position::ZERO)
    }

    async fn record_fault(&mut self, fault: &str) -> Result<(), LogError> {
        let mut log = self.connection.log.lock().await;
        loaded(&mut log).record_fault(fault).await
    }

    async fn close(self) -> Result<(), LogError> {
        let Some(log) = self.connection.log.lock().await.take() else {
            return Ok(());
        };
        match tokio::task::spawn_blocking(move || log.close()).await {
            Ok(closed) => closed,
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            // The runtime ends, and has dropped the log, which closes it.
            Err(_cancelled) => Ok(()),
        }
    }
}

fn loaded(log: &mut Option<CommitLog>) -> &mut CommitLog {
    log.as_mut()
        .expect("a log is loaded before it is written, and closed afterwards")
}

impl LogReader for SqliteLogReader {
    type Error = LogError;

    async fn read(
        &mut self,
        after: LogIndex,
        last: LogIndex,
        limits: ReadLimits,
    ) -> Result<Vec<Entry>, LogError> {
        let limits = chat_sqlite_log::ReadLimits {
            entries_max: limits.entries_max,
            bytes_max: limits.bytes_max,
        };
        loop {
            // The connection keeps the sender.
            drop(self.writing.wait_for(|writing| !writing).await);
            let mut log = self.connection.log.lock().await;
            if !*self.writing.borrow() {
                return match log.as_mut() {
                    Some(log) => log.read(after, last, limits).await,
                    // Closed meanwhile: the entries are not needed any more.
                    None => Ok(Vec::new()),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chat_consensus::{Payload, Position};

    use super::*;

    /// R10: a leader whose write lasts too long resigns, so a read that waits for the connection lets
    /// the writes go first that came meanwhile.
    #[tokio::test]
    async fn write_that_came_later_goes_before_a_read_that_waits() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = SqliteLog::new(directory.path());
        log.load(NodeId(1)).await.unwrap();
        let mut reader = log.reader();
        let connection = Arc::clone(&log.connection);
        let busy = connection.log.lock().await;
        let limits = ReadLimits {
            entries_max: 10,
            bytes_max: 10,
        };
        let reading =
            tokio::spawn(async move { reader.read(LogIndex::ZERO, LogIndex(1), limits).await });
        // The read is first in the queue for the connection.
        tokio::task::yield_now().await;
        let entry = Entry {
            position: Position::new(1, 1),
            payload: Payload::Command(Bytes::from_static(b"written first")),
        };
        let writes = Writes {
            entries: vec![entry.clone()],
            ..Writes::default()
        };
        let writing = tokio::spawn(async move {
            log.append_and_sync(&writes).await.unwrap();
            log
        });
        tokio::task::yield_now().await;
        drop(busy);
        assert_eq!(reading.await.unwrap().unwrap(), [entry]);
        let log = writing.await.unwrap();
        let mut reader = log.reader();
        log.close().await.unwrap();
        let read = reader.read(LogIndex::ZERO, LogIndex(1), limits).await;
        assert!(read.unwrap().is_empty(), "closed");
    }
}
