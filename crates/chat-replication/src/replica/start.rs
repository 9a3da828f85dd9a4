//! What a replica starts with.

use std::time::Duration;

use chat_consensus::{PartialDownload, Snapshot, Time};

use crate::replica::autopilot::Autopilot;
use crate::replica::limits::Limits;

/// What differs from start to start.
#[derive(Clone, Debug)]
pub struct Start {
    /// Seeds every random decision.
    pub seed: u64,
    /// The clock's reading.
    pub now: Time,
    /// How much may be held at once.
    pub limits: Limits,
    /// The complete snapshots that this node has, in ascending order of position (R24). If the state
    /// ends before the base, it is installed from the newest.
    pub snapshots: Vec<Snapshot>,
    /// The download that was not finished when this node stopped.
    pub partial: Option<PartialDownload>,
    /// About how much payload the log holds after the newest snapshot, in bytes: counted for the next.
    pub log_bytes: u64,
    /// When a voter that makes no progress becomes a learner; never without it (R21).
    pub autopilot: Option<Autopilot>,
    /// For how long there may have been entries after the newest snapshot, when this node stopped and
    /// since.
    pub log_age: Duration,
}

impl Start {
    /// A start without snapshots.
    pub fn new(seed: u64, now: Time, limits: Limits) -> Self {
        Self {
            seed,
            now,
            limits,
            snapshots: Vec::new(),
            partial: None,
            log_bytes: 0,
            autopilot: None,
            log_age: Duration::ZERO,
        }
    }
}
