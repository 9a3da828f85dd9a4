//! The rule that the project speaks the language of its field: the words of `dialect/words.txt` are
//! written nowhere, except where `dialect/allowed.txt` has a line.
//!
//! It compares words and knows no grammar; a good sentence is left to the reviewer.

use super::repository::{Finding, Repository};
use exceptions::Exceptions;
use word_list::WordList;

mod content_lines;
mod exceptions;
mod word_list;

const LIST_PATH: &str = "xtask/tidy/src/dialect/words.txt";
const LIST: &str = include_str!("dialect/words.txt");
const ALLOWED: &str = include_str!("dialect/allowed.txt");

/// The texts in which words are searched for; generated code repeats the comments of its sources.
const EXTENSIONS: [&str; 6] = [".md", ".patch", ".proto", ".rs", ".toml", ".txt"];

/// A name that the field has is found by those who know it; one that we invent, by none.
pub(super) fn words_are_those_of_the_field(repository: &Repository) -> Vec<Finding> {
    check(repository, LIST, ALLOWED)
}

fn check(repository: &Repository, list: &str, allowed: &str) -> Vec<Finding> {
    let word_list = WordList::parse(list);
    let mut exceptions = Exceptions::parse(allowed);
    let mut findings = exceptions.findings.split_off(0);
    for (path, text) in &repository.files {
        if path == LIST_PATH || path == exceptions::PATH || path.contains("/generated/") {
            continue;
        }
        let mut hits = word_list.in_path(path);
        if EXTENSIONS.iter().any(|extension| path.ends_with(extension)) {
            hits.extend(word_list.in_text(path, text));
        }
        for hit in hits {
            if !exceptions.allow(path, hit.entry) {
                findings.push(Finding::new(
                    path,
                    hit.line,
                    format!("`{}` is a word of {LIST_PATH}", hit.entry),
                    &format!("write: {}", hit.instead),
                ));
            }
        }
    }
    findings.extend(exceptions.unused());
    findings
}

#[cfg(test)]
mod tests {
    use super::super::repository::Repository;
    use super::content_lines::content_lines;
    use super::exceptions::LINES_MAX;
    use super::word_list::WordList;
    use super::{ALLOWED, LIST};

    /// A list with words that no text of the repository contains.
    const INVENTED: &str = "# A comment.\n[words]\nblorp, blorps = wait\nglim vank = send\n\
                            [names]\nOldName, old-name = NewName\n\
                            [declarations]\nZorb, enum Quux = Node\n\
                            [files]\na/zorb.rs = node.rs\n";

    #[track_caller]
    fn check(path: &str, text: &str, expected: &[&str]) {
        check_with("", path, text, expected);
    }

