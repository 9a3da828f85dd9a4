//! What other programs see of a local cluster of `devcluster`: the file `cluster.json` in which it
//! describes itself, and the control protocol of its supervisor.
//!
//! A reader finds the file with [`ClusterFile`], which also checks who can have written it, and
//! decodes it into a [`ClusterState`]. A client of the supervisor connects to
//! [`ClusterState::control_socket`], sends one line ([`Request::to_line`]) and reads one line
//! ([`Response::from_line`]).
//!
//! Deliberately absent: starting and stopping processes, writing the file, and the sockets, because
//! some callers are blocking and others are asynchronous.

mod cluster_file;
mod cluster_state;
mod node_id;
mod port_offset;
mod protocol;

pub use cluster_file::{ClusterFile, TrustProblem, UntrustedClusterFile};
pub use cluster_state::{ClusterState, Condition, Links, NodeState};
pub use node_id::{InvalidNodeId, NODE_ID_MAX, NODES_MAX, NodeId};
pub use port_offset::{InvalidPortOffset, PortOffset};
pub use protocol::{LinkShape, REPLY_TIMEOUT, RESPONSE_BYTES_MAX, Request, Response};
