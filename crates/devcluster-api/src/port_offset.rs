//! The ports on which the nodes of a local cluster listen for clients.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::node_id::{NODE_ID_MAX, NodeId};

const FIRST_CLIENT_PORT: u16 = 7401;

/// The system gives the ports above to outgoing connections.
const PORT_MAX: u16 = 32_767;

const OFFSET_MAX: u16 = PORT_MAX - FIRST_CLIENT_PORT - NODE_ID_MAX as u16;

/// Added to every port, so that a second cluster can run beside the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortOffset(u16);

/// A number that would lead to ports that the system uses, or a text that is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a port offset is a number from 0 to {OFFSET_MAX}")]
pub struct InvalidPortOffset;

impl FromStr for PortOffset {
    type Err = InvalidPortOffset;

    fn from_str(text: &str) -> Result<Self, InvalidPortOffset> {
        match text.parse() {
            Ok(offset) if offset <= OFFSET_MAX => Ok(Self(offset)),
            _ => Err(InvalidPortOffset),
        }
    }
}

impl PortOffset {
    /// Where a node listens for clients.
    pub fn client_address(self, node: NodeId) -> SocketAddr {
        let port = FIRST_CLIENT_PORT + u16::from(node.number()) - 1;
        (Ipv4Addr::LOCALHOST, port + self.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::PortOffset;

    #[test]
    fn ports_are_the_documented_ones() {
        let (ports, moved) = (PortOffset::default(), PortOffset(1000));
        let three = "3".parse().unwrap();
        assert_eq!(ports.client_address(three).to_string(), "127.0.0.1:7403");
        assert_eq!(moved.client_address(three).to_string(), "127.0.0.1:8403");
    }

    #[test]
    fn offset_out_of_range_is_refused() {
        for text in ["1000", "25302"] {
            assert!(text.parse::<PortOffset>().is_ok(), "{text}");
        }
        for text in ["25303", "-1", "x"] {
            assert!(text.parse::<PortOffset>().is_err(), "{text}");
        }
    }
}
