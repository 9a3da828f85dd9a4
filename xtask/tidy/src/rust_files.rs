//! Rules about Rust files: how they open, how long they are, what they are called, what they may
//! not contain.

use super::repository::{Finding, Repository};
use super::rust_text;

const LINES_MAX: usize = 500;

/// Names that do not describe what is inside.
const EMPTY_NAMES: [&str; 6] = ["common", "helper", "helpers", "manager", "util", "utils"];

const CORE: &str = "crates/chat-consensus/src/lib.rs";

struct Ban {
    code: &'static str,
    fix: &'static str,
}

const BANS: [Ban; 5] = [
    Ban {
        code: "#[allow(",
        fix: "write `#[expect(lint, reason = \"…\")]`",
    },
    Ban {
        code: "#![allow(",
        fix: "write `#![expect(lint, reason = \"…\")]`",
    },
    Ban {
        code: "todo!(",
        fix: "write it, or return an error that says so",
    },
    Ban {
        code: "unimplemented!(",
        fix: "write it, or return an error that says so",
    },
    Ban {
        code: "#[ignore",
        fix: "make the test fast and sure enough to run, or delete it",
    },
];

/// Without the standard library the core cannot read a clock, a file or a socket.
pub(super) fn core_is_no_std(repository: &Repository) -> Vec<Finding> {
    let fix = "the core must begin with `#![no_std]` (outside tests at least)";
    let text = match repository.required(CORE, fix) {
        Ok(text) => text,
        Err(missing) => return vec![missing],
    };
    let code = rust_text::code_only(text);
    let declared = code.lines().any(|line| {
        matches!(
            line.trim(),
            "#![no_std]" | "#![cfg_attr(not(test), no_std)]"
        )
    });
    if declared {
        Vec::new()
    } else {
        vec![Finding::new(CORE, 1, "`#![no_std]` is missing", fix)]
    }
}

/// The first paragraph of the `//!` text is at least one sentence.
pub(super) fn files_open_with_a_sentence(repository: &Repository) -> Vec<Finding> {
    let fix = "open the file with `//! What it is for.`";
    let mut findings = Vec::new();
    for (path, text) in repository.with_extension(".rs") {
        let opening: Vec<&str> = text
            .lines()
            .map_while(|line| line.strip_prefix("//! "))
            .map(str::trim)
            .collect();
        let paragraph = opening.join(" ");
        let is_sentence = paragraph.split_whitespace().count() >= 3
            && (paragraph.ends_with(['.', ':', '?']) || paragraph.contains(". "));
        if !is_sentence {
            findings.push(Finding::new(
                path,
                1,
                "the file does not open with a sentence",
                fix,
            ));
        }
    }
    findings
}

/// A long file has a second subject.
pub(super) fn files_are_short(repository: &Repository) -> Vec<Finding> {
    let fix = "look for the second subject and give it a file of its own";
    let mut findings = Vec::new();
    for (path, text) in repository.with_extension(".rs") {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            let problem = format!("the file has {lines} lines, more than {LINES_MAX}");
            findings.push(Finding::new(path, lines, problem, fix));
        }
    }
    findings
}

/// No `mod.rs`, no `utils.rs`.
pub(super) fn names_say_what_a_file_is_about(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _) in repository.with_extension(".rs") {
        let name = path
            .rsplit('/')
            .next()
            .unwrap_or(path)
            .trim_end_matches(".rs");
        if name == "mod" {
            let fix = "name the file after its folder and put it beside it";
            findings.push(Finding::new(path, 1, "a module lives in `mod.rs`", fix));
        }
        let last_word = name.rsplit('_').next().unwrap_or(name);
        if EMPTY_NAMES.contains(&last_word) {
            let problem = format!("the name `{name}` does not say what the file is about");
            findings.push(Finding::new(
                path,
                1,
                problem,
                "name it after its one subject",
            ));
        }
    }
    findings
}

/// What may not be written, also not in tests.
pub(super) fn banned_code_is_absent(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.with_extension(".rs") {
        for (number, line) in rust_text::code_only(text).lines().enumerate() {
            for ban in BANS.iter().filter(|ban| line.contains(ban.code)) {
                let problem = format!("`{}` is banned", ban.code);
                findings.push(Finding::new(path, number + 1, problem, ban.fix));
            }
        }
    }
    findings
}

