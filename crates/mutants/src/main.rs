//! `cargo xtask mutants`: breaks one rule at a time in a copy and demands that a check notices.
//!
//! A mutant is a patch in `tests/mutants`. It is caught when the simulator or a scenario ends
//! with a line `FAILED …`, or a unit test fails; a mutant that does not apply or build is an error of the patch and
//! catches nothing. The copy without a mutant must pass first: a check that always fails would
//! otherwise look perfect.
//!
//! Seeds, scenarios and log images are always tried, so that the table in `docs/testing.md` can show what
//! each of them detects; unit tests only if none of them catches it. `--record` writes the rows.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Parser;

use laboratory::Laboratory;
use patch::Patch;
use verdict::Verdict;

mod laboratory;
mod patch;
mod program_run;
mod table;
mod tree_copy;
mod verdict;

/// Every mutant must be caught.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask mutants", bin_name = "cargo xtask mutants")]
struct Arguments {
    /// File names in tests/mutants without the ending; all of them if none is named.
    names: Vec<String>,
    /// Write the results into the table in docs/testing.md.
    #[arg(long)]
    record: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    run(&workspace::root(), &arguments.names, arguments.record)
}

/// Tries the named mutants, or all of them; `record` writes the results into the table.
fn run(root: &Path, names: &[String], record: bool) -> Result<ExitCode> {
    let patches = patch::select(root, names)?;
    let laboratory = Laboratory::new(root)?;
    println!("without a mutant: every check must pass");
    match laboratory.examine("unpatched")?.verdict() {
        Verdict::Survived => {}
        other => bail!("the checks do not pass without a mutant: {other:?}"),
    }
    let mut rows = Vec::new();
    for patch in &patches {
        println!("{}: {}", patch.name, patch.what);
        let begun = Instant::now();
        let examined = laboratory.try_mutant(patch)?;
        let verdict = examined.verdict();
        println!(
            "    {} ({:.0} s)",
            verdict.describe(),
            begun.elapsed().as_secs_f64()
        );
        if let Some(row) = table::row(patch, &examined) {
            println!("    {row}");
            if record {
                table::record(root, &patch.name, row)?;
            }
        }
        rows.push((patch, verdict));
    }
    print_table(&rows);
    let failed = rows.iter().any(|(_, verdict)| !verdict.is_caught());
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn print_table(rows: &[(&Patch, Verdict)]) {
    let width = rows
        .iter()
        .map(|(patch, _)| patch.name.len())
        .max()
        .unwrap_or(0)
        .max(6);
    println!("\n{:<width$}  {:<5}  RESULT", "MUTANT", "RULE");
    for (patch, verdict) in rows {
        println!(
            "{:<width$}  {:<5}  {}",
            patch.name,
            patch.rule,
            verdict.describe()
        );
    }
    let caught = rows
        .iter()
        .filter(|(_, verdict)| verdict.is_caught())
        .count();
    println!("{caught} of {} mutants caught", rows.len());
}
