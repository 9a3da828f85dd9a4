//! Which connections count together, because one person can have all of them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Where connections come from: an address, or a whole IPv6 network of 64 bits, which is what one
/// customer of a provider gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Address(IpAddr),
    /// A socket of this machine without an address.
    Local,
}

impl From<Option<SocketAddr>> for Source {
    fn from(peer: Option<SocketAddr>) -> Self {
        match peer.map(|peer| peer.ip().to_canonical()) {
            None => Self::Local,
            Some(IpAddr::V4(address)) => Self::Address(address.into()),
            Some(IpAddr::V6(address)) => {
                let network = address.to_bits() >> 64 << 64;
                Self::Address(Ipv6Addr::from_bits(network).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    fn source(address: &str) -> Source {
        Source::from(Some(address.parse().unwrap()))
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let same = |left: &str, right: &str| source(left) == source(right);
        assert!(same("[2001:db8:1:2::3]:1", "[2001:db8:1:2:ffff::]:2"));
        assert!(!same("[2001:db8:1:2::3]:1", "[2001:db8:1:3::3]:1"));
        assert!(same("192.0.2.1:1", "[::ffff:192.0.2.1]:2"));
        assert!(!same("127.0.0.1:1", "127.0.0.2:1"));
    }
}
