//! `chat bench`: the load of many clients that each wait for the reply to their request, its latency,
//! and its cost for the servers.

mod cpu_time;
mod failover_probe;
mod load;
mod report;
mod setup;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::arguments::Bench;
use crate::context::Context;
use crate::failure::Failure;
use crate::progress::waiting;

use cpu_time::CpuTime;
use load::{Load, Tally};
use report::Report;
use setup::BenchSetup;

/// Accounts that the clients share. More than one, so that they do not all write to one inbox.
const ACCOUNTS: usize = 8;
/// Connections that the clients share, each of them to the leader.
const CONNECTIONS: usize = 8;
pub(crate) async fn run(context: &Context, bench: &Bench) -> Result<ExitCode, Failure> {
    if bench.failover_probe {
        let setup = BenchSetup::create(context, 1, 1).await?;
        return failover_probe::run(&setup, bench).await;
    }
    let clients = bench.clients as usize;
    let setup = BenchSetup::create(context, CONNECTIONS.min(clients), ACCOUNTS).await?;
    let load = if bench.reads {
        setup.reads().await?
    } else {
        setup.sends(bench.body)
    };
    // Every connection finds the leader before the measurement.
    run_for(&load, clients.min(CONNECTIONS), Duration::from_millis(200)).await;
    let nodes = &context.node_list.nodes;
    let pids: Vec<u32> = nodes.iter().filter_map(|node| node.pid).collect();
    let servers_before = CpuTime::of(&pids);
    let own_before = CpuTime::own();
    let started = Instant::now();
    let measuring = run_for(&load, clients, Duration::from_secs(bench.seconds));
    let tally = waiting("measuring", measuring).await;
    let report = Report::new(
        bench,
        &tally,
        started.elapsed(),
        CpuTime::between(servers_before, CpuTime::of(&pids)),
        CpuTime::between(own_before, CpuTime::own()),
    );
    context.printer.print(|| report.describe(), &report)?;
    if tally.done == 0 {
        return Err(Failure::Unavailable(tally.first_error.unwrap_or_default()));
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_for(load: &Load, clients: usize, time: Duration) -> Tally {
    let until = Instant::now() + time;
    let mut running = JoinSet::new();
    for client in 0..clients {
        let worker = load.worker(client);
        running.spawn(worker.run_until(until));
    }
    let mut total = Tally::default();
    for tally in running.join_all().await {
        total.add(tally);
    }
    total
}
