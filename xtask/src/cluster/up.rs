//! `cargo xtask cluster up`: builds the programs, brings the cluster up, and prints what to type
//! next.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use devcluster::layout::Files;
use devcluster::state;
use devcluster::status::Health;
use devcluster::up::{self, Options, Programs};
use devcluster_api::PortOffset;

use super::status::{self, Format};

/// The packages that have the programs of a cluster.
pub(crate) const PACKAGES: [&str; 3] = ["chat-server", "chat-cli", "devcluster"];

/// The folder of a cluster if no other is named.
pub(super) const DEFAULT_FOLDER: &str = ".cluster";

/// Brings the cluster up, shows it, and prints what can be done with it.
pub(super) fn run(root: &Path, files: &Files, options: Options, release: bool) -> Result<ExitCode> {
    let begun = up::bring_up(files, options, || build(root, release))?;
    let status = up::wait_until_settled(files)?;
    let took = begun.elapsed();
    println!();
    status::print(files, Format::Table)?;
    println!("\nup after {:.1} s", took.as_secs_f64());
    print_next_steps(root, files)?;
    Ok(if status.health == Health::Healthy {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn build(root: &Path, release: bool) -> Result<Programs> {
    let folder = workspace::build(root, &PACKAGES, release)?;
    let profile = if release { "release" } else { "debug" }.to_owned();
    Ok(Programs { folder, profile })
}

fn print_next_steps(root: &Path, files: &Files) -> Result<()> {
    let state = state::read(files)?.context("cluster.json is missing")?;
    let chat = workspace::target_directory(root)
        .join(&state.profile)
        .join("chat");
    let chat = relative(&chat, root);
    let chat = chat.display();
    let data = files.folder();
    let option = if data == root.join(DEFAULT_FOLDER) {
        String::new()
    } else {
        format!(" --data {}", data.display())
    };
    println!(
        "
try it     {chat} sign-up alice        then `{chat} sign-up bob`
           {chat} send --as alice bob \"hello\"
           {chat} inbox --as bob
break it   cargo xtask cluster kill leader{option}
           cargo xtask cluster restart 1{option}
look       cargo xtask cluster status --watch{option}
           cargo xtask cluster logs -f{option}
stop       cargo xtask cluster down{option}       messages are kept; `reset` deletes them"
    );
    if state.port_offset != PortOffset::default() {
        println!(
            "\nthis cluster has other ports than the default: add `--config {}` to every `chat` command",
            files.client_config().display()
        );
    }
    Ok(())
}

fn relative(path: &Path, root: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_owned()
}
