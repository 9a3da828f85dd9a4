//! One sentence about what figment could not read: which key, where it came from, what is wrong.

use figment::error::Kind;
use figment::{Error, Source};

/// Says what is wrong with the first thing that is.
pub(super) fn describe(error: &Error) -> String {
    let place = place(error);
    let key = key(error);
    match &error.kind {
        Kind::UnknownField(field, known) => {
            let known = known.join(", ");
            let table = table(error, field);
            format!("{place} has the unknown key {field:?} in {table}; known there are {known}")
        }
        Kind::MissingField(field) => format!("{place} has no {field:?} in {}", table(error, field)),
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!(
                "{key} in {place} is {found}, and must be {}",
                named(expected)
            )
        }
        other => format!(
            "{place} is not understood: {}",
            one_line(&other.to_string())
        ),
    }
}

fn place(error: &Error) -> String {
    let Some(metadata) = &error.metadata else {
        return "the configuration".to_owned();
    };
    match &metadata.source {
        Some(Source::File(path)) => path.display().to_string(),
        _ if metadata.name.contains("environment") => "the environment".to_owned(),
        _ => "the configuration".to_owned(),
    }
}

fn key(error: &Error) -> String {
    match error.path.as_slice() {
        [] => "a value".to_owned(),
        path => path.join("."),
    }
}

fn table(error: &Error, field: &str) -> String {
    let mut path = error.path.as_slice();
    if path.last().is_some_and(|last| last == field) {
        path = &path[..path.len() - 1];
    }
    match path {
        [] => "the top level".to_owned(),
        [list, place] => match place.parse::<usize>() {
            Ok(place) => format!("number {} of [[{list}]]", place + 1),
            Err(_) => format!("[{list}.{place}]"),
        },
        path => format!("[{}]", path.join(".")),
    }
}

/// Rust's names of types mean nothing to an operator.
fn named(expected: &str) -> &str {
    match expected {
        "u64" | "u32" | "usize" => "a whole number",
        other => other,
    }
}

/// TOML's own errors come with a drawing of the line; the first and last lines say it all.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    match lines.as_slice() {
        [] => "it is empty".to_owned(),
        [only] => (*only).to_owned(),
        [first, .., last] => format!("{first}: {last}"),
    }
}
