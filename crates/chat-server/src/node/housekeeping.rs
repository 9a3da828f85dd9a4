//! Periodic checks of a node, so that no request has to make them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chat_app::limits::log_throttle::LogThrottle;
use chat_app::limits::quotas::Quotas;
use chat_replication::Handle;
use chat_store::{ChatReader, ChatState};
use nix::sys::statvfs::statvfs;
use tokio::time::{MissedTickBehavior, interval};

use crate::auth::passwords::Passwords;

/// How often the parameters of most passwords are looked up. They change as users log in after the
/// configuration has changed.
const PARAMS_INTERVAL: Duration = Duration::from_secs(600);
/// How many accounts are read for that: a few milliseconds.
const PARAMS_ACCOUNTS_MAX: usize = 10_000;
/// How often free space is checked. Between two checks a node writes some hundred MB at most.
const SPACE_INTERVAL: Duration = Duration::from_secs(1);

/// How often states that were set aside are looked for: they are kept for days.
const EVIDENCE_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// How much of the tables is compared with its checksums at once, and how often: 4 MiB a second.
const PAGES_AT_ONCE: u32 = 1024;
const PAGES_INTERVAL: Duration = Duration::from_secs(1);
/// Between the ends of two passes through all of them. A start compares them, too.
const PASS_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// What the checks read and update.
#[derive(Debug)]
pub(crate) struct PeriodicChecks {
    pub(crate) reader: ChatReader,
    pub(crate) passwords: Passwords,
    pub(crate) quotas: Arc<Quotas>,
    /// The data directory of the node.
    pub(crate) directory: PathBuf,
}

/// Starts the checks, which run until the replica stops. Checks free space once before it returns.
pub(crate) fn start(replica: Handle, checks: PeriodicChecks) {
    let unknown = LogThrottle::default();
    record_free_space(&checks, free_bytes(&checks.directory), &unknown);
    tokio::spawn(async move {
        tokio::select! {
            _ = replica.stopped() => {}
            () = checks.refresh_argon2_params() => {}
            () = checks.refresh_free_space(&unknown) => {}
            () = checks.remove_old_evidence() => {}
            () = checks.verify_tables() => {}
            () = checks.remove_converted_log(&replica) => {}
        }
    });
}

impl PeriodicChecks {
    async fn refresh_argon2_params(&self) {
        let mut ticks = interval(PARAMS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.reader.common_argon2_params(PARAMS_ACCOUNTS_MAX).await {
                Ok(Some(params)) => self.passwords.set_params_of_unknown_names(&params),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "the parameters of most passwords cannot be read");
                }
            }
        }
    }

    async fn remove_old_evidence(&self) {
        let mut ticks = interval(EVIDENCE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let directory = self.directory.clone();
            let removing = tokio::task::spawn_blocking(move || {
                ChatState::remove_old_evidence(&directory, SystemTime::now())
            });
            if let Ok(Err(error)) = removing.await {
                tracing::warn!(%error, "a state that was set aside cannot be deleted");
            }
        }
    }

    /// Finds a bit that has changed on the disk before it is read. That ends the node, and the next start
    /// restores the tables.
    async fn verify_tables(&self) {
        let mut after = 0;
        loop {
            let wait = if after == 0 {
                PASS_INTERVAL
            } else {
                PAGES_INTERVAL
            };
            tokio::time::sleep(wait).await;
            match self.reader.verify_pages(after, PAGES_AT_ONCE).await {
                Ok(last) => after = last.unwrap_or(0),
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the tables could not be checked"
                    );
                    after = 0;
                }
            }
        }
    }

    /// The log of an earlier version is deleted once a snapshot contains what it has: it would keep
    /// deleted messages.
    async fn remove_converted_log(&self, replica: &Handle) {
        let converted = self.directory.join(chat_sqlite_log::CONVERTED);
        let mut ticks = interval(EVIDENCE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Ok(status) = replica.status().await else {
                return std::future::pending().await;
            };
            if status.log_begins_index == 0 {
                continue;
            }
            match remove_file(&converted).await {
                Ok(()) => tracing::info!("the log of an earlier version is deleted"),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(%error, "the log of an earlier version cannot be deleted");
                }
            }
        }
    }

    async fn refresh_free_space(&self, unknown: &LogThrottle) {
        let mut ticks = interval(SPACE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let directory = self.directory.clone();
            // The call may wait for a disk.
            let looking = tokio::task::spawn_blocking(move || free_bytes(&directory));
            if let Ok(free) = looking.await {
                record_free_space(self, free, unknown);
            }
        }
    }
}

fn record_free_space(checks: &PeriodicChecks, free: nix::Result<u64>, unknown: &LogThrottle) {
    let free = match free {
        Ok(free) => free,
        Err(error) => {
            if let Some(times) = unknown.record(std::time::Instant::now()) {
                tracing::warn!(%error, times, "free space cannot be looked up");
            }
            return;
        }
    };
    match checks.quotas.set_free_bytes(free) {
        Some(true) => tracing::warn!(
            free,
            "the disk is nearly full: while this node leads, only deleting is possible"
        ),
        Some(false) => tracing::info!(free, "the disk has room again"),
        None => {}
    }
}

async fn remove_file(path: &Path) -> std::io::Result<()> {
    let path = path.to_owned();
    let removing = tokio::task::spawn_blocking(move || std::fs::remove_file(path));
    removing.await.expect("deleting a file does not panic")
}

/// The space that an unprivileged process may use on the file system of `directory`.
fn free_bytes(directory: &Path) -> nix::Result<u64> {
    let space = statvfs(directory)?;
    Ok(space
        .blocks_available()
        .saturating_mul(space.fragment_size()))
}
