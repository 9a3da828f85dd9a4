//! What the text of an address shows: its form, whether it can be dialled, whether other
//! machines may reach it, and whether another one is the same.
//!
//! Deliberately absent: resolving names, whose addresses may differ from machine to machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::schema::{SOCKET_PATH_BYTES_MAX, UNIX};

/// A host, in one form for all its spellings.
#[derive(PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    /// One of the two addresses that follow, by the system's choice.
    Localhost,
    /// In lower case.
    Name(String),
}

/// What `localhost` may be.
const LOCALHOST: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// Whether this is a host and a port.
pub(super) fn is_address(text: &str) -> bool {
    let of_a_host = |character: char| character.is_alphanumeric() || "-._:[]%".contains(character);
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && host.chars().all(of_a_host)
            && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

/// Whether this is a socket in the file system.
pub(super) fn is_socket(text: &str) -> bool {
    text.strip_prefix(UNIX).is_some_and(|path| {
        path.starts_with('/') && path.len() <= SOCKET_PATH_BYTES_MAX && !path.contains('\0')
    })
}

/// Whether other machines may reach a listener at this address. A name may mean anything, but for
/// `localhost`.
pub(super) fn is_reached_from_outside(address: &str) -> bool {
    if address.starts_with(UNIX) {
        return false;
    }
    match host(address) {
        Host::Address(address) => !address.is_loopback(),
        Host::Localhost => false,
        Host::Name(_) => true,
    }
}

/// Whether this is the unspecified address, for every address of a machine: a node can listen on it,
/// and no client can dial it.
pub(super) fn is_unspecified(address: &str) -> bool {
    !address.starts_with(UNIX)
        && matches!(host(address), Host::Address(address) if address.is_unspecified())
}

/// Whether two addresses lead to one listener on a machine, or may, as `localhost` and `[::1]` do.
pub(super) fn are_same(one: &str, other: &str) -> bool {
    if one.starts_with(UNIX) || other.starts_with(UNIX) {
        return one == other;
    }
    if port(one) != port(other) {
        return false;
    }
    match (host(one), host(other)) {
        (Host::Localhost, Host::Address(address)) | (Host::Address(address), Host::Localhost) => {
            LOCALHOST.contains(&address)
        }
        (one, other) => one == other,
    }
}

fn host(address: &str) -> Host {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse::<IpAddr>() {
        return Host::Address(address.to_canonical());
    }
    match host.trim_end_matches('.').to_lowercase() {
        name if name == "localhost" => Host::Localhost,
        name => Host::Name(name),
    }
}

fn port(address: &str) -> Option<u16> {
    address.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{are_same, is_unspecified};

    #[test]
    fn same_address_is_recognised_in_other_spellings() {
        for (one, other, same) in [
            ("127.0.0.1:7401", "127.0.0.1:7401", true),
            ("127.0.0.1:7401", "127.0.0.1:7402", false),
            ("localhost:7401", "127.0.0.1:7401", true),
            ("[::1]:7401", "LocalHost:7401", true),
            ("[::1]:7401", "127.0.0.1:7401", false),
            ("localhost:7401", "127.0.0.2:7401", false),
            ("localhost:7401", "localhost:7402", false),
            ("[0:0::1]:7401", "[::1]:07401", true),
            ("[::ffff:10.0.0.1]:7401", "10.0.0.1:7401", true),
            ("Node-1.example.:7401", "node-1.example:7401", true),
            ("node-1:7401", "node-2:7401", false),
            ("unix:/a:7401", "unix:/a:7401", true),
            ("unix:/a:7401", "unix:/b:7401", false),
            ("unix:/localhost:1", "localhost:1", false),
        ] {
            assert_eq!(are_same(one, other), same, "{one} {other}");
            assert_eq!(are_same(other, one), same, "{other} {one}");
        }
    }

    #[test]
    fn unspecified_address_is_recognised() {
        for (address, expected) in [
            ("0.0.0.0:7401", true),
            ("[::]:7401", true),
            ("[0:0:0:0:0:0:0:0]:7401", true),
            ("[::ffff:0.0.0.0]:7401", true),
            ("127.0.0.1:7401", false),
            ("node-1:7401", false),
            ("unix:/0.0.0.0:7401", false),
        ] {
            assert_eq!(is_unspecified(address), expected, "{address}");
        }
    }
}
