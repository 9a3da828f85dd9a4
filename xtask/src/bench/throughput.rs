//! How many sends are acknowledged a second, with how much patience, and for how much processor
//! time of all nodes together.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::print_circumstances;
use crate::cluster::Session;
use crate::workspace;

/// Many clients show what a send costs, one shows how fast it can be.
const CLIENTS: [&str; 2] = ["256", "1"];

pub(super) fn run(root: &Path) -> Result<()> {
    let folder = workspace::target_directory(root).join("bench/throughput");
    let session = Session::start(root, folder, 3)?;
    for clients in CLIENTS {
        println!("\n{clients} clients");
        let before = session.processor_time()?;
        let mut bench = Command::new(session.program("chat"));
        bench.args([
            "bench",
            "--clients",
            clients,
            "--seconds",
            "10",
            "--body",
            "100",
            "--config",
        ]);
        workspace::run(bench.arg(session.client_config()))?;
        let used = session.processor_time()? - before;
        println!(
            "processor time of all nodes: {:.2} s, sign-up included",
            used.as_secs_f64()
        );
    }
    println!();
    print_circumstances("cargo xtask bench");
    Ok(())
}
