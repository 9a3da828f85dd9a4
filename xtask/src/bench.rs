//! `cargo xtask bench`: measures an optimised cluster of its own and says where and how.
//!
//! Figures differ from machine to machine, so nothing here passes or fails, but for the window:
//! what a frame may cost there is far from what it does.

use std::fs;
use std::path::Path;
use std::thread;

use anyhow::Result;
use clap::{Args, Subcommand};

use failover::Fault;

mod etcd;
mod failover;
mod gui;
mod throughput;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    measurement: Option<Measurement>,
}

#[derive(Debug, Subcommand)]
enum Measurement {
    /// How many sends and reads are answered a second, how fast, and what one costs (the default).
    Throughput,
    /// How long clients wait when something happens to the leader.
    Failover {
        /// What happens to it.
        #[arg(long, value_enum, default_value_t)]
        by: Fault,
        /// How often.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        times: u32,
    },
    /// What a conversation of 100,000 messages costs in the window; no cluster is needed.
    Gui,
}

/// Runs one measurement.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    match arguments
        .measurement
        .as_ref()
        .unwrap_or(&Measurement::Throughput)
    {
        Measurement::Throughput => throughput::run(root),
        Measurement::Failover { by, times } => failover::run(root, *by, *times),
        Measurement::Gui => gui::run(root),
    }
}

/// The line that every result ends with: without it a figure means nothing.
fn print_circumstances(command: &str) {
    print_circumstances_of("three nodes and the client on this machine", command);
}

/// The same for something else than a cluster.
fn print_circumstances_of(what: &str, command: &str) {
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
