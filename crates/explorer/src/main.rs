//! `cargo run -p explorer`: visits every state of a small cluster within bounds, and prints what it found. Without
//! options these are three nodes, a disk that is replaced and returns, two requested changes of the members, two
//! leaders, and a node that is isolated: 48 million states.

use std::process::ExitCode;

use clap::Parser;
use explorer::action::Budget;
use explorer::explore;
use explorer::world::World;

/// Explores everything that a few nodes can do within bounds.
#[derive(Debug, Parser)]
struct Options {
    /// Nodes.
    #[arg(long, default_value_t = 3)]
    nodes: u64,
    /// Those of them that are voters in the beginning.
    #[arg(long, default_value_t = 3)]
    voters: u64,
    #[command(flatten)]
    budget: Budget,
    /// States at most.
    #[arg(long, default_value_t = 100_000_000)]
    states: u64,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let start = World::settled(options.nodes, options.voters, options.budget);
    let report = explore(start, options.states, options.threads);
    println!(
        "{} states, {} steps, paths of up to {} steps, {:.1} s, {}",
        report.states,
        report.steps,
        report.deepest,
        report.took.as_secs_f64(),
        if report.is_complete {
            "all within the bounds"
        } else {
            "not all within the bounds"
        }
    );
    let Some(found) = report.found else {
        return ExitCode::SUCCESS;
    };
    println!("forbidden: {}", found.violation.0);
    for step in found.path {
        println!("  {step}");
    }
    ExitCode::FAILURE
}
