//! `cargo xtask mutants`: breaks one rule at a time in a copy and demands that a check notices.
//!
//! A mutant is a patch in `tests/mutants`. It is caught when the simulator or a scenario ends
//! with a line `FAILED …`; a mutant that does not apply or build is an error of the patch and
//! catches nothing. The copy without a mutant must pass first: a check that always fails would
//! otherwise look perfect.
//!
//! Both checks are always made, so that the table in `docs/testing.md` can say what each of them
//! sees; `--record` writes its rows.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;

const PACKAGE: &str = "mutants";

mod patch;
mod table;
mod tree_copy;
mod verdict;

const FOLDER: &str = "tests/mutants";

/// More seeds than a mutant should need, few enough to run for every one of them.
const SEEDS: &str = "400";

/// A mutant may make the simulator go round in circles; nothing healthy takes this long.
const RUN_LIMIT: Duration = Duration::from_secs(900);

/// What tells a mutant from the real thing.
const SEEDS_CHECK: &[&str] = &["--seeds", SEEDS, "--stop-at-first-failure"];
const SCENARIOS_CHECK: &[&str] = &["--scenarios"];

/// Tries the named mutants, or all of them; `record` writes what came of them into the table.
pub(crate) fn run(root: &Path, names: &[String], record: bool) -> Result<ExitCode> {
    let patches = selected_patches(root, names)?;
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
    } else {
        ExitCode::FAILURE
    })
}

fn selected_patches(root: &Path, names: &[String]) -> Result<Vec<Patch>> {
    let mut patches = Vec::new();
    let folder = root.join(FOLDER);
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {FOLDER}"))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "patch")
        {
            patches.push(Patch::read(&path)?);
        }
    }
    patches.sort_by(|left, right| left.name.cmp(&right.name));
    for name in names {
        if !patches.iter().any(|patch| patch.name == *name) {
            let known: Vec<&str> = patches.iter().map(|patch| patch.name.as_str()).collect();
            bail!(
                "there is no mutant `{name}` in {FOLDER}; there are {}",
                known.join(", ")
            );
        }
    }
    if !names.is_empty() {
        patches.retain(|patch| names.contains(&patch.name));
    }
    if patches.is_empty() {
        bail!("there is no mutant in {FOLDER}");
    }
    Ok(patches)
}

/// The place where mutants live: a copy of the sources, its builds and what its runs printed.
struct Laboratory {
    copy: TreeCopy,
    build: PathBuf,
    logs: PathBuf,
}

impl Laboratory {
    fn new(root: &Path) -> Result<Self> {
        let home = workspace::target_directory(root).join("mutants");
        let logs = home.join("logs");
        fs::create_dir_all(&logs).with_context(|| format!("creating {}", logs.display()))?;
        let copy = TreeCopy::new(root, home.join("tree"))?;
        Ok(Self {
            copy,
            build: home.join("build"),
            logs,
        })
    }

    /// Applies the mutant, examines it, and takes it back whatever came of it.
    fn try_mutant(&self, patch: &Patch) -> Result<Examined> {
        let examined = match self.copy.apply(&patch.path) {
            Ok(()) => self.examine(&patch.name),
            Err(error) => Ok(Examined::broken(format!(
                "the patch does not apply: {error:#}"
            ))),
        };
        self.copy.restore()?;
        examined
    }

    fn examine(&self, name: &str) -> Result<Examined> {
        let build_log = self.logs.join(format!("{name}-build.txt"));
        let mut build = workspace::cargo(
            &self.copy.folder,
            [
                "build",
                "--package",
                "chat-tests",
                "--bin",
                "simulate",
                "--no-default-features",
                "--features",
                "chat",
            ],
        );
        build.arg("--target-dir").arg(&self.build);
        if run_into(&mut build, &build_log)? != Ended::Well {
            return Ok(Examined::broken(format!(
                "it does not build, see {}",
                build_log.display()
            )));
        }
        let (seeds, _) = self.check(&format!("{name}-seeds.txt"), SEEDS_CHECK)?;
        let (scenarios, changed) = self.check(&format!("{name}-scenarios.txt"), SCENARIOS_CHECK)?;
        Ok(Examined {
            seeds,
            scenarios,
            changed,
        })
    }

    /// What one run of the simulator says, and which scenarios differ in it.
    fn check(&self, log: &str, arguments: &[&str]) -> Result<(Verdict, Vec<String>)> {
        let log = self.logs.join(log);
        let mut simulate = Command::new(self.build.join("debug/simulate"));
        simulate.current_dir(&self.copy.folder).args(arguments);
        let ended = run_into(&mut simulate, &log)?;
        let output = fs::read_to_string(&log).unwrap_or_default();
        let verdict = verdict::of_run(ended, &output, &log);
        Ok((verdict, verdict::failed_scenarios(&output)))
    }
}

/// How a program came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Well,
    Badly,
    /// It was still running at the limit and was killed.
    TooLate,
}

/// Runs a command with its output in a file.
fn run_into(command: &mut Command, log: &Path) -> Result<Ended> {
    let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
    let copy = file
        .try_clone()
        .context("sharing the log with the error output")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(copy)
        .spawn()
        .with_context(|| format!("starting `{}`", workspace::describe(command)))?;
    let limit = Instant::now() + RUN_LIMIT;
    loop {
        if let Some(status) = child.try_wait().context("waiting for a program of ours")? {
            return Ok(if status.success() {
                Ended::Well
            } else {
                Ended::Badly
            });
        }
        if Instant::now() > limit {
            child.kill().context("killing a program that did not end")?;
            child.wait().context("waiting for a program of ours")?;
            return Ok(Ended::TooLate);
        }
        thread::sleep(Duration::from_millis(20));
    }
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
