//! `cargo xtask bench`: measures an optimised cluster of its own and says where and how.
//!
//! Figures differ from machine to machine, so nothing here passes or fails, but for the window, whose
//! frames may cost far more than they do, and for leaders that must stay.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};

use failover::Fault;

mod busy;
mod catch_up;
mod etcd;
mod failover;
mod gui;
mod probe;
mod session;
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
    /// Whether the leader stays beside processes that take nine tenths of every processor.
    Busy {
        /// For how long.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=60))]
        minutes: u32,
    },
    /// Whether a follower that is far behind catches up over a slow link, and the leader stays.
    CatchUp {
        /// How far behind.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=1000))]
        megabytes: u64,
    },
    /// What a conversation of 100,000 messages costs in the window; no cluster is needed.
    Gui,
    /// Takes nine tenths of one processor.
    #[command(hide = true)]
    Spin {
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..=4_000))]
        seconds: u64,
    },
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
        Measurement::Busy { minutes } => busy::run(root, *minutes),
        Measurement::CatchUp { megabytes } => catch_up::run(root, *megabytes),
        Measurement::Gui => gui::run(root),
        Measurement::Spin { seconds } => {
            busy::spin(Duration::from_secs(*seconds));
            Ok(())
        }
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