/// A test that sleeps is slow where it passes and fails where the machine is slow.
pub(super) fn tests_do_not_sleep(repository: &Repository) -> Vec<Finding> {
    let fix = "advance the clock, or wait for the condition with a deadline";
    let mut findings = Vec::new();
    for (path, text) in repository.with_extension(".rs") {
        let code = rust_text::code_only(text);
        for (number, line) in code.lines().enumerate().skip(first_test_line(path, &code)) {
            if line.contains("sleep(") {
                findings.push(Finding::new(path, number + 1, "a test sleeps", fix));
            }
        }
    }
    findings
}

/// How many lines a file has before its tests; all of them when it has none.
pub(super) fn first_test_line(path: &str, code: &str) -> usize {
    let in_test_folder = path
        .split('/')
        .any(|part| part == "tests" || part == "tests.rs");
    if in_test_folder {
        return 0;
    }
    code.lines()
        .position(|line| line.trim_start().starts_with("#[cfg(test)]"))
        .unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::repository::findings;

    #[test]
    fn core_with_std_is_found() {
        let check = |text| findings(super::core_is_no_std, &[(super::CORE, text)]);
        assert!(check("//! The core.\n#![no_std]\n").is_empty());
        assert!(check("#![cfg_attr(not(test), no_std)]\n").is_empty());
        assert_eq!(check("// #![no_std]\n").len(), 1);
        assert_eq!(findings(super::core_is_no_std, &[]).len(), 1);
    }

    #[test]
    fn opening_that_is_no_sentence_is_found() {
        let check = |text| findings(super::files_open_with_a_sentence, &[("a.rs", text)]);
        assert!(check("//! Keeps the log, in order.\n//!\n//! More\n").is_empty());
        assert!(check("//! Keeps the log\n//! in order.\nuse std;\n").is_empty());
        assert_eq!(
            check("//! log\n"),
            ["a.rs:1: the file does not open with a sentence"]
        );
        assert_eq!(check("use std;\n").len(), 1);
        assert!(
            findings(
                super::files_open_with_a_sentence,
                &[("a/generated/b.rs", "")]
            )
            .is_empty()
        );
    }

    #[test]
    fn file_of_more_than_500_lines_is_found() {
        let check = |lines| findings(super::files_are_short, &[("a.rs", &"x\n".repeat(lines))]);
        assert!(check(500).is_empty());
        assert_eq!(
            check(501),
            ["a.rs:501: the file has 501 lines, more than 500"]
        );
    }

    #[test]
    fn empty_names_are_refused() {
        let check = |path| findings(super::names_say_what_a_file_is_about, &[(path, "")]).len();
        assert_eq!(check("crates/a/src/log.rs"), 0);
        assert_eq!(check("crates/a/src/commonplace.rs"), 0);
        assert_eq!(check("crates/a/src/log/mod.rs"), 1);
        assert_eq!(check("crates/a/src/utils.rs"), 1);
        assert_eq!(check("crates/a/src/log_manager.rs"), 1);
    }

    #[test]
    fn bans_are_found_in_code_only() {
        let check = |text| findings(super::banned_code_is_absent, &[("a.rs", text)]);
        assert!(check("// todo!()\nlet a = \"#[allow(x)]\";\n#[expect(x)]\n").is_empty());
        assert_eq!(check("\n    todo!()\n"), ["a.rs:2: `todo!(` is banned"]);
        assert_eq!(
            check("#[allow(x)]\n#![allow(x)]\n#[ignore]\nunimplemented!()\n").len(),
            4
        );
    }

    #[test]
    fn sleeping_is_found_in_tests_only() {
        let check = |path, text| findings(super::tests_do_not_sleep, &[(path, text)]);
        assert!(
            check(
                "crates/a/src/b.rs",
                "sleep(x);\n#[cfg(test)]\nmod tests {}\n"
            )
            .is_empty()
        );
        assert_eq!(
            check(
                "crates/a/src/b.rs",
                "#[cfg(test)]\nmod tests {\n sleep(x);\n}\n"
            ),
            ["crates/a/src/b.rs:3: a test sleeps"]
        );
        assert_eq!(check("tests/src/b.rs", "thread::sleep(x)\n").len(), 1);
    }
}
