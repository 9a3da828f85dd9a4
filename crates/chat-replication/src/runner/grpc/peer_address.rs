//! Where a peer is dialled: a host and a port, or a socket in the file system of this machine.
//!
//! A path has one advantage over a port of the loopback address: the folder's mode decides who reaches
//! it, and a port is open to every user of the machine.

use std::path::PathBuf;

use tonic::transport::Endpoint;

/// What an address begins with that is a path.
const UNIX: &str = "unix:";

/// The longest path: the system takes 108 bytes, and the last of them ends it.
const PATH_BYTES_MAX: usize = 107;

/// Where a peer listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PeerAddress {
    /// `host:port`.
    Tcp(String),
    /// `unix:/path`.
    Unix(PathBuf),
}

impl PeerAddress {
    /// `None` for what cannot be dialled whatever the network looks like.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix(UNIX) {
            Some(path) => {
                let fits = path.len() <= PATH_BYTES_MAX && !path.contains('\0');
                (path.starts_with('/') && fits).then(|| Self::Unix(path.into()))
            }
            None => {
                let endpoint = Endpoint::from_shared(format!("http://{text}")).ok()?;
                let named = endpoint.uri().host().is_some_and(|host| !host.is_empty());
                let whole = named && endpoint.uri().port_u16().is_some_and(|port| port != 0);
                whole.then(|| Self::Tcp(text.to_owned()))
            }
        }
    }

    /// For calls. Nothing is known yet of the peer.
    pub(super) fn endpoint(&self) -> Endpoint {
        let uri = match self {
            Self::Tcp(address) => format!("http://{address}"),
            // Two slashes more, which tonic takes off: it would take them off a path, too.
            Self::Unix(path) => format!("{UNIX}//{}", path.display()),
        };
        Endpoint::from_shared(uri).expect("parsing has seen that it is an address")
    }
}

#[cfg(test)]
mod tests {
    use super::PeerAddress;

    #[test]
    fn address_is_a_port_or_a_path() {
        let tcp = |text: &str| Some(PeerAddress::Tcp(text.to_owned()));
        for valid in ["127.0.0.1:7501", "[::1]:7501", "node-2.example:1"] {
            assert_eq!(PeerAddress::parse(valid), tcp(valid));
        }
        assert_eq!(
            PeerAddress::parse("unix:/run/chat/node-1.sock"),
            Some(PeerAddress::Unix("/run/chat/node-1.sock".into()))
        );
        let longest = format!("unix:/{}", "x".repeat(106));
        assert!(PeerAddress::parse(&longest).is_some());
        let too_long = format!("{longest}x");
        for bad in [
            "",
            "here",
            "127.0.0.1",
            "127.0.0.1:0",
            ":7501",
            "a b:1",
            "unix:",
            "unix:relative",
            "unix:/a\0b",
            &too_long,
        ] {
            assert_eq!(PeerAddress::parse(bad), None, "{bad:?}");
        }
    }
}
