//! The number of a node in a local cluster.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// More nodes only make a majority slower.
pub const NODES_MAX: u8 = 7;

/// The number of a node, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(u8);

/// A number that no node of a local cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node is a number from 1 to {NODES_MAX}")]
pub struct InvalidNodeId;

impl NodeId {
    /// All nodes of a cluster of this size.
    pub fn all(count: u8) -> impl Iterator<Item = Self> + Clone {
        (1..=count).map(Self)
    }

    /// The number itself.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl TryFrom<u64> for NodeId {
    type Error = InvalidNodeId;

    fn try_from(number: u64) -> Result<Self, InvalidNodeId> {
        match u8::try_from(number) {
            Ok(number) if (1..=NODES_MAX).contains(&number) => Ok(Self(number)),
            _ => Err(InvalidNodeId),
        }
    }
}

impl FromStr for NodeId {
    type Err = InvalidNodeId;

    fn from_str(text: &str) -> Result<Self, InvalidNodeId> {
        let number: u64 = text.parse().map_err(|_not_a_number| InvalidNodeId)?;
        number.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::NodeId;

    #[test]
    fn number_out_of_range_is_refused() {
        for text in ["0", "8", "257", "-1", "one", ""] {
            assert!(text.parse::<NodeId>().is_err(), "{text}");
        }
        assert!("7".parse::<NodeId>().is_ok());
    }
}
