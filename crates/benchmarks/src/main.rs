//! `cargo xtask bench`: starts an optimised cluster, measures it, and prints on which machine and
//! with which command.
//!
//! Figures differ from machine to machine, so nothing here passes or fails, except for the window,
//! whose frames may cost far more than they do, and for leaders that must not change.
//!
//! `cargo xtask bench` builds the programs; they are taken from the folder of this one.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use failover::Fault;

mod busy;
mod catch_up;
mod circumstances;
mod etcd;
mod failover;
mod gui;
mod life;
mod probe;
mod session;
mod throughput;

/// Measures an optimised cluster.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Arguments {
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
    /// Whether the leader keeps leading beside processes that take nine tenths of every processor.
    Busy {
        /// For how long.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=60))]
        minutes: u32,
    },
    /// Whether a follower that is far behind catches up over a slow link while the leader keeps leading.
    CatchUp {
        /// How far behind.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=1000))]
        megabytes: u64,
    },
    /// What the files of a node take, how long its restart takes, and how long it takes when it is far
    /// behind.
    Life(life::Options),
    /// What a conversation of 100,000 messages costs in the window; no cluster is needed.
    Gui,
    /// Takes nine tenths of one processor.
    #[command(hide = true)]
    Spin {
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..=4_000))]
        seconds: u64,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let programs = programs()?;
    let folder = programs.parent().unwrap_or(&programs).join("bench");
    match arguments.measurement.unwrap_or(Measurement::Throughput) {
        Measurement::Throughput => throughput::run(&programs, &folder),
        Measurement::Failover { by, times } => failover::run(&programs, &folder, by, times),
        Measurement::Busy { minutes } => busy::run(&programs, &folder, minutes),
        Measurement::CatchUp { megabytes } => catch_up::run(&programs, &folder, megabytes),
        Measurement::Life(options) => life::run(&programs, &folder, &options),
        Measurement::Gui => gui::run(&programs),
        Measurement::Spin { seconds } => {
            busy::spin(Duration::from_secs(seconds));
            Ok(())
        }
    }
}

/// The folder of all programs: this one was built together with them.
fn programs() -> Result<PathBuf> {
    let own_program = std::env::current_exe().context("finding our own program")?;
    let folder = own_program.parent().context("a program is in a folder")?;
    Ok(folder.to_path_buf())
}
