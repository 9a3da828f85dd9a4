//! tokio around the event-driven replica: the part that an embedder starts.
//!
//! One task turns what happens into events and carries out the effects; the log has two tasks, the
//! state machine one, the snapshots two threads; every call to a peer is a task with a deadline.

mod apply_task;
mod box_error;
mod builder;
mod event_loop;
mod group_name;
#[cfg(feature = "grpc")]
mod grpc;
mod handle;
mod in_process;
mod leadership;
mod limits_check;
mod log_report;
mod log_scrub;
mod log_store;
mod log_task;
mod loop_event;
mod member_status;
mod memory_log;
mod not_taken;
mod peer_calls;
mod peer_receiver;
mod prepare;
mod reply_maker;
mod restoring;
#[cfg(feature = "segment-log")]
mod segment_log;
mod snapshot_directory;
mod snapshot_source;
mod snapshot_task;
mod start;
mod start_error;
mod state_machine;
mod status;
mod stop_reason;
mod supervised_task;
mod timing;
mod transport;
mod typed;

pub use builder::Builder;
pub use group_name::{GroupName, InvalidGroupName};
#[cfg(feature = "grpc")]
pub use grpc::{DuplicateGroup, Grpc, GrpcLink, InvalidAddress, PeerService};
pub use handle::Handle;
pub use in_process::{InProcessLink, InProcessNetwork, NotServed};
pub use leadership::Leadership;
pub use log_store::{LogReader, LogStore, ReadLimits};
pub use member_status::MemberStatus;
pub use memory_log::{MemoryLog, MemoryLogError, MemoryLogReader};
pub use peer_receiver::{NoReply, PeerReceiver};
pub use prepare::{LeaderContext, Passthrough, Preparation, Prepare};
pub use reply_maker::ReplyMaker;
#[cfg(feature = "segment-log")]
pub use segment_log::{SegmentLog, SegmentLogReader};
pub use snapshot_source::{SnapshotPace, SnapshotSource};
pub use start_error::StartError;
pub use state_machine::{Applied, BoxError, StateMachine};
pub use status::{DownloadStatus, FollowerStatus, Status};
pub use stop_reason::StopReason;
pub use timing::Timing;
pub use transport::{MESSAGE_BYTES_MAX, PeerLink, Transport};
pub use typed::{Codec, Typed, TypedEntry, TypedHandle, TypedProposeError, TypedStateMachine};
