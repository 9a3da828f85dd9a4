//! `cargo xtask bench`: builds optimised programs and runs the package `benchmarks`, which measures.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::cluster;

const PACKAGE: &str = "benchmarks";
/// The measurement that needs no cluster, but the window.
const GUI: &str = "gui";

/// Builds what a measurement needs, and runs it; its arguments are passed on.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let mut packages = vec![PACKAGE];
    if arguments.first().is_some_and(|first| first == GUI) {
        packages.push("chat-gui");
    } else {
        packages.extend(cluster::PACKAGES);
    }
    let programs = workspace::build(root, &packages, true)?;
    workspace::run(Command::new(programs.join(PACKAGE)).args(arguments))
}
