//! `cargo xtask gui`: builds the window with visible progress, and opens it. It finds the servers
//! itself: those of `cargo xtask cluster up`.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

const PROGRAM: &str = "chat-gui";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Optimise it.
    #[arg(long)]
    release: bool,
    /// For the window itself, such as `-- --profile bob`; `-- --help` lists them.
    #[arg(last = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

/// Builds, opens, and waits until the window is closed.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<ExitCode> {
    let program = workspace::build(root, &[PROGRAM], arguments.release)?.join(PROGRAM);
    let status = workspace::status(Command::new(program).args(&arguments.arguments))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
