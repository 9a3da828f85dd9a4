//! Where a request comes from, for limits by source: an address, and one of its connections.
//!
//! The node that received the request knows it, and sends it to the leader with requests that are
//! limited there. A node is trusted to report its clients. Nothing is authorized by it.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use chat_proto::forwarded::v1 as forwarded;

/// The longest text of a source: an IPv6 address with the length of its prefix.
const SOURCE_BYTES_MAX: usize = 64;

/// What is known of where a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The address.
    pub source: Source,
    /// Different for each connection of a source.
    pub connection: u64,
}

/// An IPv4 address, or the /64 of an IPv6 address: one customer of a provider has all of its addresses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source(Option<Arc<str>>);

impl Origin {
    /// Nothing is known: the request came over a local socket, or from a node of an older version.
    pub const UNKNOWN: Self = Self {
        source: Source(None),
        connection: 0,
    };

    /// The origin of requests over a connection from `peer`.
    pub fn of(peer: Option<SocketAddr>) -> Self {
        let Some(peer) = peer else {
            return Self::UNKNOWN;
        };
        let mut connection = DefaultHasher::new();
        peer.hash(&mut connection);
        Self {
            source: Source::of(peer.ip()),
            connection: connection.finish(),
        }
    }

    /// The message for the leader, with how long the client still waits.
    pub fn to_proto(&self, timeout: Duration) -> forwarded::Origin {
        forwarded::Origin {
            source: self.source.0.as_deref().unwrap_or_default().to_owned(),
            connection: self.connection,
            // Deadlines are at most half a minute away.
            timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
        }
    }

    /// From the message of another node, and how long the client still waits if the node sent that.
    pub fn from_proto(origin: Option<forwarded::Origin>) -> (Self, Option<Duration>) {
        let Some(origin) = origin else {
            return (Self::UNKNOWN, None);
        };
        let usable = (1..=SOURCE_BYTES_MAX).contains(&origin.source.len());
        let known = Self {
            source: Source(usable.then(|| origin.source.into())),
            connection: origin.connection,
        };
        let timeout = Duration::from_millis(origin.timeout_ms.into());
        (known, Some(timeout))
    }
}

impl Source {
    fn of(address: IpAddr) -> Self {
        let text = match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                format!("{}/64", Ipv6Addr::from_bits(network))
            }
        };
        Self(Some(text.into()))
    }

    /// Whether anything is known.
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("unknown"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Origin, SOURCE_BYTES_MAX};

    fn origin(peer: &str) -> Origin {
        Origin::of(Some(peer.parse().unwrap()))
    }

    #[test]
    fn source_is_an_address_or_a_network() {
        for (peer, source) in [
            ("192.0.2.7:1000", "192.0.2.7"),
            ("[::ffff:192.0.2.7]:1000", "192.0.2.7"),
            ("[2001:db8::7:8:9:a]:1000", "2001:db8::/64"),
        ] {
            assert_eq!(origin(peer).source.to_string(), source, "{peer}");
        }
        let (one, other) = (origin("192.0.2.7:1000"), origin("192.0.2.7:1001"));
        assert_eq!(one.source, other.source);
        assert_ne!(one.connection, other.connection);
        assert_eq!(Origin::of(None), Origin::UNKNOWN);
        assert_eq!(Origin::UNKNOWN.source.to_string(), "unknown");
    }

    #[test]
    fn origin_reads_back_from_its_message() {
        let origin = origin("192.0.2.7:1000");
        let sent = origin.to_proto(Duration::from_secs(2));
        let (received, timeout) = Origin::from_proto(Some(sent.clone()));
        assert_eq!(received, origin);
        assert_eq!(timeout, Some(Duration::from_secs(2)));
        assert_eq!(Origin::from_proto(None), (Origin::UNKNOWN, None));
        for source in [String::new(), "x".repeat(SOURCE_BYTES_MAX + 1)] {
            let malformed = chat_proto::forwarded::v1::Origin {
                source,
                ..sent.clone()
            };
            assert!(!Origin::from_proto(Some(malformed)).0.source.is_known());
        }
    }
}
