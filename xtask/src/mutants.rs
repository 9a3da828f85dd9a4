//! `cargo xtask mutants`: builds and runs the package `mutants`; its arguments are passed on.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;

const PACKAGE: &str = "mutants";

/// Runs it and returns its exit code.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<ExitCode> {
    let programs = workspace::build(root, &[PACKAGE], false)?;
    let mut command = Command::new(programs.join(PACKAGE));
    let status = workspace::status(command.current_dir(root).args(arguments))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
