//! `cargo xtask codegen`: runs the package `codegen`, which has the heavy dependencies.

use std::path::Path;

use anyhow::Result;

/// Writes the generated code, or only checks it.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    let mut command = workspace::cargo(root, ["run", "--quiet", "--package", "codegen", "--"]);
    if check {
        command.arg("--check");
    }
    workspace::run(&mut command)
}
