//! `chat bench`: many clients that each wait for their answer, and what it costs the servers.

mod cpu_time;
mod failover_probe;
mod load;
mod report;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use chat_client::{ChatClient, InboxQuery, OutgoingMessage, Session};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::arguments::Bench;
use crate::context::Context;
use crate::failure::Failure;
use crate::progress::waiting;

use cpu_time::CpuTime;
use load::{Load, Tally};
use report::Report;

/// Accounts that the clients share. More than one, so that no inbox is written by all.
const ACCOUNTS: usize = 8;
/// Connections that the clients share: each is one to the leader.
const CONNECTIONS: usize = 8;
/// Messages in each inbox before reads are measured, and in each page.
const PAGE: u32 = 20;

/// What all clients of a measurement share.
struct Stage {
    connections: Vec<ChatClient>,
    sessions: Vec<Session>,
}

pub(crate) async fn run(context: &Context, bench: &Bench) -> Result<ExitCode, Failure> {
    if bench.failover_probe {
        let stage = Stage::set(context, 1, 1).await?;
        return failover_probe::run(&stage, bench).await;
    }
    let clients = bench.clients as usize;
    let stage = Stage::set(context, CONNECTIONS.min(clients), ACCOUNTS).await?;
    let load = if bench.reads {
        stage.reads().await?
    } else {
        stage.sends(bench.body)
    };
    // Every connection finds the leader before anything is measured.
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

impl Stage {
    /// Signs up accounts of random names, which stay behind.
    async fn set(context: &Context, connections: usize, accounts: usize) -> Result<Self, Failure> {
        let connections: Vec<ChatClient> = (0..connections)
            .map(|_| context.client())
            .collect::<Result<_, _>>()?;
        let run = Uuid::new_v4().simple().to_string();
        let mut sessions = Vec::new();
        for number in 0..accounts {
            let name = format!("bench-{}-{number}", &run[..8]);
            sessions.push(connections[0].sign_up(&name, &run).await?);
        }
        Ok(Self {
            connections,
            sessions,
        })
    }

    fn sends(self, body: u64) -> Load {
        let body = "x".repeat(usize::try_from(body).expect("bodies are small"));
        Load::Send {
            connections: self.connections,
            sessions: self.sessions,
            body,
        }
    }

    async fn reads(self) -> Result<Load, Failure> {
        for session in &self.sessions {
            for _ in 0..PAGE {
                let message = OutgoingMessage::new(session.username(), "x".repeat(100));
                self.connections[0].send_message(session, &message).await?;
            }
        }
        Ok(Load::Read {
            connections: self.connections,
            sessions: self.sessions,
            query: InboxQuery {
                limit: Some(PAGE),
                ..InboxQuery::default()
            },
        })
    }
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
