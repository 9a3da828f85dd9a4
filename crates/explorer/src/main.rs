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
    /// Elections beside the first one.
    #[arg(long, default_value_t = 1)]
    campaigns: u8,
    /// Messages that are late.
    #[arg(long, default_value_t = 0)]
    delays: u8,
    /// Nodes that are isolated.
    #[arg(long, default_value_t = 1)]
    isolations: u8,
    /// Syncs that are late.
    #[arg(long, default_value_t = 0)]
    slow_syncs: u8,
    /// Restarts.
    #[arg(long, default_value_t = 0)]
    restarts: u8,
    /// Disks that are replaced.
    #[arg(long, default_value_t = 1)]
    wipes: u8,
    /// Disks that return.
    #[arg(long, default_value_t = 1)]
    returns: u8,
    /// Commands.
    #[arg(long, default_value_t = 0)]
    proposals: u8,
    /// Changes of the members that are requested.
    #[arg(long, default_value_t = 2)]
    changes: u8,
    /// Repeated announcements.
    #[arg(long, default_value_t = 2)]
    announcements: u8,
    /// Notices of the commit index.
    #[arg(long, default_value_t = 0)]
    notices: u8,
    /// Repeated fetches.
    #[arg(long, default_value_t = 0)]
    retries: u8,
    /// States at most.
    #[arg(long, default_value_t = 100_000_000)]
    states: u64,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let budget = Budget {
        campaigns: options.campaigns,
        delays: options.delays,
        isolations: options.isolations,
        slow_syncs: options.slow_syncs,
        restarts: options.restarts,
        wipes: options.wipes,
        returns: options.returns,
        proposals: options.proposals,
        changes: options.changes,
        announcements: options.announcements,
        notices: options.notices,
        retries: options.retries,
    };
    let start = World::settled(options.nodes, options.voters, budget);
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
