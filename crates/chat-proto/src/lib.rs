//! The messages of the wire and the records of the disk, generated from `proto/`.
//!
//! Nothing is written by hand here but this list of packages: conversion to types that cannot be
//! wrong is left to the receiver of a message.

#![expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "the generator decides how its code looks, and there is no other code here"
)]

/// The requests that a client may send to the chat; client listener.
pub mod chat {
    /// Package `chat.v1`.
    pub mod v1 {
        include!("generated/chat.v1.rs");
    }
}

/// What clients may call, as gRPC's reflection returns it: an encoded `FileDescriptorSet` of
/// `chat.v1` and `cluster.v1`.
pub const CLIENT_DESCRIPTORS: &[u8] = include_bytes!("generated/client.binpb");

/// How a node sees itself and the cluster; both listeners.
pub mod cluster {
    /// Package `cluster.v1`.
    pub mod v1 {
        include!("generated/cluster.v1.rs");
    }
}

/// The requests that a node forwards to the leader; inside the proposals of `replication.v1`, which is
/// `chat-replication-proto`.
pub mod forwarded {
    /// Package `forwarded.v1`.
    pub mod v1 {
        include!("generated/forwarded.v1.rs");
    }
}

/// What a replica keeps on its disk.
pub mod storage {
    /// Package `storage.v1`.
    pub mod v1 {
        include!("generated/storage.v1.rs");
    }
}
