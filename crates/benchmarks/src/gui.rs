//! What a conversation of 100,000 messages costs in the window.
//!
//! Deliberately absent: measuring; a program of the window's own crate does that, so that this one
//! needs no toolkit.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::circumstances::print_circumstances_of;

/// The program of the window that measures.
const PROGRAM: &str = "list_bench";

pub(crate) fn run(programs: &Path) -> Result<()> {
    let status = Command::new(programs.join(PROGRAM))
        .status()
        .with_context(|| format!("starting `{PROGRAM}`"))?;
    if !status.success() {
        bail!("`{PROGRAM}` ended with {status}");
    }
    println!();
    print_circumstances_of("layout and tessellation, no paint", "cargo xtask bench gui");
    Ok(())
}
