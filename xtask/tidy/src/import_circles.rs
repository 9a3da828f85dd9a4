//! The rule that the files of a crate do not import from each other in a circle.
//!
//! An import is a `use` of a module of the same crate, or a path in the code that begins with
//! `crate`, `super`, `self` or a child module. It leads to the file that defines the item, through
//! re-exports unless they are of everything (`*`). What a module re-exports of its own children is
//! not an import, and neither is a `mod` declaration. Inline tests do not count.

use std::collections::{BTreeMap, BTreeSet};

use super::repository::{Finding, Repository};
use super::rust_modules::{self, ModuleFile, Modules};

/// How many re-exports of re-exports are followed.
const REEXPORTS_MAX: usize = 8;

type Edges<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// In a circle no file can be understood without all the others.
pub(super) fn files_import_in_no_circle(repository: &Repository) -> Vec<Finding> {
    let files: BTreeMap<&str, ModuleFile> = repository
        .with_extension(".rs")
        .map(|(path, text)| (path, rust_modules::read(text)))
        .collect();
    let mut chains = BTreeSet::new();
    for modules in rust_modules::crates(&files) {
        let edges = edges(&files, &modules);
        chains.extend(
            groups(&edges)
                .iter()
                .map(|group| (chain(&edges, group), group.len())),
        );
    }
    let found = chains.into_iter();
    found.map(|(chain, files)| finding(&chain, files)).collect()
}

/// `files` is how many files reach each other; the chain leads through some of them.
fn finding(chain: &[&str], files: usize) -> Finding {
    let others = match (files + 1).saturating_sub(chain.len()) {
        0 => String::new(),
        others => format!(", with {others} more files"),
    };
    let first = chain.first().copied().unwrap_or_default();
    Finding {
        path: first.to_owned(),
        line: 1,
        problem: format!("files import in a circle{others}: {}", chain.join(" -> ")),
        fix: "move what both sides need into a file that imports from neither".to_owned(),
    }
}

/// Which files each file of a crate imports from.
fn edges<'a>(files: &BTreeMap<&'a str, ModuleFile>, modules: &Modules<'a>) -> Edges<'a> {
    let whole = Crate { files, modules };
    let mut edges = Edges::new();
    for (module, path) in modules {
        let Some(file) = files.get(path) else {
            continue;
        };
        let imports = file
            .imports
            .iter()
            .filter(|import| {
                let absolute = whole.absolute(module, &import.inline_modules, &import.path);
                !(import.is_public && absolute.is_some_and(|path| path.starts_with(module)))
            })
            .map(|import| (&import.inline_modules, &import.path));
        let mentions = file
            .mentions
            .iter()
            .map(|mention| (&mention.inline_modules, &mention.path));
        let targets = imports.chain(mentions).filter_map(|(inside, import)| {
            let absolute = whole.absolute(module, inside, import)?;
            whole.defining_file(absolute, REEXPORTS_MAX)
        });
        let targets: BTreeSet<&str> = targets.filter(|target| target != path).collect();
        edges.insert(*path, targets);
    }
    edges
}

struct Crate<'a, 'b> {
    files: &'b BTreeMap<&'a str, ModuleFile>,
    modules: &'b Modules<'a>,
}

impl<'a> Crate<'a, '_> {
    /// The path from the crate's root; `None` for what does not belong to the crate.
    fn absolute(
        &self,
        module: &[String],
        inside: &[String],
        path: &[String],
    ) -> Option<Vec<String>> {
        let mut base: Vec<String> = module.iter().chain(inside).cloned().collect();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {}
            first => {
                // Only a child module of this file begins a path without a prefix.
                base.push(first.to_owned());
                return self
                    .modules
                    .contains_key(&base)
                    .then(|| base.iter().chain(&path[1..]).cloned().collect());
            }
        }
        while rest.first().is_some_and(|segment| segment == "super") {
            base.pop();
            rest = &rest[1..];
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    /// The file with the item at this path, past the re-exports on the way.
    fn defining_file(&self, path: Vec<String>, reexports_left: usize) -> Option<&'a str> {
        let length = (0..=path.len())
            .rev()
            .find(|&length| self.modules.contains_key(&path[..length]))?;
        let (module, rest) = path.split_at(length);
        let file = self.modules[module];
        if let (Some(name), true) = (rest.first(), reexports_left > 0) {
            let import = self
                .files
                .get(file)?
                .imports
                .iter()
                .find(|import| import.name == *name && import.inline_modules.is_empty());
            if let Some(import) = import
                && let Some(mut target) = self.absolute(module, &[], &import.path)
            {
                target.extend(rest[1..].iter().cloned());
                return self.defining_file(target, reexports_left - 1);
            }
        }
        Some(file)
    }
}

