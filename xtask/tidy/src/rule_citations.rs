//! The rule that every numbered rule of the protocol is cited by a test.

use std::collections::BTreeMap;

use super::repository::{Finding, Repository};
use super::{rust_files, rust_text};

const PAGE: &str = "docs/replication.md";

/// Where tests live that are not written in Rust files; mutants are no tests.
const TEST_FOLDER: &str = "tests/";
const MUTANTS: &str = "tests/mutants/";

/// A rule that no test cites may be broken, and all tests pass.
pub(super) fn every_rule_is_cited_by_a_test(repository: &Repository) -> Vec<Finding> {
    let page = match repository.required(PAGE, "state the rules of the protocol there") {
        Ok(page) => page,
        Err(missing) => return vec![missing],
    };
    let tests: Vec<&str> = repository
        .files
        .iter()
        .filter_map(|(path, text)| test_text(path, text))
        .collect();
    let mut findings = Vec::new();
    for (rule, line) in stated_rules(page) {
        if !tests.iter().any(|text| cites(text, rule)) {
            findings.push(Finding {
                path: PAGE.to_owned(),
                line,
                problem: format!("no test cites R{rule}"),
                fix: format!("write the test that fails without the rule and name R{rule} in it"),
            });
        }
    }
    findings
}

/// The rules that have a heading or a bold marker, and where.
fn stated_rules(page: &str) -> BTreeMap<u32, usize> {
    let mut rules = BTreeMap::new();
    for (number, line) in page.lines().enumerate() {
        let heading = line
            .starts_with('#')
            .then(|| line.trim_start_matches('#').trim_start());
        let bold = line.split("**").skip(1).step_by(2);
        for rule in heading.into_iter().chain(bold).filter_map(leading_rule) {
            rules.entry(rule).or_insert(number + 1);
        }
    }
    rules
}

/// The number of a text that begins with `R7` as a word.
fn leading_rule(text: &str) -> Option<u32> {
    let rest = text.trim_start_matches(['`', '*', ' ']).strip_prefix('R')?;
    let digits = rest
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(rest.len());
    let ends = rest[digits..]
        .chars()
        .next()
        .is_none_or(|character| !character.is_alphanumeric());
    if ends {
        rest[..digits].parse().ok()
    } else {
        None
    }
}

/// The part of a file that tests.
fn test_text<'a>(path: &str, text: &'a str) -> Option<&'a str> {
    if path.starts_with(MUTANTS) || path.ends_with(".md") {
        return None;
    }
    if path.starts_with(TEST_FOLDER) {
        return Some(text);
    }
    if !path.ends_with(".rs") {
        return None;
    }
    let skipped = rust_files::first_test_line(path, &rust_text::code_only(text));
    let start: usize = text.split_inclusive('\n').take(skipped).map(str::len).sum();
    Some(&text[start..])
}

/// Whether the text names the rule as a word of its own.
fn cites(text: &str, rule: u32) -> bool {
    let name = format!("R{rule}");
    text.match_indices(&name).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + name.len()..].chars().next();
        let in_word = |character: char| character.is_alphanumeric() || character == '_';
        !before.is_some_and(in_word) && !after.is_some_and(in_word)
    })
}

#[cfg(test)]
mod tests {
    use super::super::repository::findings;

    #[track_caller]
    fn check(page: &str, path: &str, test: &str, expected: &[&str]) {
        let files = [("docs/replication.md", page), (path, test)];
        assert_eq!(
            findings(super::every_rule_is_cited_by_a_test, &files),
            expected
        );
    }

    #[test]
    fn cited_rule_passes() {
        check(
            "# A\n\n### R7 Pre-vote\n",
            "tests/scenarios/a.txt",
            "# R7: refused",
            &[],
        );
        check(
            "# A\n- **R7** Pre-vote\n",
            "crates/a/src/b.rs",
            "#[cfg(test)]\n// R7\n",
            &[],
        );
        check("# A\nthe rule R7 is mentioned\n", "tests/a.rs", "", &[]);
    }

    #[test]
    fn rule_without_a_test_is_found() {
        let missing: &[&str] = &["docs/replication.md:3: no test cites R7"];
        let page = "# A\n\n### R7 Pre-vote\n";
        check(page, "tests/scenarios/a.txt", "# R17, XR7, R7a", missing);
        check(page, "tests/mutants/r7.patch", "# rule: R7", missing);
        check(
            page,
            "crates/a/src/b.rs",
            "// R7\n#[cfg(test)]\nmod tests {}\n",
            missing,
        );
    }

    #[test]
    fn missing_page_is_a_finding() {
        assert_eq!(findings(super::every_rule_is_cited_by_a_test, &[]).len(), 1);
    }
}
