//! The program `devcluster`: the background process of a cluster, and what each of its nodes'
//! processes does before it becomes the server. People use `cargo xtask cluster` instead.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use devcluster::layout::Files;
use devcluster::{supervised_node, supervisor};

fn main() -> ExitCode {
    match run(env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let command = arguments.next().unwrap_or_default();
    match command.to_str() {
        Some(supervisor::COMMAND) => {
            let folder: PathBuf = arguments.next().context("no folder of a cluster")?.into();
            supervisor::run(Files::new(folder))
        }
        Some(supervised_node::COMMAND) => {
            let parent = arguments.next().unwrap_or_default();
            let parent = parent.to_string_lossy().parse();
            let program: Vec<OsString> = arguments.collect();
            supervised_node::become_node(parent.context("no process id of a parent")?, &program)
        }
        _ => bail!("this program belongs to a cluster; use `cargo xtask cluster`"),
    }
}
