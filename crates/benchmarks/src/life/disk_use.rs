//! What the files of each node take while much is sent and deleted.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::life::load::Load;
use crate::life::report::DiskUse;
use crate::session::Session;

/// Nearly as long as they may be, so that the files grow quickly.
const BODY_BYTES: usize = 16_000;
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// The last snapshot is complete when the files have not changed for so long.
const QUIET: Duration = Duration::from_secs(15);
const QUIET_LIMIT: Duration = Duration::from_secs(180);
/// What `st_blocks` counts.
const BLOCK_BYTES: u64 = 512;

/// Looks at the files of all nodes once a second.
#[derive(Debug)]
struct Sampler {
    stop: Option<SyncSender<()>>,
    samples: Arc<Mutex<Samples>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Debug)]
struct Samples {
    newest: Vec<u64>,
    max: Vec<u64>,
    changed: Instant,
}

/// Sends and deletes so much so often, and waits until the files are at rest.
pub(super) fn measure(session: &Session, megabytes: u64, rounds: u32) -> Result<DiskUse> {
    let load = Load::start(session)?;
    let sampler = Sampler::start(session.data_directories()?);
    let begun = Instant::now();
    for round in 1..=rounds {
        let received = load.send(megabytes * 1_000_000 / BODY_BYTES as u64, BODY_BYTES)?;
        load.delete(&received)?;
        let newest = sampler.samples().newest;
        eprintln!("round {round} of {rounds}: {newest:?} bytes on the nodes");
    }
    let seconds = begun.elapsed().as_secs_f64();
    let ended = Instant::now();
    let settled = loop {
        if sampler.samples().changed.max(ended).elapsed() >= QUIET {
            break true;
        }
        if ended.elapsed() >= QUIET_LIMIT {
            break false;
        }
        thread::sleep(SAMPLE_INTERVAL);
    };
    let samples = sampler.samples();
    Ok(DiskUse {
        megabytes,
        rounds,
        seconds,
        max_bytes: samples.max,
        settled_bytes: samples.newest,
        settled,
    })
}

impl Sampler {
    fn start(directories: Vec<PathBuf>) -> Self {
        let (stop, stopped) = mpsc::sync_channel(0);
        let samples = Arc::new(Mutex::new(Samples {
            newest: Vec::new(),
            max: vec![0; directories.len()],
            changed: Instant::now(),
        }));
        let thread = {
            let samples = Arc::clone(&samples);
            thread::spawn(move || {
                // The other end is closed when the measurement is over.
                while stopped.recv_timeout(SAMPLE_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    let bytes = directories.iter().map(|one| disk_bytes(one)).collect();
                    samples
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .add(bytes);
                }
            })
        };
        Self {
            stop: Some(stop),
            samples,
            thread: Some(thread),
        }
    }

    fn samples(&self) -> Samples {
        self.samples
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It only reads; that it has panicked is on the screen.
            drop(thread.join());
        }
    }
}

impl Samples {
    fn add(&mut self, bytes: Vec<u64>) {
        for (max, bytes) in self.max.iter_mut().zip(&bytes) {
            *max = (*max).max(*bytes);
        }
        if bytes != self.newest {
            self.changed = Instant::now();
            self.newest = bytes;
        }
    }
}

/// What the files below a directory take on the disk. A file that disappears meanwhile takes nothing.
fn disk_bytes(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else {
        return 0;
    };
    let bytes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.blocks() * BLOCK_BYTES,
        Err(_) => 0,
    });
    bytes.sum()
}
