//! The table of mutants in `docs/testing.md`: a row shows what the seeds and the scenarios
//! detected of one mutant. No check compares the page with a run: a seed more or less is chance.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::laboratory::SEEDS;
use crate::patch::{FOLDER, Patch};
use crate::verdict::{Examined, Verdict};

const PAGE: &str = "docs/testing.md";
const HEADING: &str = "| mutant | rule |";

/// So many scenarios are named; more are counted.
const NAMED_MAX: usize = 2;

/// The row of a mutant; `None` if nothing could be examined.
pub(crate) fn row(patch: &Patch, examined: &Examined) -> Option<String> {
    let (effort, check) = match &examined.seeds {
        Verdict::Caught { check, effort } => {
            let effort = effort.trim_start_matches("after ");
            let count = effort.split(' ').next().unwrap_or(effort);
            (count.to_owned(), format!("`{check}`"))
        }
        Verdict::Survived => (format!("none of {SEEDS}"), of_other_checks(examined)),
        Verdict::Broken(_) => return None,
    };
    let changed = match (&examined.scenarios, examined.changed.len()) {
        (Verdict::Broken(_), _) => "they do not end".to_owned(),
        (_, 0) => "none".to_owned(),
        (_, 1..=NAMED_MAX) => {
            let name = |name: &String| format!("`tests/scenarios/{name}.txt`");
            let names: Vec<String> = examined.changed.iter().map(name).collect();
            names.join(", ")
        }
        (_, more) => more.to_string(),
    };
    let (name, rule) = (&patch.name, &patch.rule);
    Some(format!(
        "| `{FOLDER}/{name}.patch` | {rule} | {effort} | {check} | {changed} |"
    ))
}

fn of_other_checks(examined: &Examined) -> String {
    let check = match (&examined.images, &examined.tests) {
        _ if !examined.changed.is_empty() => "a scenario",
        (Verdict::Caught { .. }, _) => "log images",
        (_, Verdict::Caught { .. }) => "a unit test",
        _ => "nothing",
    };
    check.to_owned()
}

/// Puts `row` into the page, in place of the mutant's old one if there is one.
pub(crate) fn record(root: &Path, mutant: &str, row: String) -> Result<()> {
    let path = root.join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("reading {PAGE}"))?;
    let page = with_row(&page, mutant, row)
        .with_context(|| format!("{PAGE} has no table that begins with `{HEADING}`"))?;
    fs::write(&path, page).with_context(|| format!("writing {PAGE}"))
}

/// The page with `row` in its table, in the order of the names.
fn with_row(page: &str, mutant: &str, row: String) -> Option<String> {
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    let heading = lines.iter().position(|line| line.starts_with(HEADING))?;
    let first = heading + 2;
    let rows = lines[first..]
        .iter()
        .take_while(|line| line.starts_with('|'))
        .count();
    let begins = |name: &str| format!("| `{FOLDER}/{name}.patch` ");
    let own = begins(mutant);
    lines[first..first + rows].sort();
    let old = lines.iter().position(|line| line.starts_with(&own));
    match old {
        Some(at) => lines[at] = row,
        None => {
            let before = lines[first..first + rows].partition_point(|line| *line < own);
            lines.insert(first + before, row);
        }
    }
    Some(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::{row, with_row};
    use crate::patch::Patch;
    use crate::verdict::{Examined, Verdict};

    fn patch() -> Patch {
        Patch {
            name: "r1-x".to_owned(),
            path: "r1-x.patch".into(),
            rule: "R1".to_owned(),
            what: "x".to_owned(),
        }
    }

    #[track_caller]
    fn check_row(seeds: Verdict, changed: &[&str], expected: &str) {
        let examined = Examined {
            seeds,
            scenarios: Verdict::Survived,
            changed: changed.iter().map(|name| (*name).to_owned()).collect(),
            images: Verdict::Survived,
            tests: Verdict::Survived,
        };
        assert_eq!(row(&patch(), &examined).as_deref(), Some(expected));
    }

    #[test]
    fn row_shows_the_results_of_both_checks() {
        let caught = |effort: &str| Verdict::Caught {
            check: "progress".to_owned(),
            effort: effort.to_owned(),
        };
        let row = "| `tests/mutants/r1-x.patch` | R1 | 17 | `progress` | none |";
        check_row(caught("after 17 seeds"), &[], row);
        let row = "| `tests/mutants/r1-x.patch` | R1 | 1 | `progress` | \
                   `tests/scenarios/a/b.txt`, `tests/scenarios/c.txt` |";
        check_row(caught("after 1 seed"), &["a/b", "c"], row);
        let row = "| `tests/mutants/r1-x.patch` | R1 | none of 400 | a scenario | 3 |";
        check_row(Verdict::Survived, &["a", "b", "c"], row);
        let broken = Examined::broken("it does not build".to_owned());
        assert_eq!(super::row(&patch(), &broken), None);
    }

    #[test]
    fn rows_are_in_the_order_of_their_names() {
        let page = "text\n\n| mutant | rule |\n| --- | --- |\n\
                    | `tests/mutants/r2-b.patch` | R2 |\n| `tests/mutants/r1-a.patch` | R1 |\n\nmore\n";
        let new = with_row(
            page,
            "r1-b",
            "| `tests/mutants/r1-b.patch` | new |".to_owned(),
        );
        let expected = "text\n\n| mutant | rule |\n| --- | --- |\n\
                        | `tests/mutants/r1-a.patch` | R1 |\n| `tests/mutants/r1-b.patch` | new |\n\
                        | `tests/mutants/r2-b.patch` | R2 |\n\nmore\n";
        assert_eq!(new.as_deref(), Some(expected));
        let changed = with_row(
            expected,
            "r1-a",
            "| `tests/mutants/r1-a.patch` | 2 |".to_owned(),
        );
        let expected = expected.replace("r1-a.patch` | R1", "r1-a.patch` | 2");
        assert_eq!(changed, Some(expected));
        assert_eq!(with_row("no table", "r1-a", String::new()), None);
    }
}
