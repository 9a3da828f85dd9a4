//! Scenarios: a cluster of several nodes, driven by commands, as text that people read and tests
//! compare.
//!
//! A file is a list of blocks, separated by blank lines. A block is comments and commands, `----`,
//! and the output of the commands. `scenario::commands` lists the commands.

mod commands;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use commands::Interpreter;

/// One scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its path below `tests/scenarios`, without the ending.
    pub name: String,
    /// The path of its file.
    pub path: PathBuf,
}

/// All scenarios, in the order of their names.
///
/// # Errors
///
/// The folder cannot be read.
pub fn files() -> std::io::Result<Vec<Scenario>> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files = Vec::new();
    for topic in std::fs::read_dir(&home)? {
        let topic = topic?.path();
        if !topic.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(&topic)? {
            let path = file?.path();
            let name = path.strip_prefix(&home).unwrap_or(&path).with_extension("");
            let name = name.to_string_lossy().into_owned();
            files.push(Scenario { name, path });
        }
    }
    files.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(files)
}

/// Runs a scenario and returns the text that its file should have.
///
/// # Errors
///
/// The file cannot be read, or one of its commands is not understood.
pub fn run(scenario: &Scenario) -> Result<String, String> {
    let text = std::fs::read_to_string(&scenario.path).map_err(|error| error.to_string())?;
    let mut interpreter = Interpreter::default();
    let mut result = String::new();
    for block in text.split("\n\n").map(|block| block.trim_matches('\n')) {
        if block.is_empty() {
            continue;
        }
        if !result.is_empty() {
            result.push('\n');
        }
        let commands = block
            .lines()
            .take_while(|line| *line != "----")
            .collect::<Vec<_>>();
        let mut output = Vec::new();
        for command in &commands {
            writeln!(result, "{command}").expect("a string cannot refuse a write");
            let lines = interpreter
                .execute(command)
                .map_err(|why| format!("`{command}`: {why}"))?;
            output.extend(lines);
        }
        if commands.iter().all(|command| command.starts_with('#')) {
            continue;
        }
        result.push_str("----\n");
        for line in output {
            writeln!(result, "{line}").expect("a string cannot refuse a write");
        }
    }
    Ok(result)
}

/// Runs a scenario and compares the result with its file.
///
/// # Errors
///
/// The first line that differs.
pub fn check(scenario: &Scenario) -> Result<(), String> {
    let caught = std::panic::catch_unwind(|| run(scenario));
    let actual = caught.map_err(|_panic| "a panic: a broken invariant".to_owned())??;
    let text = std::fs::read_to_string(&scenario.path).map_err(|error| error.to_string())?;
    if actual == text {
        return Ok(());
    }
    let mut lines = text.lines();
    let mut actual_lines = actual.lines();
    let mut number = 0;
    loop {
        number += 1;
        let (expected, actual) = (lines.next(), actual_lines.next());
        if expected != actual {
            let expected = expected.unwrap_or("the end");
            let actual = actual.unwrap_or("the end");
            return Err(format!(
                "line {number} is `{expected}` and was produced as `{actual}`"
            ));
        }
    }
}
