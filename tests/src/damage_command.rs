//! `damage`: damages one file of a real cluster at a time, and prints what came of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use chat_tests::damage::{self, Options};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// Damages files of real servers, one in each round, and checks that it is found or harmless.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many damages.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    count: u64,
    /// The seed of the first; the others follow.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many clusters are damaged at the same time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=16))]
    workers: u64,
    /// A folder to which the files and logs of rounds that fail are copied.
    #[arg(long)]
    keep: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let begun = Instant::now();
    let options = Options {
        count: arguments.count,
        first_seed: arguments.seed,
        workers: arguments.workers.min(arguments.count),
        keep: arguments.keep,
    };
    let records = tokio::select! {
        records = damage::run(&options) => records,
        // The servers end with the rounds, which are dropped.
        () = interrupted() => return ExitCode::FAILURE,
    };
    let failed = records.failed();
    println!("\n{}", records.table());
    for record in &failed {
        println!("FAILED {record}");
        if let Some(seed) = record.seed {
            println!("    repeat it with: cargo xtask damage --count 1 --seed {seed}");
        }
    }
    println!(
        "{} rounds in {:.0} s, {} failed",
        records.len(),
        begun.elapsed().as_secs_f64(),
        failed.len(),
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// SIGINT or SIGTERM.
async fn interrupted() {
    let mut terminated = signal(SignalKind::terminate()).expect("signals can be handled");
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.expect("signals can be handled"),
        _ = terminated.recv() => {}
    }
}
