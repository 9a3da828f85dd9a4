//! Hosts on a separate network: network namespaces of this machine, joined by a switch that is
//! another one. Nothing of it is in the machine's own network.
//!
//! Needs root and the program `ip`. Whatever was made is removed when its owner is dropped, also by
//! a test that fails. A test that is ended by a signal leaves its namespaces behind: `ip netns list`
//! shows them, with the id of the test's process in their names.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// Networks of this process so far, so that their names differ.
static NETWORKS: AtomicU64 = AtomicU64::new(0);

/// Some hosts, numbered from 1 on, and the switch between them.
#[derive(Debug)]
pub struct Network {
    /// What the names of its namespaces begin with.
    prefix: String,
    /// Those that were made.
    namespaces: Vec<String>,
}

impl Network {
    /// Makes `hosts` hosts that reach each other.
    ///
    /// # Errors
    ///
    /// Why that cannot be done here.
    pub fn make(hosts: u8) -> Result<Self, String> {
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let mut network = Self {
            prefix: format!("chat-tests-{}-{number}", std::process::id()),
            namespaces: Vec::new(),
        };
        let switch = network.add_namespace("switch")?;
        ip(&["-n", &switch, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "bridge", "up"])?;
        for host in 1..=hosts {
            network.add_host(&switch, host)?;
        }
        Ok(network)
    }

    /// Where a host is reached by the others.
    pub fn address(host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, host)
    }

    /// The program and the arguments that run a program on a host, to which its own arguments are
    /// added. The process is the program's own: it gets the signals.
    ///
    /// # Panics
    ///
    /// When the program's path is no text.
    pub fn on_host(&self, host: u8, program: &Path) -> (&'static str, Vec<String>) {
        let namespace = self.namespace(&host.to_string());
        let program = program.to_str().expect("the target folder's path is text");
        let arguments = ["netns", "exec", &namespace, program];
        ("ip", arguments.map(str::to_owned).to_vec())
    }

    /// Takes a host off the network: nothing reaches it and nothing comes from it, and no connection
    /// is closed.
    ///
    /// # Panics
    ///
    /// When it cannot be done; so with [`Self::plug_in`].
    pub fn unplug(&self, host: u8) {
        self.set_link(host, "down");
    }

    /// Puts the plug back.
    pub fn plug_in(&self, host: u8) {
        self.set_link(host, "up");
    }

    fn set_link(&self, host: u8, state: &str) {
        let switch = self.namespace("switch");
        let set = ip(&["-n", &switch, "link", "set", &port(host), state]);
        set.unwrap_or_else(|error| panic!("host {host} cannot be set {state}: {error}"));
    }

    fn add_host(&mut self, switch: &str, host: u8) -> Result<(), String> {
        let namespace = self.add_namespace(&host.to_string())?;
        let port = port(host);
        let cable = ["link", "add", "eth0", "netns", &namespace, "type", "veth"];
        ip(&[cable.as_slice(), &["peer", "name", &port, "netns", switch]].concat())?;
        ip(&["-n", switch, "link", "set", &port, "master", "bridge", "up"])?;
        let address = format!("{}/24", Self::address(host));
        ip(&["-n", &namespace, "address", "add", &address, "dev", "eth0"])?;
        ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
        ip(&["-n", &namespace, "link", "set", "lo", "up"])
    }

    fn add_namespace(&mut self, name: &str) -> Result<String, String> {
        let namespace = self.namespace(name);
        ip(&["netns", "add", &namespace])?;
        self.namespaces.push(namespace.clone());
        Ok(namespace)
    }

    fn namespace(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }
}

impl Drop for Network {
    /// The cables go with their ends.
    fn drop(&mut self) {
        for namespace in self.namespaces.iter().rev() {
            if let Err(error) = ip(&["netns", "delete", namespace]) {
                eprintln!("{namespace} is left behind: {error}");
            }
        }
    }
}

/// Reports that a test was skipped because there are no networks, on the real standard error: the
/// test harness captures the output of tests that pass.
///
/// # Panics
///
/// When standard error cannot be written.
pub fn report_skipped(test: &str, reason: &str) {
    let written = writeln!(
        std::io::stderr(),
        "SKIPPED {test}: separate networks need root and the program `ip`; {reason}"
    );
    written.expect("standard error can be written");
}

/// The switch's end of a host's cable.
fn port(host: u8) -> String {
    format!("port{host}")
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new("ip");
    let output = command.args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("`ip` cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let command = arguments.join(" ");
    Err(format!(
        "`ip {command}` ended with {}: {}",
        output.status,
        errors.trim()
    ))
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::process::Command;

    use super::{Network, report_skipped};

    fn listed() -> String {
        let output = Command::new("ip").args(["netns", "list"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn network_is_removed_when_its_test_fails() {
        let network = match Network::make(2) {
            Ok(network) => network,
            Err(reason) => {
                return report_skipped("network_is_removed_when_its_test_fails", &reason);
            }
        };
        let prefix = network.prefix.clone();
        assert_eq!(listed().matches(&prefix).count(), 3, "hosts and switch");
        let failed = catch_unwind(AssertUnwindSafe(move || {
            assert_eq!(network.namespaces.len(), 0, "this fails on purpose");
        }));
        assert!(failed.is_err());
        assert_eq!(listed().matches(&prefix).count(), 0);
    }
}
