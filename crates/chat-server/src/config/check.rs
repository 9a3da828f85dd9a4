//! Checks values that have the right types: bounds, addresses, and relations between them. Looks only
//! at the values; whether an address is free turns out when the node binds it.

use std::collections::BTreeSet;

use figment::value::Value;

use super::addresses::{are_same, is_address, is_reached_from_outside, is_socket, is_unspecified};
use super::error::ConfigError;
use super::layers::Layers;
use super::schema::{NAME_LENGTH_MAX, SOCKET_PATH_BYTES_MAX, Table, ValueType};
use super::sections::{Node, TABLES};
use super::values::Config;

/// A cluster of more has no use here: every write waits for a majority.
pub(super) const NODES_MAX: usize = 256;

pub(super) fn check(config: &Config, id: Option<u64>, layers: &Layers) -> Result<(), ConfigError> {
    let values = Value::serialize(config).expect("a configuration is made of tables and lists");
    for table in TABLES {
        let named = |name: &str| format!("{}.{name}", table.name);
        check_table(
            &table,
            values.find_ref(table.name),
            &[table.name],
            layers,
            &named,
        )?;
    }
    check_nodes(config, &values, layers)?;
    check_relations(config, layers)?;
    if let Some(id) = id {
        check_id(config, id, layers)?;
    }
    check_reach(config, id, layers)
}

/// Every value of a table by the type of its key. `path` leads to the table; `named` gives the name
/// of a key in sentences.
fn check_table(
    table: &Table,
    values: Option<&Value>,
    path: &[&str],
    layers: &Layers,
    named: &dyn Fn(&str) -> String,
) -> Result<(), ConfigError> {
    for key in table.keys {
        let Some(value) = values.and_then(|values| values.find_ref(key.name)) else {
            continue;
        };
        let Some((value, allowed)) = mistake(key.value_type, value) else {
            continue;
        };
        let path: Vec<&str> = path.iter().copied().chain([key.name]).collect();
        return Err(ConfigError::NotAllowed {
            key: named(key.name),
            value,
            origin: layers.origin(&path).to_string(),
            allowed,
        });
    }
    Ok(())
}

/// Whether others can dial a node at this address.
///
/// # Errors
///
/// What is allowed, in words.
pub(crate) fn check_peer_address(address: &str) -> Result<(), String> {
    check_dialled(ValueType::PeerAddress, address)
}

/// The same for clients.
///
/// # Errors
///
/// What is allowed, in words.
pub(crate) fn check_client_address(address: &str) -> Result<(), String> {
    check_dialled(ValueType::Address, address)
}

fn check_dialled(value_type: ValueType, address: &str) -> Result<(), String> {
    match mistake(value_type, &Value::from(address)) {
        Some((_, allowed)) => Err(allowed),
        None if is_unspecified(address) => {
            Err("an address at which others find the node".to_owned())
        }
        None => Ok(()),
    }
}

/// The value and what is allowed, if the value is not allowed.
fn mistake(value_type: ValueType, value: &Value) -> Option<(String, String)> {
    if let ValueType::Number { least, most, .. } = value_type {
        let number = value.to_u128()?;
        let good = (u128::from(least)..=u128::from(most)).contains(&number);
        return (!good).then(|| (number.to_string(), bounds(least, most)));
    }
    let text = value.as_str()?;
    let (good, allowed) = match value_type {
        ValueType::Address => (
            is_address(text),
            "a host and a port, such as \"127.0.0.1:7401\"".to_owned(),
        ),
        ValueType::PeerAddress => (
            is_address(text) || is_socket(text),
            format!(
                "a host and a port, such as \"127.0.0.1:7501\", or \"unix:\" and an absolute path of \
                 at most {SOCKET_PATH_BYTES_MAX} bytes"
            ),
        ),
        ValueType::Name => (
            is_name(text),
            format!("1 to {NAME_LENGTH_MAX} lower-case letters, digits and hyphens"),
        ),
        ValueType::Path => (!text.is_empty(), "a path".to_owned()),
        ValueType::Number { .. } | ValueType::Switch => unreachable!("these values are not texts"),
    };
    (!good).then(|| (format!("{text:?}"), allowed))
}

/// In words.
pub(super) fn bounds(least: u64, most: u64) -> String {
    if most == u64::MAX {
        format!("at least {least}")
    } else {
        format!("{least} to {most}")
    }
}

