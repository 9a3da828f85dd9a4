//! Reads JSON and reports where it is wrong, without repeating what was there: it may be a secret in
//! the wrong place.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_path_to_error::{Path, Segment};

use super::invalid_request::InvalidRequest;

/// The longest part of a parser's message that is passed on, in characters.
const PROBLEM_CHARACTERS_MAX: usize = 200;

/// The fields of all requests.
const KNOWN_FIELDS: [&str; 20] = [
    "after",
    "body",
    "direction",
    "id",
    "keep_copy",
    "limit",
    "message",
    "message_ids",
    "new_password",
    "oldest_first",
    "password",
    "pattern",
    "recipient",
    "reply_to",
    "request_type",
    "sender",
    "timestamp",
    "unread_only",
    "username",
    "written_at",
];

/// A `T` from a JSON object. Left alone, serde would also read one from an array of its fields.
pub(super) struct Object<T>(pub(super) T);

struct ObjectVisitor<T>(PhantomData<T>);

impl<'a, T: Deserialize<'a>> Deserialize<'a> for Object<T> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

impl<'a, T: Deserialize<'a>> Visitor<'a> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// Reads `text` as a `T`. Only a text that is wrong is read again, by a slower parser that tracks the
/// field.
pub(super) fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, InvalidRequest> {
    let read: Result<Object<T>, _> = serde_json::from_str(text);
    read.or_else(|_| explain(text)).map(|Object(value)| value)
}

fn explain<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, InvalidRequest> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut parser)
        .map_err(|error| invalid(&known_path(error.path()), error.inner()))?;
    parser.end().map_err(|error| invalid("request", &error))?;
    Ok(value)
}

/// The path to the mistake, as far as its keys are known fields: an unknown key may be anything, and as
/// long as the request.
fn known_path(path: &Path) -> String {
    let mut known = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Map { key } if KNOWN_FIELDS.contains(&key.as_str()) => {
                if !known.is_empty() {
                    known.push('.');
                }
                known.push_str(key);
            }
            Segment::Seq { index } if !known.is_empty() => {
                known.push_str(&format!("[{index}]"));
            }
            _ => break,
        }
    }
    if known.is_empty() {
        known.push_str("request");
    }
    known
}

fn invalid(field: &str, error: &serde_json::Error) -> InvalidRequest {
    let message = error.to_string();
    if message.starts_with("unknown field ") {
        let known = message
            .rsplit_once(", expected ")
            .map_or("", |(_, known)| known);
        let known = known.trim_start_matches("one of ");
        let known = known.split(" at line ").next().unwrap_or_default();
        return InvalidRequest::new(field, format!("has an unknown field; known are {known}"));
    }
    let problem = match message.rsplit_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") => {
            format!("must be {}", expected.replace("u64", "a whole number"))
        }
        _ => message,
    };
    InvalidRequest::new(
        field,
        problem
            .chars()
            .take(PROBLEM_CHARACTERS_MAX)
            .collect::<String>(),
    )
}
