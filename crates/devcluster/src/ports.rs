//! Whether the ports of the nodes are free.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result};

/// Whether another program listens at this address.
pub(crate) fn is_taken(address: SocketAddr) -> Result<bool> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(true),
        Err(error) => Err(error).with_context(|| format!("listening on {address}")),
    }
}
