//! `cargo xtask fuzz`: the fuzz targets, each for some time and with a separate seed. As ordinary
//! tests they replay their corpus and a little more.

use std::path::Path;

use anyhow::Result;

/// Those whose tests have targets.
const PACKAGES: [&str; 3] = ["chat-replication", "chat-server", "chat-store"];

/// Which targets, and how long.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// For each target.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The seed that an earlier run has printed; a new one if there is none.
    #[arg(long)]
    seed: Option<u64>,
    /// One target, by the name of its folder in fuzz/corpus; all if there is none.
    target: Option<String>,
}

/// Runs them one after the other, and ends with the first that fails.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    let filter = format!("fuzz_{}", arguments.target.as_deref().unwrap_or_default());
    let mut command = workspace::cargo(root, ["test", "--lib"]);
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    command.args([&filter, "--", "--nocapture", "--test-threads", "1"]);
    command.env("FUZZ_SECONDS", arguments.seconds.to_string());
    if let Some(seed) = arguments.seed {
        command.env("FUZZ_SEED", seed.to_string());
    }
    workspace::run(&mut command)
}
