//! The figures of a cluster's life, in which logs end and disks are replaced: what the files of a node
//! take, how long a restart takes, and how long a node that is far behind.
//!
//! Each part starts nodes and clients by itself, can be made small, and ends in bounded time.

mod behind;
mod disk_use;
mod etcd_behind;
mod floor;
mod load;
mod report;
mod restart;

use std::path::Path;

use anyhow::Result;
use clap::{Args, ValueEnum};
use devcluster_api::Links;

use crate::circumstances::print_circumstances;
use crate::session::Session;

use load::{BODY_BYTES, Load};
use report::Report;

const NODES: u8 = 3;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// What the files of a node take while much is sent and deleted.
    Disk,
    /// How long a node with many messages takes to serve after its start.
    Restart,
    /// How long a follower that lacks many messages takes, beside other load; and one of etcd, where that
    /// is installed.
    Behind,
}

/// How the figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Which parts, and how large.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The parts, all if there is none.
    #[arg(long = "part", value_enum, value_delimiter = ',')]
    parts: Vec<Part>,
    /// How many messages a node has at its restart, and how many a follower lacks.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    messages: u64,
    /// How much is sent and deleted in each round of the part `disk`.
    #[arg(long, default_value_t = 96, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    megabytes: u64,
    /// How many rounds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How often a follower is killed while it catches up.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    kills: u32,
    /// Sends a second beside a follower that catches up.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    rate: u32,
    /// How the figures are printed.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Measures and prints.
pub(crate) fn run(programs: &Path, folder: &Path, options: &Options) -> Result<()> {
    let wanted = |part| options.parts.is_empty() || options.parts.contains(&part);
    let mut report = Report::default();
    if wanted(Part::Disk) {
        let session = start(programs, folder)?;
        let (megabytes, rounds) = (options.megabytes, options.rounds);
        report.disk = Some(disk_use::measure(&session, megabytes, rounds)?);
    }
    if wanted(Part::Behind) || wanted(Part::Restart) {
        let session = start(programs, folder)?;
        let load = Load::start(&session)?;
        if wanted(Part::Behind) {
            report.behind = behind::measure(&session, &load, folder, options.behind())?;
        } else {
            load.send(options.messages, BODY_BYTES)?;
        }
        if wanted(Part::Restart) {
            report.restart = restart::measure(&session, &load, options.messages)?;
        }
    }
    if wanted(Part::Behind) {
        let folder = folder.join("life-etcd");
        let beside = etcd_behind::measure(programs, &folder, options.behind())?;
        report.behind.extend(beside);
    }
    match options.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Output::Text => {
            println!("{report}");
            print_circumstances(&options.command());
        }
    }
    Ok(())
}

fn start(programs: &Path, folder: &Path) -> Result<Session> {
    Session::start(programs, folder.join("life"), NODES, Links::Direct)
}

impl Options {
    fn behind(&self) -> behind::Size {
        behind::Size {
            messages: self.messages,
            kills: self.kills,
            rate: self.rate,
        }
    }

    fn command(&self) -> String {
        let part = |part: &Part| {
            part.to_possible_value()
                .map(|value| value.get_name().to_owned())
        };
        let parts: Vec<String> = self.parts.iter().filter_map(part).collect();
        let parts = if parts.is_empty() {
            String::new()
        } else {
            format!(" --part {}", parts.join(","))
        };
        format!(
            "cargo xtask bench life{parts} --messages {} --megabytes {} --rounds {} --kills {} --rate {}",
            self.messages, self.megabytes, self.rounds, self.kills, self.rate
        )
    }
}
