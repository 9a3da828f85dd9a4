//! Transcripts: stories with several nodes, as text that people read and tests compare.
//!
//! A file is a list of blocks, separated by blank lines. A block is comments and commands, `----`,
//! and what came of it. `scenario::commands` lists the commands.

mod commands;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use commands::Interpreter;

/// One transcript.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its place below `tests/scenarios`, without the ending.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// All transcripts, in the order of their names.
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

/// Plays a transcript and returns it as it should read.
///
/// # Errors
///
/// The file cannot be read, or a command of it cannot be understood.
pub fn play(transcript: &Scenario) -> Result<String, String> {
    let text = std::fs::read_to_string(&transcript.path).map_err(|error| error.to_string())?;
    let mut interpreter = Interpreter::default();
    let mut played = String::new();
    for block in text.split("\n\n").map(|block| block.trim_matches('\n')) {
        if block.is_empty() {
            continue;
        }
        if !played.is_empty() {
            played.push('\n');
        }
        let orders = block
            .lines()
            .take_while(|line| *line != "----")
            .collect::<Vec<_>>();
        let mut story = Vec::new();
        for order in &orders {
            writeln!(played, "{order}").expect("a string takes everything");
            let lines = interpreter
                .execute(order)
                .map_err(|why| format!("`{order}`: {why}"))?;
            story.extend(lines);
        }
        if orders.iter().all(|order| order.starts_with('#')) {
            continue;
        }
        played.push_str("----\n");
        for line in story {
            writeln!(played, "{line}").expect("a string takes everything");
        }
    }
    Ok(played)
}

/// Plays a transcript and compares it with what it says.
///
/// # Errors
///
/// The first line that reads differently.
pub fn check(transcript: &Scenario) -> Result<(), String> {
    let caught = std::panic::catch_unwind(|| play(transcript));
    let played = caught.map_err(|_panic| "a broken invariant".to_owned())??;
    let text = std::fs::read_to_string(&transcript.path).map_err(|error| error.to_string())?;
    if played == text {
        return Ok(());
    }
    let mut lines = text.lines();
    let mut played_lines = played.lines();
    let mut number = 0;
    loop {
        number += 1;
        let (expected, came) = (lines.next(), played_lines.next());
        if expected != came {
            let expected = expected.unwrap_or("the end");
            let came = came.unwrap_or("the end");
            return Err(format!(
                "line {number} is `{expected}` and came as `{came}`"
            ));
        }
    }
}
