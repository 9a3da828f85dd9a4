//! `config show`: every value and where it comes from, as a file with the same values.

use figment::value::Value;

use super::layers::{Layers, Origin};
use super::sections::{Node, TABLES};
use super::values::Config;

/// Every value with its origin, in TOML.
pub(super) fn show(config: &Config, layers: &Layers) -> String {
    let values = Value::serialize(config).expect("a configuration is made of tables and lists");
    let mut text = String::new();
    for table in TABLES {
        text += &format!("[{}]\n", table.name);
        for key in table.keys {
            let path = [table.name, key.name];
            let value = values.find_ref(&path.join("."));
            text += &line(key.name, value, &layers.origin(&path));
        }
        text.push('\n');
    }
    let nodes = values.find_ref(Node::TABLE.name).and_then(Value::as_array);
    for (place, node) in nodes.into_iter().flatten().enumerate() {
        text += &format!("[[{}]]\n", Node::TABLE.name);
        for key in Node::TABLE.keys {
            let path = [Node::TABLE.name, &place.to_string(), key.name];
            let value = node.find_ref(key.name);
            text += &line(key.name, value, &layers.origin(&path));
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn line(key: &str, value: Option<&Value>, origin: &Origin) -> String {
    match value.and_then(written) {
        Some(value) => format!("{key} = {value}  # {origin}\n"),
        None => format!("# {key} is not set\n"),
    }
}

/// A number, a switch or a text as TOML has it; `None` for what is not set.
pub(super) fn written(value: &Value) -> Option<String> {
    if let Some(number) = value.to_u128() {
        return Some(number.to_string());
    }
    if let Some(on) = value.to_bool() {
        return Some(on.to_string());
    }
    value
        .as_str()
        .map(|text| toml_edit::Value::from(text).to_string())
}
