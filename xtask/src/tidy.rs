//! `cargo xtask tidy`: what the repository promises about itself, one function a rule.
//!
//! The rules look at text only and build nothing, so they are a unit test too. Whether generated
//! code is fresh needs the protobuf compiler and is therefore checked beside them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::codegen;

mod crate_graph;
mod import_circles;
mod manifest;
mod manifests;
mod markdown;
mod rule_citations;
mod rust_files;
mod rust_modules;
mod rust_text;

/// One broken rule: where, what, and how to put it right.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    problem: String,
    fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            problem,
            fix,
        } = self;
        write!(formatter, "{path}:{line}: {problem}; {fix}")
    }
}

/// The files that the rules look at, by their path from the root.
struct Repository {
    /// A file that is not text is listed with an empty one.
    files: BTreeMap<String, String>,
}

type Rule = fn(&Repository) -> Vec<Finding>;

const RULES: [Rule; 18] = [
    crate_graph::the_graph_is_the_one_in_architecture,
    manifests::every_member_is_listed,
    manifests::members_take_the_lint_table,
    manifests::versions_live_in_the_root_manifest,
    manifests::named_paths_exist,
    manifests::the_toolchain_is_the_rust_version,
    manifests::the_core_depends_on_little,
    rust_files::the_core_is_no_std,
    rust_files::files_open_with_a_sentence,
    rust_files::files_are_short,
    rust_files::names_say_what_a_file_is_about,
    rust_files::banned_code_is_absent,
    rust_files::tests_do_not_sleep,
    markdown::pages_have_one_title,
    markdown::named_paths_exist,
    markdown::no_machine_paths,
    import_circles::files_import_in_no_circle,
    rule_citations::every_rule_is_cited_by_a_test,
];

/// Checks everything.
pub(crate) fn run(root: &Path) -> Result<()> {
    run_static(root)?;
    codegen::run(root, true)
}

/// Checks what needs no compiler.
pub(crate) fn run_static(root: &Path) -> Result<()> {
    let findings = Repository::read(root)?.check();
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!("tidy found {} broken rules", findings.len());
    }
    Ok(())
}

impl Repository {
    fn read(root: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        for (name, path) in workspace::source_files(root)? {
            let bytes = fs::read(&path).with_context(|| format!("reading {name}"))?;
            files.insert(name, String::from_utf8(bytes).unwrap_or_default());
        }
        Ok(Self { files })
    }

    fn check(&self) -> Vec<Finding> {
        RULES.iter().flat_map(|rule| rule(self)).collect()
    }

    /// Text of a file, or a finding that says that it is missing.
    fn required(&self, path: &str, fix: &str) -> Result<&str, Finding> {
        self.files
            .get(path)
            .map(String::as_str)
            .ok_or_else(|| Finding {
                path: path.to_owned(),
                line: 1,
                problem: "the file is missing".to_owned(),
                fix: fix.to_owned(),
            })
    }

    /// Whether a file or a folder that holds files has this path.
    fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let inside = format!("{path}/");
        self.files.contains_key(path)
            || self
                .files
                .range(inside.clone()..)
                .next()
                .is_some_and(|(name, _)| name.starts_with(&inside))
    }

    /// Files whose name ends so, generated ones left out.
    fn with_extension<'a>(
        &'a self,
        extension: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.ends_with(extension) && !path.contains("/generated/"))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Self {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self {
            files: files.iter().map(owned).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, Repository, Rule};

    /// Applies one rule to a repository of these files; the findings as lines without the fix.
    pub(crate) fn findings(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
        let line = |finding: Finding| {
            assert!(!finding.fix.is_empty(), "{finding} names no fix");
            format!("{}:{}: {}", finding.path, finding.line, finding.problem)
        };
        rule(&Repository::of(files)).into_iter().map(line).collect()
    }

    #[test]
    fn the_repository_is_tidy() {
        let repository = Repository::read(&workspace::root()).expect("the repository is readable");
        let findings = repository.check();
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
    }

    #[test]
    fn folders_count_as_paths() {
        let repository = Repository::of(&[("docs/decisions/0001.md", ""), ("docs-old/a.md", "")]);
        for (path, exists) in [
            ("docs", true),
            ("docs/decisions/", true),
            ("docs/decisions/0001.md", true),
            ("docs/dec", false),
            ("doc", false),
        ] {
            assert_eq!(repository.has(path), exists, "{path}");
        }
    }
}
