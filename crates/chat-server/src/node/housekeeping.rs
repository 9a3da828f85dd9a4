//! What a node looks up from time to time, so that no request has to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chat_replication::Handle;
use chat_store::ChatReader;
use nix::sys::statvfs::statvfs;
use tokio::time::{MissedTickBehavior, interval};

use crate::auth::passwords::Passwords;
use crate::limits::log_throttle::Rarely;
use crate::limits::quotas::Quotas;

/// How often the price of most passwords is looked up. It changes as people log in after the
/// configuration has changed.
const PRICE_INTERVAL: Duration = Duration::from_secs(600);
/// How many accounts are looked at for it: a few milliseconds.
const PRICE_ACCOUNTS_MAX: usize = 10_000;
/// How often free space is looked up. In the meantime a node writes some hundred MB at most.
const SPACE_INTERVAL: Duration = Duration::from_secs(1);

/// What is looked up, and for whom.
#[derive(Debug)]
pub(crate) struct Chores {
    pub(crate) reader: ChatReader,
    pub(crate) passwords: Passwords,
    pub(crate) quotas: Arc<Quotas>,
    /// Where the node keeps its data.
    pub(crate) directory: PathBuf,
}

/// Looks things up until the replica stops; free space once before this returns.
pub(crate) fn start(replica: Handle, chores: Chores) {
    let unknown = Rarely::default();
    look_at_space(&chores, free_bytes(&chores.directory), &unknown);
    tokio::spawn(async move {
        tokio::select! {
            _ = replica.stopped() => {}
            () = chores.follow_prices() => {}
            () = chores.follow_space(&unknown) => {}
        }
    });
}

impl Chores {
    async fn follow_prices(&self) {
        let mut ticks = interval(PRICE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.reader.common_argon2_params(PRICE_ACCOUNTS_MAX).await {
                Ok(Some(price)) => self.passwords.set_price_of_unknown_names(&price),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "the price of passwords cannot be looked up"),
            }
        }
    }

    async fn follow_space(&self, unknown: &Rarely) {
        let mut ticks = interval(SPACE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let directory = self.directory.clone();
            // It may wait for a disk.
            let looking = tokio::task::spawn_blocking(move || free_bytes(&directory));
            if let Ok(free) = looking.await {
                look_at_space(self, free, unknown);
            }
        }
    }
}

fn look_at_space(chores: &Chores, free: nix::Result<u64>, unknown: &Rarely) {
    let free = match free {
        Ok(free) => free,
        Err(error) => {
            if let Some(times) = unknown.happened(std::time::Instant::now()) {
                tracing::warn!(%error, times, "free space cannot be looked up");
            }
            return;
        }
    };
    match chores.quotas.set_free_bytes(free) {
        Some(true) => tracing::warn!(
            free,
            "the disk is nearly full: while this node leads, only deleting is possible"
        ),
        Some(false) => tracing::info!(free, "the disk has room again"),
        None => {}
    }
}

/// What an ordinary process may use on the file system of `directory`.
fn free_bytes(directory: &Path) -> nix::Result<u64> {
    let space = statvfs(directory)?;
    Ok(space
        .blocks_available()
        .saturating_mul(space.fragment_size()))
}
