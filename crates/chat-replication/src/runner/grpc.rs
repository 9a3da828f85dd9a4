//! gRPC between replicas, `replication.v1`.

mod link;
mod liveness_probe;
mod peer_address;
mod peer_service;
mod wire;

pub use link::{Grpc, GrpcLink, InvalidAddress};
pub use peer_service::{DuplicateGroup, PeerService};
