//! `cargo xtask cluster status`: prints what the program `chat` reports of the nodes.

use std::io::{IsTerminal, stdout};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use devcluster::layout::Files;
use devcluster::state;
use devcluster::status;

/// Without a quorum, or not running at all.
const NO_QUORUM: u8 = 3;

const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Clears the screen and goes to its first line.
const CLEAR: &str = "\x1b[H\x1b[2J";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

/// Prints the status once, and returns the exit code: 0 healthy, 1 degraded, 3 without quorum.
pub(super) fn print(files: &Files, format: Format) -> Result<ExitCode> {
    if !state::is_up(files)? {
        print_absent(format);
        return Ok(ExitCode::from(NO_QUORUM));
    }
    let mut command = status::command(files);
    if format == Format::Json {
        command.args(["-o", "json"]);
    }
    let status = workspace::status(&mut command)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(NO_QUORUM)))
}

/// Prints the status every second until the person interrupts it.
pub(super) fn watch(files: &Files, format: Format) -> Result<ExitCode> {
    loop {
        if stdout().is_terminal() {
            print!("{CLEAR}");
        }
        print(files, format)?;
        thread::sleep(WATCH_INTERVAL);
    }
}

fn print_absent(format: Format) {
    match format {
        Format::Table => {
            println!("the cluster is not up; `cargo xtask cluster up` starts it");
        }
        Format::Json => {
            let status = serde_json::json!({
                "health": "no_quorum",
                "summary": "the cluster is not up",
                "leader": null,
                "term": 0,
                "nodes": [],
            });
            println!("{status}");
        }
    }
}
