//! Sockets and the bytes on them: listeners, limits of connections, and admission of requests.

pub(crate) mod admission;
pub(crate) mod connection_limit;
pub(crate) mod listener;
pub mod origin;
mod peer_socket;