/// The groups of files that reach each other.
fn groups<'a>(edges: &Edges<'a>) -> Vec<BTreeSet<&'a str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = edges
        .keys()
        .map(|file| (*file, reached_from(edges, file)))
        .collect();
    let mut groups = BTreeSet::new();
    for (file, from_here) in &reached {
        if from_here.contains(file) {
            let back = |other: &&&str| reached.get(**other).is_some_and(|from| from.contains(file));
            groups.insert(
                from_here
                    .iter()
                    .filter(back)
                    .copied()
                    .collect::<BTreeSet<_>>(),
            );
        }
    }
    groups.into_iter().collect()
}

fn reached_from<'a>(edges: &Edges<'a>, start: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = vec![start];
    while let Some(file) = open.pop() {
        for target in edges.get(file).into_iter().flatten() {
            if reached.insert(*target) {
                open.push(target);
            }
        }
    }
    reached
}

/// A shortest way through the group from its first file that is on a circle back to that file.
fn chain<'a>(edges: &Edges<'a>, group: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let Some(start) = group.first() else {
        return Vec::new();
    };
    let mut ways: Vec<Vec<&str>> = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in &ways {
            let end = way.last().and_then(|file| edges.get(file));
            for target in end
                .into_iter()
                .flatten()
                .filter(|file| group.contains(*file))
            {
                let mut next = way.clone();
                next.push(target);
                if target == start {
                    return next;
                }
                if seen.insert(*target) {
                    longer.push(next);
                }
            }
        }
        ways = longer;
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::super::repository::findings;

    const ROOT: (&str, &str) = ("a/src/lib.rs", "mod b;\nmod c;\npub use b::B;\n");

    #[track_caller]
    fn check(b: &str, c: &str, expected: &[&str]) {
        let files = [ROOT, ("a/src/b.rs", b), ("a/src/c.rs", c)];
        assert_eq!(findings(super::files_import_in_no_circle, &files), expected);
    }

    const CIRCLE: &str = "a/src/b.rs:1: files import in a circle: \
                          a/src/b.rs -> a/src/c.rs -> a/src/b.rs";

    #[test]
    fn one_direction_passes() {
        check("use crate::c::C;\npub struct B;", "pub struct C;", &[]);
        check("use super::c::{C, D};", "use std::fmt;\nuse serde::c;", &[]);
    }

    #[test]
    fn two_files_that_import_from_each_other_are_found() {
        check("use crate::c::C;", "use crate::b::B;", &[CIRCLE]);
        check(
            "use super::{b::X, c::C};",
            "use super::b::{self};",
            &[CIRCLE],
        );
        check(
            "fn f() { crate::c::g() }",
            "fn g(b: super::b::B) {}",
            &[CIRCLE],
        );
    }

    #[test]
    fn reexport_is_followed_and_is_no_import() {
        check("use crate::c::C;", "use crate::B;", &[CIRCLE]);
        check("use crate::c::C;", "use crate::D;", &[]);
        check("pub use crate::c::C;", "use crate::b::B;", &[CIRCLE]);
    }

    #[test]
    fn inline_tests_do_not_count() {
        check(
            "use crate::c::C;",
            "#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n",
            &[],
        );
    }

    #[test]
    fn parent_and_child_are_a_circle_when_both_import() {
        let check = |parent, child| {
            let files = [("a/src/main.rs", parent), ("a/src/b.rs", child)];
            findings(super::files_import_in_no_circle, &files).len()
        };
        assert_eq!(check("mod b;\nuse b::B;", "pub struct B;"), 0);
        assert_eq!(check("mod b;\nstruct A;", "use super::A;"), 0);
        assert_eq!(
            check("mod b;\npub use b::B;\nstruct A;", "use super::A;"),
            0
        );
        assert_eq!(check("mod b;\nuse b::B;\nstruct A;", "use super::A;"), 1);
        assert_eq!(check("mod b;\nfn f() { b::g() }", "use crate::A;"), 1);
    }

    #[test]
    fn circle_of_three_is_a_chain() {
        let files = [
            ("a/src/lib.rs", "mod b;\nmod c;\n"),
            ("a/src/b.rs", "mod d;\nuse crate::c::C;"),
            ("a/src/b/d.rs", "use super::B;"),
            ("a/src/c.rs", "use crate::b::d::D;"),
        ];
        assert_eq!(
            findings(super::files_import_in_no_circle, &files),
            ["a/src/b.rs:1: files import in a circle: \
              a/src/b.rs -> a/src/c.rs -> a/src/b/d.rs -> a/src/b.rs"]
        );
    }
}
