//! The runner as an embedder uses it: three replicas in one process, over real sockets and disks.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod cluster;
#[cfg(feature = "segment-log")]
mod forgetful_disks;
mod groups;
#[cfg(feature = "segment-log")]
mod holes;
mod logs;
mod overload;
mod serving;
mod snapshots;
mod starting;
mod stopping;
