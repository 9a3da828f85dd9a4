//! The number of a node in a local cluster.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How many nodes a local cluster has at one time. More nodes only make a majority slower.
pub const NODES_MAX: u8 = 7;

/// The highest number that a node can have. The number of a removed node is never used again, so
/// numbers go beyond [`NODES_MAX`]; so many changes are enough for a cluster to try things out.
pub const NODE_ID_MAX: u8 = 64;

/// The number of a node, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(u8);

/// A number that no node of a local cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node is a number from 1 to {NODE_ID_MAX}")]
pub struct InvalidNodeId;

impl NodeId {
    /// The nodes from 1 to this number: those of a new cluster of this size.
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
            Ok(number) if (1..=NODE_ID_MAX).contains(&number) => Ok(Self(number)),
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
        for text in ["0", "65", "257", "-1", "one", ""] {
            assert!(text.parse::<NodeId>().is_err(), "{text}");
        }
        for text in ["1", "8", "64"] {
            assert!(text.parse::<NodeId>().is_ok(), "{text}");
        }
    }
}
