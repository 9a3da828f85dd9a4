//! What all tests of attackers have in common: their limits, and that they take turns.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::Mutex;

/// Of each test; none takes half of it.
pub(super) const LIMIT: Duration = Duration::from_secs(170);
/// What no node may exceed at any time.
pub(super) const MEMORY_MAX: u64 = 256 << 20;
/// 64 of the longest messages: a page of 1 MiB.
pub(super) const LONG_MESSAGES: usize = 64;
pub(super) const PASSWORD: &str = "open sesame";
pub(super) const ATTACKERS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Held by the test whose turn it is.
pub(super) static ALONE: Mutex<()> = Mutex::const_new(());

/// The attackers' connections and those of the echo servers are all in this process.
pub(super) fn raise_file_limit() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(20_000)), hard).unwrap();
}
