//! The files that the rules of `cargo xtask tidy` read, and what a rule returns.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A check of the whole repository.
pub(super) type Rule = fn(&Repository) -> Vec<Finding>;

/// One broken rule: where, what, and how to put it right.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) path: String,
    pub(super) line: usize,
    pub(super) problem: String,
    pub(super) fix: String,
}

impl Finding {
    pub(super) fn new(path: &str, line: usize, problem: impl Into<String>, fix: &str) -> Self {
        Self {
            path: path.to_owned(),
            line,
            problem: problem.into(),
            fix: fix.to_owned(),
        }
    }
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
pub(super) struct Repository {
    /// A file that is not text is listed with an empty one.
    pub(super) files: BTreeMap<String, String>,
}

impl Repository {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        for (name, path) in workspace::source_files(root)? {
            let bytes = fs::read(&path).with_context(|| format!("reading {name}"))?;
            files.insert(name, String::from_utf8(bytes).unwrap_or_default());
        }
        Ok(Self { files })
    }

    /// The text of a file, or the finding that it is missing.
    pub(super) fn required(&self, path: &str, fix: &str) -> Result<&str, Finding> {
        self.files
            .get(path)
            .map(String::as_str)
            .ok_or_else(|| Finding::new(path, 1, "the file is missing", fix))
    }

    /// Whether a file or a folder that holds files has this path.
    pub(super) fn has(&self, path: &str) -> bool {
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
    pub(super) fn with_extension<'a>(
        &'a self,
        extension: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.ends_with(extension) && !path.contains("/generated/"))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self {
            files: files.iter().map(owned).collect(),
        }
    }
}

/// Applies one rule to a repository of these files; the findings as lines without the fix.
#[cfg(test)]
pub(super) fn findings(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
    let line = |finding: Finding| {
        assert!(!finding.fix.is_empty(), "{finding} names no fix");
        format!("{}:{}: {}", finding.path, finding.line, finding.problem)
    };
    rule(&Repository::of(files)).into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::Repository;

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
