//! What a conversation of 100,000 messages costs in the window, and how much memory one of 10,000 takes.
//!
//! Deliberately absent: measuring; programs of the window's own crate do that, so that this one
//! needs no toolkit.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::circumstances::print_circumstances_of;

/// The programs of the window that measure.
const PROGRAMS: [&str; 2] = ["list_bench", "window_memory"];

pub(crate) fn run(programs: &Path) -> Result<()> {
    let mut missed = Vec::new();
    for program in PROGRAMS {
        let status = Command::new(programs.join(program))
            .status()
            .with_context(|| format!("starting `{program}`"))?;
        if !status.success() {
            missed.push(format!("`{program}` ended with {status}"));
        }
        println!();
    }
    print_circumstances_of(
        "layout and tessellation without paint; windows under Xvfb, without servers",
        "cargo xtask bench gui",
    );
    if !missed.is_empty() {
        bail!("{}", missed.join("; "));
    }
    Ok(())
}
