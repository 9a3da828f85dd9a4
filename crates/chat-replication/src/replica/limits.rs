//! How much one replica may hold at once.

/// How much one replica may hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Proposals appended and not yet applied; more are refused as overload.
    pub waiting_proposals_max: usize,
    /// The payload of those proposals, in bytes, and of those that are being prepared; as much again
    /// may be forwarded and not yet answered. More is refused as overload.
    pub waiting_bytes_max: usize,
    /// Requests forwarded, or reads, not yet answered; more are refused.
    pub waiting_requests_max: usize,
    /// The payload of one entry, in bytes.
    pub command_bytes_max: usize,
    /// Entries in one answer to a fetch, and in one batch to apply.
    pub batch_entries_max: usize,
    /// Payload of one answer to a fetch, and of one batch to apply, in bytes.
    pub batch_bytes_max: usize,
    /// Entries kept in memory behind the end of the log for followers that are close.
    pub cache_entries_max: usize,
    /// Their payload, in bytes.
    pub cache_bytes_max: usize,
    /// A snapshot is taken when so much payload was applied since the last one, in bytes, and no less
    /// than that one's size (R24).
    pub snapshot_log_bytes: u64,
    /// A snapshot is also taken when what was applied since the last one is so old. The log is then
    /// compacted through it, whatever `kept_entries` says: so what was deleted from the state is on the
    /// disk for no longer than about twice this time (R24).
    pub snapshot_age: std::time::Duration,
    /// So many of the newest applied entries stay in the log, whatever snapshots there are, so that
    /// followers that were away for a moment need none; fewer if they have more than `kept_bytes`.
    pub kept_entries: u64,
    /// See `kept_entries`; payload in bytes.
    pub kept_bytes: u64,
    /// An old snapshot is kept for so long after a piece of it was read.
    pub snapshot_pinned: std::time::Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Ten seconds' worth at 2,000 a second; at full speed about one.
            waiting_proposals_max: 20_000,
            // Half a second's work of a disk that takes 100 MB a second, and what a node can spare.
            waiting_bytes_max: 64 << 20,
            waiting_requests_max: 20_000,
            command_bytes_max: 1 << 20,
            // Far above what gathers during one sync, far below gRPC's message limit.
            batch_entries_max: 2_048,
            batch_bytes_max: 2 << 20,
            cache_entries_max: 8_192,
            cache_bytes_max: 16 << 20,
            snapshot_log_bytes: 64 << 20,
            snapshot_age: std::time::Duration::from_secs(24 * 60 * 60),
            kept_entries: 65_536,
            kept_bytes: 64 << 20,
            snapshot_pinned: std::time::Duration::from_secs(60),
        }
    }
}
