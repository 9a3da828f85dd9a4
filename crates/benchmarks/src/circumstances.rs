//! The lines that every result ends with: without them a figure means nothing.

use std::fs;
use std::thread;

/// For a cluster of three nodes.
pub(crate) fn print_circumstances(command: &str) {
    print_circumstances_of("three nodes and the client on this machine", command);
}

/// For anything else.
pub(crate) fn print_circumstances_of(what: &str, command: &str) {
    let processors = thread::available_parallelism().map_or(0, usize::from);
    let model = first_value("/proc/cpuinfo", "model name");
    let system = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("machine  {processors} × {model}, Linux {}", system.trim());
    println!("profile  release, {what}");
    println!("command  {command}");
}

/// The value of the first `key : value` line of a file of the kernel.
fn first_value(path: &str, key: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.split_once(':'));
    value.map_or_else(
        || "unknown processor".to_owned(),
        |(_, value)| value.trim().to_owned(),
    )
}
