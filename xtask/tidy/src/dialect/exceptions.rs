//! The exceptions: which refused word may be written where, and why.

use super::content_lines::content_lines;
use crate::repository::Finding;

/// Where the exceptions are.
pub(super) const PATH: &str = "xtask/tidy/src/dialect/allowed.txt";

/// More exceptions than this are no exceptions.
pub(super) const LINES_MAX: usize = 40;

/// The lines of the file.
pub(super) struct Exceptions<'a> {
    lines: Vec<Exception<'a>>,
    /// What is wrong with the file itself.
    pub(super) findings: Vec<Finding>,
}

struct Exception<'a> {
    line: usize,
    path: &'a str,
    entry: &'a str,
    is_used: bool,
}

impl<'a> Exceptions<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let mut exceptions = Self {
            lines: Vec::new(),
            findings: Vec::new(),
        };
        for (line, content) in content_lines(text) {
            let parts: Vec<&str> = content.split('|').map(str::trim).collect();
            if let [path, entry, reason] = parts[..]
                && !reason.is_empty()
            {
                exceptions.lines.push(Exception {
                    line,
                    path,
                    entry,
                    is_used: false,
                });
            } else {
                let fix = "write `path | entry | reason`";
                exceptions.findings.push(Finding::new(
                    PATH,
                    line,
                    "the exception is incomplete",
                    fix,
                ));
            }
        }
        let count = text.lines().count();
        if count > LINES_MAX {
            let problem = format!("{count} lines of exceptions, more than {LINES_MAX}");
            exceptions.findings.push(Finding::new(
                PATH,
                count,
                problem,
                "write the field's words instead",
            ));
        }
        exceptions
    }

    pub(super) fn allow(&mut self, path: &str, entry: &str) -> bool {
        let mut is_allowed = false;
        for exception in &mut self.lines {
            let fits = match exception.path.strip_suffix('*') {
                Some(beginning) => path.starts_with(beginning),
                None => path == exception.path,
            };
            if fits && exception.entry == entry {
                exception.is_used = true;
                is_allowed = true;
            }
        }
        is_allowed
    }

    pub(super) fn unused(self) -> impl Iterator<Item = Finding> {
        let unused = self
            .lines
            .into_iter()
            .filter(|exception| !exception.is_used);
        unused.map(
            |Exception {
                 line, path, entry, ..
             }| {
                let problem = format!("`{entry}` is not written in {path}");
                Finding::new(PATH, line, problem, "remove the exception")
            },
        )
    }
}