fn check_nodes(config: &Config, values: &Value, layers: &Layers) -> Result<(), ConfigError> {
    let found = config.nodes.len();
    if found == 0 || found > NODES_MAX {
        return Err(ConfigError::NodeCount {
            found,
            origin: layers.origin(&["nodes"]).to_string(),
            most: NODES_MAX,
        });
    }
    let tables = values.find_ref("nodes").and_then(Value::as_array);
    let mut ids = BTreeSet::new();
    let mut addresses: Vec<&str> = Vec::new();
    for (place, (node, table)) in config
        .nodes
        .iter()
        .zip(tables.into_iter().flatten())
        .enumerate()
    {
        let index = place.to_string();
        let named = |name: &str| format!("{name} in number {} of [[nodes]]", place + 1);
        check_table(
            &Node::TABLE,
            Some(table),
            &["nodes", &index],
            layers,
            &named,
        )?;
        let duplicate = |what, key, value: &str| ConfigError::Duplicate {
            what,
            value: value.to_owned(),
            origin: layers.origin(&["nodes", &index, key]).to_string(),
        };
        if !ids.insert(node.id) {
            return Err(duplicate("id", "id", &node.id.to_string()));
        }
        for (key, listen, address) in [
            ("client_address", "listen.client", &node.client_address),
            ("peer_address", "listen.peer", &node.peer_address),
        ] {
            let origin = || layers.origin(&["nodes", &index, key]).to_string();
            if is_unspecified(address) {
                return Err(ConfigError::NotAllowed {
                    key: named(key),
                    value: format!("{address:?}"),
                    origin: origin(),
                    allowed: format!(
                        "an address at which others find this node; to listen on every address, \
                         put this one into {listen}"
                    ),
                });
            }
            match addresses.iter().find(|before| are_same(before, address)) {
                Some(before) if before == address => {
                    return Err(duplicate("address", key, address));
                }
                Some(before) => {
                    return Err(ConfigError::SameAddress {
                        first: (*before).to_owned(),
                        second: address.clone(),
                        origin: origin(),
                    });
                }
                None => addresses.push(address),
            }
        }
    }
    Ok(())
}

fn check_relations(config: &Config, layers: &Layers) -> Result<(), ConfigError> {
    let (timing, sessions) = (config.timing, config.sessions);
    let related = [
        (
            ["timing", "election_timeout_ms"],
            timing.election_timeout_ms,
            timing.heartbeat_ms.saturating_mul(3),
            "three times timing.heartbeat_ms",
        ),
        (
            ["autopilot", "dead_after_seconds"],
            config.autopilot.dead_after_seconds.into(),
            timing.election_timeout_ms.div_ceil(100),
            "ten times timing.election_timeout_ms",
        ),
        (
            ["sessions", "absolute_seconds"],
            sessions.absolute_seconds.into(),
            sessions.idle_seconds.into(),
            "sessions.idle_seconds",
        ),
    ];
    for (path, value, least, what) in related {
        if value < least {
            return Err(ConfigError::NotAllowed {
                key: path.join("."),
                value: value.to_string(),
                origin: layers.origin(&path).to_string(),
                allowed: format!("at least {least} ({what})"),
            });
        }
    }
    Ok(())
}

fn check_id(config: &Config, id: u64, layers: &Layers) -> Result<(), ConfigError> {
    let Some(own) = config.node(id) else {
        let ids: Vec<String> = config
            .nodes
            .iter()
            .map(|node| node.id.to_string())
            .collect();
        return Err(ConfigError::UnknownNode {
            id,
            origin: layers.origin(&["nodes"]).to_string(),
            listed: ids.join(", "),
        });
    };
    let address = config.client_listener(own);
    if are_same(address, config.peer_listener(own)) {
        return Err(ConfigError::ListensTwice {
            id,
            address: address.to_owned(),
        });
    }
    Ok(())
}

/// Without TLS, a listener that other machines reach is open to everyone on the network between, so the
/// configuration must allow it. Checks all nodes if there is no `id`.
fn check_reach(config: &Config, id: Option<u64>, layers: &Layers) -> Result<(), ConfigError> {
    if config.listen.insecure {
        return Ok(());
    }
    for listener in config.listeners(id) {
        if !is_reached_from_outside(listener.address) {
            continue;
        }
        let place = listener.place.to_string();
        let (key, path) = if listener.overridden {
            let key = format!("listen.{}", listener.side);
            (key, vec!["listen", listener.side])
        } else {
            let name = listener.key;
            let key = format!("{name} in number {} of [[nodes]]", listener.place + 1);
            (key, vec!["nodes", &place, name])
        };
        return Err(ConfigError::Reachable {
            key,
            address: listener.address.to_owned(),
            origin: layers.origin(&path).to_string(),
        });
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    let of_a_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_LENGTH_MAX).contains(&text.len()) && text.bytes().all(of_a_name)
}
