//! The verdict on a mutant, from a run of the simulator or of unit tests.

use std::path::Path;

use crate::program_run::Ended;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A check failed: which, and how long that took (such as `after 18 seeds`).
    Caught { check: String, effort: String },
    /// Every check passed.
    Survived,
    /// Neither: the patch or the simulator is at fault.
    Broken(String),
}

impl Verdict {
    pub(crate) fn is_caught(&self) -> bool {
        matches!(self, Self::Caught { .. })
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Caught { check, effort } => format!("caught by {check} {effort}"),
            Self::Survived => "SURVIVED".to_owned(),
            Self::Broken(reason) => format!("ERROR: {reason}"),
        }
    }
}

/// The verdicts of the checks on a mutant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Examined {
    pub(crate) seeds: Verdict,
    pub(crate) scenarios: Verdict,
    /// The names of the scenarios that change.
    pub(crate) changed: Vec<String>,
    /// Logs that are opened after crashes, lies and rot.
    pub(crate) images: Verdict,
    /// Unit tests, which are asked only when nothing else has caught it.
    pub(crate) tests: Verdict,
}

impl Examined {
    /// Nothing could be examined.
    pub(crate) fn broken(reason: String) -> Self {
        Self {
            seeds: Verdict::Broken(reason),
            scenarios: Verdict::Survived,
            changed: Vec::new(),
            images: Verdict::Survived,
            tests: Verdict::Survived,
        }
    }

    /// The verdict of the seeds comes first, since they try stories that no person has written
    /// down. A check that gives neither result makes the whole an error, unless the seeds have
    /// caught the mutant: its scenarios may well never end.
    pub(crate) fn verdict(&self) -> Verdict {
        let verdicts = [&self.seeds, &self.scenarios, &self.images, &self.tests];
        let first = verdicts
            .into_iter()
            .find(|verdict| **verdict != Verdict::Survived);
        first.cloned().unwrap_or(Verdict::Survived)
    }
}

/// Judges one run by how it ended and what it printed.
pub(crate) fn of_run(ended: Ended, output: &str, log: &Path) -> Verdict {
    let broken = |what: &str| Verdict::Broken(format!("{what}, see {}", log.display()));
    match (ended, earliest_failure(output)) {
        (Ended::TooLate, _) => broken("it did not end"),
        (Ended::Well, None) => Verdict::Survived,
        (Ended::Well, Some(_)) => broken("it reported a failure but ended well"),
        (Ended::Badly, None) => broken("it ended badly without a failed check"),
        (Ended::Badly, Some(caught)) => caught,
    }
}

/// The failure of the lowest seed, which is not always the first: seeds run side by side.
fn earliest_failure(output: &str) -> Option<Verdict> {
    let seeds = output.lines().filter_map(|line| {
        let (seed, what) = line.strip_prefix("FAILED seed ")?.split_once(": ")?;
        Some((seed.parse::<u64>().ok()?, what))
    });
    if let Some((seed, what)) = seeds.min_by_key(|(seed, _)| *seed) {
        // The first seed is 0.
        let effort = if seed == 0 {
            "after 1 seed".to_owned()
        } else {
            format!("after {} seeds", seed + 1)
        };
        return Some(Verdict::Caught {
            check: checker(what),
            effort,
        });
    }
    if let Some(name) = failed_scenarios(output).into_iter().next() {
        return Some(Verdict::Caught {
            check: "the scenario".to_owned(),
            effort: name,
        });
    }
    let images = output
        .lines()
        .find_map(|line| line.strip_prefix("FAILED log images ")?.split_once(": "));
    if let Some((kind, _)) = images {
        return Some(Verdict::Caught {
            check: "the log images of".to_owned(),
            effort: kind.to_owned(),
        });
    }
    let test = output
        .lines()
        .find_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    test.map(|name| Verdict::Caught {
        check: "the test".to_owned(),
        effort: name.to_owned(),
    })
}

/// The scenarios that differ, by name.
pub(crate) fn failed_scenarios(output: &str) -> Vec<String> {
    let failed = output
        .lines()
        .filter_map(|line| line.strip_prefix("FAILED scenario ")?.split_once(": "));
    failed.map(|(name, _)| name.to_owned()).collect()
}

/// `checker durability: entry 3 is lost` names `durability`.
fn checker(what: &str) -> String {
    let what = what.strip_prefix("checker ").unwrap_or(what);
    what.split(": ").next().unwrap_or(what).to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::of_run;
    use crate::program_run::Ended;

    #[track_caller]
    fn check(ended: Ended, output: &str, expected: &str) {
        assert_eq!(of_run(ended, output, Path::new("log")).describe(), expected);
    }

    #[test]
    fn mutant_is_caught_by_a_failed_check() {
        check(
            Ended::Badly,
            "FAILED seed 17: checker durability: entry 3 is lost\n    repeat it with: …\n\
             FAILED seed 16: checker progress: no node leads\n",
            "caught by progress after 17 seeds",
        );
        check(
            Ended::Badly,
            "FAILED seed 0: checker elections: two: leaders\n",
            "caught by elections after 1 seed",
        );
        check(
            Ended::Badly,
            "FAILED scenario elections: line 7 differs\n",
            "caught by the scenario elections",
        );
        check(
            Ended::Badly,
            "FAILED log images rot: seed 3, step 7: believed wrongly\n",
            "caught by the log images of rot",
        );
        check(
            Ended::Badly,
            "running 2 tests\ntest a::works ... ok\ntest a::fails ... FAILED\n",
            "caught by the test a::fails",
        );
    }

    #[test]
    fn mutant_survives_when_every_check_passes() {
        check(Ended::Well, "2000 seeds passed\n", "SURVIVED");
    }

    #[test]
    fn run_without_a_clear_result_is_an_error() {
        let badly = "ERROR: it ended badly without a failed check, see log";
        check(Ended::Badly, "", badly);
        check(Ended::Badly, "FAILED to find the scenarios: gone\n", badly);
        let well = "ERROR: it reported a failure but ended well, see log";
        check(Ended::Well, "FAILED seed 1: checker x: y", well);
        check(
            Ended::TooLate,
            "FAILED seed 1: checker x: y",
            "ERROR: it did not end, see log",
        );
    }
}
