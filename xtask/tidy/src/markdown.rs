//! Rules about Markdown pages: one title, and every path they name exists.

use super::repository::{Finding, Repository};

/// Endings by which a back-quoted word with a slash is recognised as a file of the repository.
const ENDINGS: [&str; 9] = [
    ".json", ".lock", ".md", ".patch", ".proto", ".rs", ".sql", ".toml", ".txt",
];

/// Folders that exist on a developer's machine only.
const UNTRACKED: [&str; 3] = ["target", ".cluster", "data"];

/// Beginnings of paths that only one machine has.
const MACHINE_FOLDERS: [&str; 6] = ["/Users/", "/home/", "/mnt/", "/root/", "/srv/", "/work/"];

/// The title comes first and is the only one.
pub(super) fn pages_have_one_title(repository: &Repository) -> Vec<Finding> {
    let fix = "begin the page with its one `# Title`, and use `##` below it";
    let mut findings = Vec::new();
    for (path, text) in repository.with_extension(".md") {
        let prose = prose_lines(text);
        let titles: Vec<usize> = prose
            .iter()
            .filter(|(_, line)| line.starts_with("# "))
            .map(|(number, _)| *number)
            .collect();
        let first = prose.iter().find(|(_, line)| !line.trim().is_empty());
        if !first.is_some_and(|(_, line)| line.starts_with("# ")) {
            findings.push(Finding::new(
                path,
                1,
                "the page does not begin with its title",
                fix,
            ));
        }
        for extra in titles.iter().skip(1) {
            findings.push(Finding::new(
                path,
                *extra,
                "the page has a second title",
                fix,
            ));
        }
    }
    findings
}

/// A page that names a file which is gone misleads.
pub(super) fn named_paths_exist(repository: &Repository) -> Vec<Finding> {
    let fix = "name the file that is meant, from the root of the repository";
    let mut findings = Vec::new();
    for (page, text) in repository.with_extension(".md") {
        for (line, span) in code_spans(text) {
            if let Some(path) = named_path(repository, span)
                && !exists(repository, page, path)
            {
                let problem = format!("there is no `{span}`");
                findings.push(Finding::new(page, line, problem, fix));
            }
        }
        for (line, target) in link_targets(text) {
            let path = target.split('#').next().unwrap_or_default();
            if !target.contains(':') && !path.is_empty() && !exists(repository, page, path) {
                let problem = format!("the link to {target} leads nowhere");
                findings.push(Finding::new(page, line, problem, fix));
            }
        }
    }
    findings
}

/// What is written for one machine is wrong on every other.
pub(super) fn no_machine_paths(repository: &Repository) -> Vec<Finding> {
    let fix = "write the path from the root of the repository";
    let mut findings = Vec::new();
    for (path, text) in repository.with_extension(".md") {
        for (line, span) in code_spans(text) {
            if MACHINE_FOLDERS.iter().any(|folder| span.contains(folder)) {
                let problem = format!("`{span}` is a path of one machine");
                findings.push(Finding::new(path, line, problem, fix));
            }
        }
    }
    findings
}

/// The part of a span that must exist; `None` when it is not a path of the repository.
///
/// Of a pattern such as `tests/mutants/*.patch` that is the folder.
fn named_path<'a>(repository: &Repository, span: &'a str) -> Option<&'a str> {
    let plain = |character: char| character.is_ascii_alphanumeric() || "._-/*".contains(character);
    if !span.contains('/') || span.starts_with('/') || !span.chars().all(plain) {
        return None;
    }
    let first = span.split('/').next().unwrap_or_default();
    if UNTRACKED.contains(&first) {
        return None;
    }
    let is_top_folder = !matches!(first, "." | "..") && repository.has(first);
    if !is_top_folder && !ENDINGS.iter().any(|ending| span.ends_with(ending)) {
        return None;
    }
    Some(span.split_once('*').map_or(span, |(before, _)| {
        before.rsplit_once('/').map_or("", |(folder, _)| folder)
    }))
}

/// Whether the path exists, seen from the root or from the page's own folder.
fn exists(repository: &Repository, page: &str, path: &str) -> bool {
    let mut beside: Vec<&str> = page.split('/').collect();
    beside.pop();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => {
                beside.pop();
            }
            part => beside.push(part),
        }
    }
    repository.has(path) || repository.has(&beside.join("/"))
}

/// Back-quoted words of the prose with their lines.
fn code_spans(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose_lines(text).into_iter().flat_map(|(number, line)| {
        line.split('`')
            .skip(1)
            .step_by(2)
            .map(move |span| (number, span))
    })
}

/// What the prose links to, with its lines.
fn link_targets(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose_lines(text).into_iter().flat_map(|(number, line)| {
        line.split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
            .map(move |(target, _)| (number, target))
    })
}

/// The lines outside fenced blocks, counted from 1.
fn prose_lines(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((number + 1, line));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::repository::findings;

    #[test]
    fn page_without_one_title_at_its_start_is_found() {
        let check = |text| findings(super::pages_have_one_title, &[("a.md", text)]);
        assert!(check("# A\n\ntext\n```\n# comment\n```\n## B\n").is_empty());
        assert_eq!(check("# A\n# B\n"), ["a.md:2: the page has a second title"]);
        assert_eq!(
            check("text\n# A\n"),
            ["a.md:1: the page does not begin with its title"]
        );
        assert_eq!(check("").len(), 1);
    }

    #[test]
    fn named_path_that_is_missing_is_found() {
        let check = |text| {
            let files = [
                ("docs/a.md", text),
                ("docs/b.md", ""),
                ("tests/mutants/r1.patch", ""),
            ];
            findings(super::named_paths_exist, &files)
        };
        for accepted in [
            "`docs/b.md` and `docs/` and `./b.md` and `../tests/mutants/r1.patch`",
            "`tests/mutants/*.patch`",
            "`application/json`, `a / b`, `chat.v1/Execute`, `.cluster/cluster.json`, `target/x.rs`",
            "`http://localhost/a.md`, `/proc/PID/exe`, `a/<name>.rs`",
            "docs/gone.md\n```\n`docs/gone.md`\n```\n",
        ] {
            assert_eq!(check(accepted), [""; 0], "{accepted}");
        }
        assert_eq!(
            check("\nsee `docs/gone.md`"),
            ["docs/a.md:2: there is no `docs/gone.md`"]
        );
        for accepted in [
            "[b](b.md), [b](docs/b.md#x)",
            "[x](https://a.b/c.md) [x](#here)",
        ] {
            assert_eq!(check(accepted), [""; 0], "{accepted}");
        }
        assert_eq!(
            check("see [it](gone.md#there)"),
            ["docs/a.md:1: the link to gone.md#there leads nowhere"]
        );
        assert_eq!(check("`docs/gone`").len(), 1);
        assert_eq!(check("`docs/gone/*.md`").len(), 1);
        assert_eq!(check("`src/gone.rs`").len(), 1);
    }

    #[test]
    fn machine_paths_are_refused() {
        let check = |text| findings(super::no_machine_paths, &[("a.md", text)]);
        assert!(check("`/proc/PID/exe` and `/etc/hosts`").is_empty());
        assert_eq!(
            check(&format!("`{}ann/x`", "/home/")),
            ["a.md:1: `/home/ann/x` is a path of one machine"]
        );
    }
}