    #[track_caller]
    fn check_with(allowed: &str, path: &str, text: &str, expected: &[&str]) {
        let repository = Repository::of(&[(path, text)]);
        let lines: Vec<String> = super::check(&repository, INVENTED, allowed)
            .iter()
            .map(|finding| format!("{}:{}: {}", finding.path, finding.line, finding.problem))
            .collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn word_is_found_in_any_form_of_writing() {
        for text in [
            "blorp",
            "Blorp's",
            "is_blorp()",
            "x.blorpMax",
            "BLORP_MAX",
            "pre-blorp",
        ] {
            check(
                "a.md",
                text,
                &["a.md:1: `blorp` is a word of xtask/tidy/src/dialect/words.txt"],
            );
        }
        check(
            "a.md",
            "\n\nblorps",
            &["a.md:3: `blorps` is a word of xtask/tidy/src/dialect/words.txt"],
        );
        check("a.md", "unblorp blorping", &[]);
    }

    #[test]
    fn phrase_is_found_across_lines_and_in_names() {
        for text in [
            "/// A glim\n    /// vank.",
            "GlimVank",
            "glim_vank",
            "glim-vank",
            "# glim\n# vank",
        ] {
            check(
                "a.rs",
                text,
                &["a.rs:1: `glim vank` is a word of xtask/tidy/src/dialect/words.txt"],
            );
        }
        check("a.rs", "glim, vank; glim\n\nvank; vank glim", &[]);
    }

    #[test]
    fn name_is_found_as_written() {
        check(
            "a.rs",
            "OldName::f()",
            &["a.rs:1: `OldName` is a word of xtask/tidy/src/dialect/words.txt"],
        );
        check(
            "a.txt",
            "an old-name",
            &["a.txt:1: `old-name` is a word of xtask/tidy/src/dialect/words.txt"],
        );
        check(
            "a.rs",
            "oldname OldNames AnOldName old-name-of OldName_",
            &[],
        );
    }

    #[test]
    fn declaration_is_found_in_code_only() {
        check(
            "a.rs",
            "pub struct Zorb<T>;",
            &["a.rs:1: `Zorb` is a word of xtask/tidy/src/dialect/words.txt"],
        );
        check(
            "a.rs",
            "pub enum Quux {}",
            &["a.rs:1: `enum Quux` is a word of xtask/tidy/src/dialect/words.txt"],
        );
        check("a.rs", "// struct Zorb\nlet a = Zorb; type Quux = u8;", &[]);
        check("a.md", "struct Zorb", &[]);
    }

    #[test]
    fn path_is_found() {
        check(
            "x/a/zorb.rs",
            "",
            &["x/a/zorb.rs:1: `a/zorb.rs` is a word of xtask/tidy/src/dialect/words.txt"],
        );
        check(
            "x/blorp.hex",
            "",
            &["x/blorp.hex:1: `blorp` is a word of xtask/tidy/src/dialect/words.txt"],
        );
        check("ba/zorb.rs", "", &[]);
    }

    #[test]
    fn other_texts_are_not_searched() {
        check("a/generated/b.rs", "blorp", &[]);
        check("a.lock", "blorp", &[]);
    }

    #[test]
    fn exception_allows_one_entry_in_some_paths() {
        check_with("a.md | blorp | a quotation", "a.md", "blorp", &[]);
        check_with("a* | blorp | quotations", "a.md", "blorp", &[]);
        let found = "b.md:1: `blorp` is a word of xtask/tidy/src/dialect/words.txt";
        let unused = "xtask/tidy/src/dialect/allowed.txt:1: `blorp` is not written in a.md";
        check_with(
            "a.md | blorp | a quotation",
            "b.md",
            "blorp",
            &[found, unused],
        );
        let incomplete = "xtask/tidy/src/dialect/allowed.txt:1: the exception is incomplete";
        check_with("b.md | blorp |", "b.md", "blorp", &[incomplete, found]);
    }

    #[test]
    fn exceptions_are_few() {
        let comments = "#\n".repeat(LINES_MAX + 1);
        check_with(
            &comments,
            "a.md",
            "",
            &["xtask/tidy/src/dialect/allowed.txt:41: 41 lines of exceptions, more than 40"],
        );
        assert!(ALLOWED.lines().count() <= LINES_MAX);
    }

    #[test]
    fn every_entry_of_the_list_is_found() {
        let word_list = WordList::parse(LIST);
        let mut section = "";
        let mut count = 0;
        for (line, content) in content_lines(LIST) {
            if content.starts_with('[') {
                section = content;
                continue;
            }
            let (entries, instead) = content
                .split_once(" = ")
                .expect("an entry has a substitute");
            assert!(!instead.is_empty(), "line {line}");
            for entry in entries.split(',').map(str::trim) {
                let hits = match section {
                    "[files]" => word_list.in_path(&format!("a/{entry}")),
                    "[declarations]" if entry.contains(' ') => {
                        word_list.declared(&format!("{entry} {{}}"))
                    }
                    "[declarations]" => word_list.declared(&format!("fn {entry}() {{}}")),
                    _ => word_list.in_text("a.md", entry).into_iter().collect(),
                };
                assert!(hits.iter().any(|hit| hit.entry == entry), "{line}: {entry}");
                count += 1;
            }
        }
        assert!(count > 200, "the list has {count} entries");
    }
}
