//! The rule that the crate graph is the one that `ARCHITECTURE.md` shows.

use std::collections::{BTreeMap, BTreeSet};

use super::manifest;
use super::repository::{Finding, Repository};

const PAGE: &str = "ARCHITECTURE.md";
const SECTION: &str = "## Crate graph";
const NO_EDGES: &str = "(none)";
const FIX: &str = "show it in the section \"Crate graph\" as `name -> a, b` or \
                   `name -> (none)`, or undo the dependency";

type Graph<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// An edge that was not decided on is how layers get lost.
pub(super) fn graph_is_the_one_in_architecture(repository: &Repository) -> Vec<Finding> {
    let page = match repository.required(PAGE, "write it, with a section \"Crate graph\"") {
        Ok(page) => page,
        Err(missing) => return vec![missing],
    };
    let (shown, line) = shown_graph(page);
    let mut findings = Vec::new();
    let mut report = |problem: String| {
        findings.push(Finding {
            path: PAGE.to_owned(),
            line,
            problem,
            fix: FIX.to_owned(),
        });
    };
    let actual = actual_graph(repository);
    for (name, edges) in &actual {
        match shown.get(name) {
            None => report(format!("`{name}` is missing from the graph")),
            Some(shown_edges) if shown_edges != edges => report(format!(
                "`{name}` is shown with {} but depends on {}",
                list(shown_edges),
                list(edges)
            )),
            Some(_) => {}
        }
    }
    for name in shown.keys().filter(|name| !actual.contains_key(*name)) {
        report(format!("`{name}` is shown but there is no such package"));
    }
    findings
}

/// Normal dependencies between members, optional ones included.
fn actual_graph(repository: &Repository) -> Graph<'_> {
    let members: Vec<(&str, &str)> = repository
        .with_extension("/Cargo.toml")
        .filter_map(|(_, text)| Some((manifest::package_name(text)?, text)))
        .collect();
    let is_member = |dependency: &str| members.iter().any(|(name, _)| *name == dependency);
    let edges = |text| {
        manifest::entries(text)
            .into_iter()
            .filter(|entry| entry.is_normal_dependency() && is_member(entry.dependency()))
            .map(manifest::Entry::dependency)
            .collect()
    };
    members
        .iter()
        .map(|(name, text)| (*name, edges(text)))
        .collect()
}

/// The fenced block of the section, and the line where the section starts. What is in brackets is
/// text for readers, such as "(none)"; names that share a line share its edges.
fn shown_graph(page: &str) -> (Graph<'_>, usize) {
    let start = page.lines().position(|line| line.trim_end() == SECTION);
    let block = page
        .lines()
        .skip(start.map_or(usize::MAX, |start| start + 1))
        .take_while(|line| !line.starts_with("## "))
        .skip_while(|line| !line.starts_with("```"))
        .skip(1)
        .take_while(|line| !line.starts_with("```"));
    let graph = block
        .filter_map(|line| line.split_once("->"))
        .flat_map(|(names, edges)| {
            let edges = edges.trim();
            let edges = if edges.starts_with('(') { "" } else { edges };
            let edges: BTreeSet<&str> = names_in(edges).collect();
            names_in(names).map(move |name| (name, edges.clone()))
        })
        .collect();
    (graph, start.map_or(1, |start| start + 1))
}

fn names_in(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

fn list(edges: &BTreeSet<&str>) -> String {
    if edges.is_empty() {
        return NO_EDGES.to_owned();
    }
    edges.iter().copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::repository::findings;

    #[track_caller]
    fn check(block: &str, expected: &[&str]) {
        let page = format!("# A\n\n## Crate graph\n\n```text\n{block}\n```\n\n## Next\n");
        let files = [
            ("ARCHITECTURE.md", page.as_str()),
            (
                "crates/a/Cargo.toml",
                "[package]\nname = \"a\"\n[dependencies]\nb.workspace = true\nserde.workspace = true\n",
            ),
            (
                "crates/b/Cargo.toml",
                "[package]\nname = \"b\"\n[dev-dependencies]\na.workspace = true\n",
            ),
        ];
        assert_eq!(
            findings(super::graph_is_the_one_in_architecture, &files),
            expected
        );
    }

    #[test]
    fn same_graph_passes() {
        check("a -> b\nb -> (none)", &[]);
    }

    #[test]
    fn differences_are_named() {
        check(
            "a -> (none)\nb -> (none)",
            &["ARCHITECTURE.md:3: `a` is shown with (none) but depends on b"],
        );
        check(
            "a -> b",
            &["ARCHITECTURE.md:3: `b` is missing from the graph"],
        );
        check(
            "a -> b\nb, c -> (none)",
            &["ARCHITECTURE.md:3: `c` is shown but there is no such package"],
        );
    }

    #[test]
    fn missing_page_is_a_finding() {
        assert_eq!(
            findings(super::graph_is_the_one_in_architecture, &[]).len(),
            1
        );
    }
}
