//! `cargo xtask test`: the one command that decides whether a change is sound; CI runs the same.
//!
//! It builds the whole workspace once and runs programs from the target folder: a second set of
//! features would mean a second build of everything heavy.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::package;

/// Seeds of the simulator that every change must survive; more are for `cargo xtask simulate`.
const SIMULATED_SEEDS: &str = "2000";
/// Damages of a real cluster's files; more are for `cargo xtask damage`.
const DAMAGES: &str = "40";

struct Step {
    name: &'static str,
    run: fn(&Path) -> Result<()>,
}

const STEPS: [Step; 10] = [
    Step {
        name: "format",
        run: format,
    },
    Step {
        name: "tidy",
        run: tidy::run,
    },
    Step {
        name: "build",
        run: build,
    },
    Step {
        name: "generated code",
        run: generated_code,
    },
    Step {
        name: "clippy",
        run: clippy,
    },
    Step {
        name: "tests",
        run: tests,
    },
    Step {
        name: "simulation",
        run: simulation,
    },
    Step {
        name: "damages",
        run: damages,
    },
    Step {
        name: "documentation",
        run: documentation,
    },
    Step {
        name: "packages",
        run: package::run,
    },
];

/// Runs every step until the first that fails, and prints how long each took.
pub(crate) fn run(root: &Path) -> Result<()> {
    let begun = Instant::now();
    let mut finished: Vec<(&str, Duration)> = Vec::new();
    for (number, step) in STEPS.iter().enumerate() {
        println!("==> {}/{} {}", number + 1, STEPS.len(), step.name);
        let step_begun = Instant::now();
        let outcome = (step.run)(root);
        finished.push((step.name, step_begun.elapsed()));
        if let Err(error) = outcome {
            summarize(&finished, begun.elapsed(), "FAILED");
            return Err(error.context(format!("step `{}` failed", step.name)));
        }
        println!("    {} took {}\n", step.name, seconds(step_begun.elapsed()));
    }
    summarize(&finished, begun.elapsed(), "passed");
    Ok(())
}

fn summarize(finished: &[(&str, Duration)], total: Duration, outcome: &str) {
    println!();
    for (position, (name, duration)) in finished.iter().enumerate() {
        let last = position + 1 == finished.len();
        println!(
            "{:>10}  {name}{}",
            seconds(*duration),
            if last {
                format!(": {outcome}")
            } else {
                String::new()
            }
        );
    }
    let skipped = STEPS.len() - finished.len();
    println!(
        "{:>10}  in all, {} of {} steps run",
        seconds(total),
        finished.len(),
        STEPS.len()
    );
    if skipped > 0 {
        println!("            {skipped} steps were not reached");
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn format(root: &Path) -> Result<()> {
    workspace::run(&mut workspace::cargo(root, ["fmt", "--all", "--check"]))
}

fn build(root: &Path) -> Result<()> {
    workspace::run(&mut workspace::cargo(
        root,
        ["build", "--workspace", "--all-targets"],
    ))
}

fn generated_code(root: &Path) -> Result<()> {
    run_built(root, "codegen", &["--check"])
}

fn clippy(root: &Path) -> Result<()> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    workspace::run(&mut workspace::cargo(root, arguments))
}

fn tests(root: &Path) -> Result<()> {
    workspace::run(&mut workspace::cargo(root, ["test", "--workspace"]))
}

fn simulation(root: &Path) -> Result<()> {
    run_built(root, "simulate", &["--seeds", SIMULATED_SEEDS])
}

/// The same seeds every time.
fn damages(root: &Path) -> Result<()> {
    run_built(root, "damage", &["--count", DAMAGES, "--seed", "0"])
}

/// The window is included although its page is nearly empty: leaving it out would change the set
/// of features, and everything would be checked again.
fn documentation(root: &Path) -> Result<()> {
    let mut command = workspace::cargo(root, ["doc", "--quiet", "--workspace", "--no-deps"]);
    workspace::run(command.env("RUSTDOCFLAGS", "-D warnings"))
}

fn run_built(root: &Path, program: &str, arguments: &[&str]) -> Result<()> {
    let path = workspace::target_directory(root)
        .join("debug")
        .join(program);
    if !path.exists() {
        bail!("the build left no {}", path.display());
    }
    workspace::run(Command::new(path).current_dir(root).args(arguments))
}
