//! `cargo xtask damage`: builds the servers and the program that damages their files, and runs it; the
//! arguments are passed on.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;

/// Builds and runs the program and ends as it ends.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<ExitCode> {
    let build = [
        "build",
        "--package",
        "chat-tests",
        "--package",
        "chat-server",
        "--bin",
        "damage",
        "--bin",
        "chat-server",
    ];
    workspace::run(&mut workspace::cargo(root, build))?;
    let program = workspace::target_directory(root).join("debug/damage");
    let status = workspace::status(Command::new(program).current_dir(root).args(arguments))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
