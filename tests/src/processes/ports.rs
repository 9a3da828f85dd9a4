//! Ports for one cluster that no other cluster of any test takes, in this process or another one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use chat_consensus::NodeId;

/// Above what a cluster of `cargo xtask cluster` uses.
const PORTS_START: u16 = 12_000;
/// Below 32768, from where on the system gives ports to outgoing connections: a client that dials a dead
/// node's port could otherwise be given that very port as its source.
const PORTS_END: u16 = 32_000;
/// The port that claims the block, and two for each node.
const BLOCK_PORTS: u16 = 1 + 2 * NODES_MAX;
/// As many nodes as a configuration may list.
const NODES_MAX: u16 = 7;

/// Ports that belong to one cluster as long as this exists.
#[derive(Debug)]
pub struct PortBlock {
    first: u16,
    /// Nothing can listen there a second time, which is what claims the block.
    _claim: TcpListener,
}

impl PortBlock {
    /// Claims a block in which nothing listens.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn claim() -> Self {
        let blocks = (PORTS_END - PORTS_START) / BLOCK_PORTS;
        // Tests begin at different places, or they would all try the same blocks first.
        let start = fastrand::u16(0..blocks);
        (0..blocks)
            .map(|step| PORTS_START + (start + step) % blocks * BLOCK_PORTS)
            .find_map(Self::claim_at)
            .expect("a block of ports is free")
    }

    /// Where clients reach a node.
    pub fn client_address(&self, node: NodeId) -> SocketAddr {
        self.address(0, node)
    }

    /// Where the other nodes reach a node.
    pub fn peer_address(&self, node: NodeId) -> SocketAddr {
        self.address(NODES_MAX, node)
    }

    fn claim_at(first: u16) -> Option<Self> {
        let claim = listen(first)?;
        let free = (first + 1..first + BLOCK_PORTS).all(|port| listen(port).is_some());
        free.then_some(Self {
            first,
            _claim: claim,
        })
    }

    fn address(&self, offset: u16, node: NodeId) -> SocketAddr {
        let number = u16::try_from(node.0).expect("node ids are small");
        assert!(
            (1..=NODES_MAX).contains(&number),
            "there is no node {number}"
        );
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.first + offset + number))
    }
}

fn listen(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chat_consensus::NodeId;

    use super::{NODES_MAX, PORTS_END, PortBlock};

    #[test]
    fn ports_of_all_blocks_are_distinct() {
        let blocks: Vec<PortBlock> = (0..10).map(|_| PortBlock::claim()).collect();
        let mut addresses = BTreeSet::new();
        for block in &blocks {
            for node in (1..=NODES_MAX.into()).map(NodeId) {
                assert!(addresses.insert(block.client_address(node)));
                assert!(addresses.insert(block.peer_address(node)));
            }
        }
        assert!(addresses.iter().all(|address| address.port() < PORTS_END));
    }

    #[test]
    fn claimed_block_is_not_claimed_again() {
        let block = PortBlock::claim();
        assert!(PortBlock::claim_at(block.first).is_none());
    }
}
