//! The place where mutants are tried: a copy of the sources, its builds and the output of its runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::patch::Patch;
use crate::program_run::{Ended, run_into};
use crate::tree_copy::TreeCopy;
use crate::verdict::{self, Examined, Verdict};

/// More seeds than a mutant should need, few enough to run for every one of them.
pub(crate) const SEEDS: &str = "400";

/// The three checks of the simulator that may catch a mutant.
const SEEDS_CHECK: &[&str] = &["--seeds", SEEDS, "--stop-at-first-failure"];
const SCENARIOS_CHECK: &[&str] = &["--scenarios"];
const LOG_IMAGES_CHECK: &[&str] = &["--log-images"];

/// Those whose unit tests are asked at last.
const TESTED_PACKAGES: &[&str] = &["chat-consensus", "chat-log", "chat-store", "explorer"];

/// A copy of the sources, its builds and the output of its runs.
#[derive(Debug)]
pub(crate) struct Laboratory {
    copy: TreeCopy,
    build: PathBuf,
    logs: PathBuf,
}

impl Laboratory {
    /// Copies the sources as they are now.
    pub(crate) fn new(root: &Path) -> Result<Self> {
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

    /// Applies the mutant, examines it, and restores the copy in any case.
    pub(crate) fn try_mutant(&self, patch: &Patch) -> Result<Examined> {
        let examined = match self.copy.apply(&patch.path) {
            Ok(()) => self.examine(&patch.name),
            Err(error) => Ok(Examined::broken(format!(
                "the patch does not apply: {error:#}"
            ))),
        };
        self.copy.restore()?;
        examined
    }

    /// Builds the copy as it is and makes every check.
    pub(crate) fn examine(&self, name: &str) -> Result<Examined> {
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
        let (images, _) = self.check(&format!("{name}-log-images.txt"), LOG_IMAGES_CHECK)?;
        let mut examined = Examined {
            seeds,
            scenarios,
            changed,
            images,
            tests: Verdict::Survived,
        };
        if examined.verdict() == Verdict::Survived {
            examined.tests = self.unit_tests(&format!("{name}-tests.txt"))?;
        }
        Ok(examined)
    }

    /// The verdict of the unit tests of some packages.
    fn unit_tests(&self, log: &str) -> Result<Verdict> {
        let log = self.logs.join(log);
        let mut test = workspace::cargo(&self.copy.folder, ["test", "--lib", "--no-fail-fast"]);
        for package in TESTED_PACKAGES {
            test.args(["--package", package]);
        }
        test.arg("--target-dir").arg(&self.build);
        let ended = run_into(&mut test, &log)?;
        let output = fs::read_to_string(&log).unwrap_or_default();
        Ok(verdict::of_run(ended, &output, &log))
    }

    /// The verdict of one run of the simulator, and which scenarios differ in it.
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
