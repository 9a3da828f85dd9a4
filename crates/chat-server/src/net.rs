//! Sockets and the bytes on them: listeners, limits of connections, and admission of requests.

pub(crate) mod admission;
pub(crate) mod connection_limit;
mod counted_stream;
pub(crate) mod listener;
mod peer_socket;
pub(crate) mod write_strategy;
