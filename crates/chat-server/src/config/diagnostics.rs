//! One sentence about a value that figment could not read: its key, its origin, and what is wrong.

use figment::Error;
use figment::error::{Actual, Kind};

use super::check::bounds;
use super::layers::{self, Layers, Origin};
use super::schema::ValueType;
use super::sections::{Node, TABLES};

/// Names that are less alike than this are not suggested. On the Jaro-Winkler scale, where 1 is the
/// same name and `time` is as near as 0.82 to `timing`.
const SIMILARITY_MIN: f64 = 0.8;

/// Describes the first mistake.
pub(super) fn describe(error: &Error, layers: &Layers) -> String {
    let mut path: Vec<&str> = error.path.iter().map(String::as_str).collect();
    if let Kind::UnknownField(field, _) = &error.kind
        && path.last() != Some(&field.as_str())
    {
        path.push(field);
    }
    let origin = layers.origin_in(error.metadata.as_ref(), &path);
    match &error.kind {
        Kind::UnknownField(field, known) => unknown(&origin, field, &path[..path.len() - 1], known),
        Kind::MissingField(field) => {
            if path.last() == Some(&field.as_ref()) {
                path.pop();
            }
            format!("{} ({origin}) has no {field:?}", table(&path))
        }
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => format!(
            "{} is {} ({origin}), and must be {}",
            key(&path),
            shown(found),
            expected_at(&path).unwrap_or_else(|| named(expected))
        ),
        other => format!("{origin} cannot be parsed: {}", one_line(other)),
    }
}

fn unknown(origin: &Origin, field: &str, inside: &[&str], known: &[&str]) -> String {
    let advice = advice(field, inside, known, origin);
    match origin {
        Origin::Environment(name) => {
            format!("the environment variable {name} is not known; {advice}")
        }
        _ => format!(
            "{origin} has the unknown key {field:?} in {}; {advice}",
            table(inside)
        ),
    }
}

/// The nearest name in this table, else the table that has this name, else all names.
fn advice(field: &str, inside: &[&str], known: &[&str], origin: &Origin) -> String {
    let written = |name: &str| match origin {
        Origin::Environment(_) => {
            let mut path = inside.to_vec();
            path.push(name);
            layers::variable(&path)
        }
        _ => format!("{name:?}"),
    };
    if let Some(nearest) = nearest(field, known) {
        return format!("did you mean {}?", written(nearest));
    }
    let elsewhere = TABLES
        .iter()
        .find(|table| table.keys.iter().any(|key| key.name == field));
    match (elsewhere, origin) {
        (Some(table), Origin::Environment(_)) => {
            format!("did you mean {}?", layers::variable(&[table.name, field]))
        }
        (Some(table), _) => format!("it belongs in [{}]", table.name),
        (None, _) => {
            let all: Vec<String> = known.iter().copied().map(written).collect();
            format!("known are {}", all.join(", "))
        }
    }
}

pub(super) fn nearest<'a>(field: &str, known: &[&'a str]) -> Option<&'a str> {
    let likeness = |name: &str| strsim::jaro_winkler(field, name);
    known
        .iter()
        .copied()
        .filter(|name| likeness(name) >= SIMILARITY_MIN)
        .max_by(|left, right| likeness(left).total_cmp(&likeness(right)))
}

fn table(path: &[&str]) -> String {
    match path {
        [] => "the top level".to_owned(),
        [list, place] => match place.parse::<usize>() {
            Ok(place) => format!("number {} of [[{list}]]", place + 1),
            Err(_) => format!("[{list}.{place}]"),
        },
        path => format!("[{}]", path.join(".")),
    }
}

/// A key as the other sentences name it.
fn key(path: &[&str]) -> String {
    match path {
        [] => "a value".to_owned(),
        [list, place, key] if *list == Node::TABLE.name => {
            format!("{key} in {}", table(&[list, place]))
        }
        path => path.join("."),
    }
}

/// A value as it was written, as far as figment reports it.
fn shown(found: &Actual) -> String {
    match found {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => value.to_string(),
        Actual::Str(value) => format!("{value:?}"),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// What the type of the key at `path` wants, if there is such a key.
fn expected_at(path: &[&str]) -> Option<String> {
    let (table, name) = match path {
        [list, _, name] if *list == Node::TABLE.name => (Node::TABLE, name),
        [table, name] => (*TABLES.iter().find(|known| known.name == *table)?, name),
        _ => return None,
    };
    let key = table.keys.iter().find(|key| key.name == *name)?;
    Some(match key.value_type {
        ValueType::Number { least, most, .. } => format!("a whole number, {}", bounds(least, most)),
        ValueType::Switch => "true or false".to_owned(),
        ValueType::Address | ValueType::PeerAddress | ValueType::Path | ValueType::Name => {
            "a text in quotes".to_owned()
        }
    })
}

/// Operators do not know Rust's names of types.
fn named(expected: &str) -> String {
    match expected {
        "a sequence" | "sequence" => "a list of tables".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}

fn one_line(kind: &Kind) -> String {
    kind.to_string().lines().collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn only_similar_name_is_suggested() {
        let known = ["heartbeat_ms", "election_timeout_ms"];
        for (written, suggested) in [
            ("heartbeat", Some("heartbeat_ms")),
            ("hearbeat_ms", Some("heartbeat_ms")),
            ("election-timeout", Some("election_timeout_ms")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, &known), suggested, "{written}");
        }
    }
}
