//! What sends and reads cost and how fast they are answered, for a growing number of clients; and
//! where etcd is installed, what the same load costs there.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use devcluster_api::Links;
use serde::Deserialize;

use crate::circumstances::print_circumstances;
use crate::etcd::Etcd;
use crate::session::Session;

const CLIENTS: [&str; 4] = ["1", "16", "64", "256"];
const SECONDS: &str = "10";
const BODY_BYTES: &str = "100";

/// What a load printed.
#[derive(Debug, Deserialize)]
struct Figures {
    per_second: f64,
    p50_us: u64,
    p99_us: u64,
    /// Processor time of all nodes for each request, in microseconds.
    server_cpu_us: Option<f64>,
    #[serde(default)]
    failed: u64,
}

pub(crate) fn run(programs: &Path, folder: &Path) -> Result<()> {
    // `chat` finds the nodes' processes through the folder `.cluster` where it is started.
    let session = Session::start(programs, folder.join(".cluster"), 3, Links::Direct)?;
    println!("\nload           clients       per s     p50 ms     p99 ms   node CPU µs   failed");
    for (load, options) in [("send", &[][..]), ("read", &["--reads"][..])] {
        for clients in CLIENTS {
            let mut bench = Command::new(session.program("chat"));
            bench.current_dir(folder).args(["bench", "-o", "json"]);
            bench.args([
                "--clients",
                clients,
                "--seconds",
                SECONDS,
                "--body",
                BODY_BYTES,
            ]);
            print_row(load, clients, &figures(bench.args(options))?);
        }
    }
    drop(session);
    match Etcd::start(programs, &folder.join("etcd"))? {
        Some(etcd) => run_etcd(&etcd)?,
        None => println!("etcd is not installed: nothing to compare with"),
    }
    println!();
    print_circumstances("cargo xtask bench");
    println!("each     {SECONDS} s, bodies of {BODY_BYTES} bytes, a read is a page of 20 messages");
    Ok(())
}

/// The same on etcd: clients put values of the same size, and call the leader.
fn run_etcd(etcd: &Etcd) -> Result<()> {
    for clients in CLIENTS {
        let before = etcd.processor_time()?;
        let mut load = Command::new(etcd.load());
        load.args([&etcd.leader()?, "--clients", clients, "--seconds", SECONDS]);
        let mut figures = figures(load.args(["--body", BODY_BYTES]))?;
        let used = etcd.processor_time()? - before;
        let done = figures.per_second * SECONDS.parse::<f64>().context("a number of seconds")?;
        figures.server_cpu_us = Some(used.as_secs_f64() * 1e6 / done);
        print_row("etcd put", clients, &figures);
    }
    println!("{}", etcd.version()?);
    Ok(())
}

fn figures(command: &mut Command) -> Result<Figures> {
    let output = command
        .output()
        .with_context(|| format!("starting {}", command.get_program().display()))?;
    serde_json::from_slice(&output.stdout).with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!(
            "{} printed no figures: {errors}",
            command.get_program().display()
        )
    })
}

fn print_row(load: &str, clients: &str, figures: &Figures) {
    let milliseconds = |micros: u64| micros as f64 / 1000.0;
    let (p50, p99) = (milliseconds(figures.p50_us), milliseconds(figures.p99_us));
    let cost = figures
        .server_cpu_us
        .map_or_else(|| "unknown".to_owned(), |cost| format!("{cost:.1}"));
    println!(
        "{load:<12} {clients:>9} {:>11.0} {p50:>10.2} {p99:>10.2} {cost:>13} {:>8}",
        figures.per_second, figures.failed
    );
}
