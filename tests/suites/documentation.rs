//! Compares `docs/testing.md` with what it describes: mutants, faults, checkers and suites. The
//! measured figures of the page are not checked.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use chat_tests::simulation::faults::FAULT_KINDS;

/// The package `tests`.
fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(package().join("../docs/testing.md")).expect("the page is in the repository")
}

/// The cells of the rows of all tables whose first heading is `heading`.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut lines = page.lines();
    let begins = format!("| {heading} |");
    while let Some(line) = lines.next() {
        if line.starts_with(&begins) {
            let table = lines.by_ref().skip(1);
            rows.extend(table.take_while(|line| line.starts_with('|')).map(cells));
        }
    }
    assert!(!rows.is_empty(), "no table begins with `{begins}`");
    rows
}

fn cells(row: &str) -> Vec<String> {
    let cells = row.trim_matches('|').split('|');
    cells.map(|cell| cell.trim().to_owned()).collect()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).expect("the folder is in the repository");
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            files.extend(self::files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().expect("the path ends in a name");
    stem.to_string_lossy().into_owned()
}

#[test]
fn table_of_mutants_has_a_row_for_each_patch_with_its_rule() {
    let patches = files(&package().join("mutants"), "patch");
    let expected: BTreeSet<(String, String)> = patches
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let rule = text.lines().next().unwrap().strip_prefix("# rule: ");
            let rule = rule.unwrap_or_else(|| panic!("{}: no rule", path.display()));
            (stem(path), rule.to_owned())
        })
        .collect();
    let rows = rows(&page(), "mutant");
    let found: BTreeSet<(String, String)> = rows
        .iter()
        .map(|row| (stem(Path::new(row[0].trim_matches('`'))), row[1].clone()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(rows.len(), patches.len(), "a mutant has two rows");
}

/// The text below the table explains the mutants that no seed catches.
#[test]
fn each_mutant_in_the_text_exists_and_those_without_a_seed_are_explained() {
    let page = page();
    let (_, section) = page.split_once("\n## Mutants\n").unwrap();
    let text: String = section
        .lines()
        .filter(|line| line.starts_with("- "))
        .collect();
    let explained: BTreeSet<String> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.starts_with('r') || name.starts_with("state-"))
        .filter(|name| !name.contains('/'))
        .map(str::to_owned)
        .collect();
    let rows = rows(&page, "mutant");
    let without_seed: BTreeSet<String> = rows
        .iter()
        .filter(|row| row[2].starts_with("none of "))
        .map(|row| stem(Path::new(row[0].trim_matches('`'))))
        .collect();
    assert_eq!(explained, without_seed);
}

#[test]
fn table_of_faults_has_each_kind() {
    let expected: BTreeSet<String> = FAULT_KINDS
        .iter()
        .map(|kind| kind.name().to_owned())
        .collect();
    let rows = rows(&page(), "fault");
    let found: BTreeSet<String> = rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(found, expected);
}

/// A violation names its checker by a literal, which is in the sources.
#[test]
fn each_checker_of_the_tables_exists() {
    let sources = files(&package().join("src"), "rs");
    let sources: String = sources
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for row in rows(&page(), "checker") {
        for name in row[0].split('`').skip(1).step_by(2) {
            let literal = format!("\"{name}\"");
            assert!(sources.contains(&literal), "there is no checker {name}");
        }
    }
}

#[test]
fn each_suite_is_named() {
    let page = page();
    for path in files(&package().join("suites"), "rs") {
        let inside = path.strip_prefix(package()).unwrap();
        let name = format!("tests/{}", inside.display());
        let is_index = name == "tests/suites/main.rs";
        let is_part = inside.components().count() > 2;
        assert!(is_index || is_part || page.contains(&name), "{name}");
    }
}
