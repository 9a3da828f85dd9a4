//! What a conversation of 100,000 messages costs in the window.
//!
//! Deliberately absent: measuring; a program of the window's own crate does that, so that xtask
//! needs no toolkit.

use std::path::Path;

use anyhow::Result;

use super::print_circumstances_of;
use crate::workspace;

pub(super) fn run(root: &Path) -> Result<()> {
    let arguments = [
        "run",
        "--quiet",
        "--release",
        "-p",
        "chat-gui",
        "--bin",
        "list_bench",
    ];
    workspace::run(&mut workspace::cargo(root, arguments))?;
    println!();
    print_circumstances_of("layout and tessellation, no paint", "cargo xtask bench gui");
    Ok(())
}
