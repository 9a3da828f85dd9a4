//! Everything that can happen to a supervisor.

use std::sync::mpsc::SyncSender;

use devcluster_api::{NodeId, Request, Response};

use crate::process_identity::ProcessIdentity;

/// What a thread of the supervisor reports to the one that decides.
#[derive(Debug)]
pub(crate) enum Event {
    /// A request arrived on the control socket.
    Requested(Request, SyncSender<Response>),
    /// A node's process has ended and waits to be reaped.
    Ended(NodeId, ProcessIdentity),
    /// SIGTERM, SIGINT or SIGHUP.
    Terminated,
}
