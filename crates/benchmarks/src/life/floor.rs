//! What the disk itself takes: a small write and its sync, again and again, beside everything else.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::life::report::Waits;

/// Between two syncs: so many that a 99th percentile means something, and so few that they cost little.
const PAUSE: Duration = Duration::from_millis(10);
/// About as much as an entry of the log.
const BYTES: usize = 256;

/// Writes and syncs until it is dropped.
pub(super) struct Floor {
    stopping: Arc<AtomicBool>,
    waits: Arc<Mutex<Vec<(Instant, Duration)>>>,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
}

impl Floor {
    /// Writes into a file of its own in `folder`, which is on the disk of the nodes.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        let path = folder.join("floor");
        let mut file = File::create(&path).context("a file on the disk of the nodes")?;
        let stopping = Arc::new(AtomicBool::new(false));
        let waits: Arc<Mutex<Vec<(Instant, Duration)>>> = Arc::default();
        let (stop, all) = (Arc::clone(&stopping), Arc::clone(&waits));
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                if let Ok(wait) = write_and_sync(&mut file) {
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.push((Instant::now(), wait));
                }
                thread::sleep(PAUSE);
            }
        });
        Ok(Self {
            stopping,
            waits,
            thread: Some(thread),
            path,
        })
    }

    /// What it has waited from then on.
    pub(super) fn since(&self, begun: Instant) -> Waits {
        let all = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let since = all.iter().filter(|(at, _)| *at >= begun);
        Waits::of(since.map(|(_, wait)| *wait).collect())
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only sleeps and writes; if it has panicked, its figures are missing.
            let _panicked = thread.join();
        }
        if let Err(error) = fs::remove_file(&self.path) {
            eprintln!("could not delete {}: {error}", self.path.display());
        }
    }
}

fn write_and_sync(file: &mut File) -> std::io::Result<Duration> {
    let begun = Instant::now();
    file.write_all(&[b'x'; BYTES])?;
    file.sync_data()?;
    Ok(begun.elapsed())
}
