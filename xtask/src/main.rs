//! The commands for developers of this repository: `cargo xtask` followed by one of the commands below.

use std::io;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod bench;
mod cluster;
mod codegen;
mod damage;
mod fuzz;
mod gui;
mod mutants;
mod package;
mod simulate;
mod test;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "The commands for developers of this repository."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure an optimised cluster; `-- --help` lists the measurements.
    Bench {
        /// Passed on to the program that measures.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// A cluster of real servers on this machine.
    Cluster(cluster::Arguments),
    /// Write the generated sources of chat-proto and chat-replication-proto from proto/.
    Codegen {
        /// Write nothing; fail when something would change.
        #[arg(long)]
        check: bool,
    },
    /// Damage one file of a real cluster at a time: --count N, --seed S.
    Damage {
        /// Passed on to the program that damages.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Give the decoders bytes that no program would send.
    Fuzz(fuzz::Arguments),
    /// Build and open the window; `-- ARGUMENTS` are for the window itself.
    Gui(gui::Arguments),
    /// Package the crates that other services depend on, and build them from their packages.
    Package,
    /// Check the rules of the repository.
    Tidy,
    /// Run every check that a change must pass; CI runs this.
    Test,
    /// Run the simulator: --seeds N, --minutes M or --seed S.
    Simulate {
        /// Passed on to the simulator.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Break one rule at a time in a copy; every mutant must be caught.
    Mutants {
        /// File names in tests/mutants without the ending, and `--record`; passed on.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        // The reader of our output has closed it, as in `cluster logs | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    let root = workspace::root();
    match command {
        Command::Bench { arguments } => bench::run(&root, &arguments)?,
        Command::Cluster(arguments) => return cluster::run(&root, arguments),
        Command::Codegen { check } => codegen::run(&root, check)?,
        Command::Damage { arguments } => return damage::run(&root, &arguments),
        Command::Fuzz(arguments) => fuzz::run(&root, &arguments)?,
        Command::Gui(arguments) => return gui::run(&root, &arguments),
        Command::Package => package::run(&root)?,
        Command::Tidy => {
            tidy::run(&root)?;
            codegen::run(&root, true)?;
        }
        Command::Test => test::run(&root)?,
        Command::Mutants { arguments } => return mutants::run(&root, &arguments),
        Command::Simulate { arguments } => return simulate::run(&root, &arguments),
    }
    Ok(ExitCode::SUCCESS)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
