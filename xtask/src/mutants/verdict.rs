//! What a run of the simulator says about a mutant.

use std::path::Path;

use super::Ended;

/// The line by which the simulator says that a check failed.
const FAILED: &str = "FAILED ";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A check failed: where (such as `seed 17`), and which.
    Caught { place: String, check: String },
    /// Every check passed.
    Survived,
    /// Neither: the patch or the simulator is at fault.
    Broken(String),
}

impl Verdict {
    pub(super) fn is_caught(&self) -> bool {
        matches!(self, Self::Caught { .. })
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Caught { place, check } => format!("caught by {check} at {place}"),
            Self::Survived => "SURVIVED".to_owned(),
            Self::Broken(reason) => format!("ERROR: {reason}"),
        }
    }
}

/// Judges one run by how it ended and what it printed.
pub(super) fn of_run(ended: Ended, output: &str, log: &Path) -> Verdict {
    let failure = output.lines().find_map(|line| line.strip_prefix(FAILED));
    match (ended, failure) {
        (Ended::Badly, Some(failure)) => caught(failure),
        (Ended::Well, None) => Verdict::Survived,
        (Ended::Well, Some(_)) => Verdict::Broken(format!(
            "it printed FAILED but ended well, see {}",
            log.display()
        )),
        (Ended::Badly, None) => Verdict::Broken(format!(
            "it ended badly without a FAILED line, see {}",
            log.display()
        )),
        (Ended::TooLate, _) => Verdict::Broken(format!("it did not end, see {}", log.display())),
    }
}

/// `seed 17: checker durability: entry 3 is lost` was caught by `durability` at `seed 17`.
fn caught(failure: &str) -> Verdict {
    let (place, what) = failure
        .split_once(": ")
        .unwrap_or((failure, "an unnamed check"));
    let what = what.strip_prefix("checker ").unwrap_or(what);
    let check = what.split(": ").next().unwrap_or(what);
    Verdict::Caught {
        place: place.to_owned(),
        check: check.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Ended, of_run};

    #[track_caller]
    fn check(ended: Ended, output: &str, expected: &str) {
        assert_eq!(of_run(ended, output, Path::new("log")).describe(), expected);
    }

    #[test]
    fn a_failed_check_catches() {
        check(
            Ended::Badly,
            "seeds 1..\nFAILED seed 17: checker durability: entry 3 is lost\nrepeat: …\n",
            "caught by durability at seed 17",
        );
        check(
            Ended::Badly,
            "FAILED transcript elections.txt: line 7 differs\n",
            "caught by line 7 differs at transcript elections.txt",
        );
    }

    #[test]
    fn passing_is_survival() {
        check(Ended::Well, "2000 seeds passed\n", "SURVIVED");
    }

    #[test]
    fn what_is_neither_is_an_error() {
        check(
            Ended::Badly,
            "",
            "ERROR: it ended badly without a FAILED line, see log",
        );
        check(
            Ended::Well,
            "FAILED x: y",
            "ERROR: it printed FAILED but ended well, see log",
        );
        check(
            Ended::TooLate,
            "FAILED x: y",
            "ERROR: it did not end, see log",
        );
    }
}
