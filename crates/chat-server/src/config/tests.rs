//! Every mistake in a configuration is one sentence.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};

use super::{Config, ConfigError, Overrides};

const THREE: &str = r#"
[[nodes]]
id = 1
client_address = "127.0.0.1:7401"
peer_address = "127.0.0.1:7501"
[[nodes]]
id = 2
client_address = "127.0.0.1:7402"
peer_address = "127.0.0.1:7502"
[[nodes]]
id = 3
client_address = "127.0.0.1:7403"
peer_address = "127.0.0.1:7503"
"#;

fn load(id: u64, text: &str) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.toml");
    fs::write(&file, text).unwrap();
    Config::load(id, &file, &Overrides::default())
}

/// `{FILE}` stands for the path of the file, which is different every time.
fn check_error(text: &str, expected: Expect) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.toml");
    fs::write(&file, text).unwrap();
    let error = Config::load(1, &file, &Overrides::default())
        .unwrap_err()
        .to_string();
    let said = error.replace(file.to_str().unwrap(), "{FILE}");
    assert!(!said.contains('\n'), "one sentence, one line: {said}");
    expected.assert_eq(&said);
}

#[test]
fn what_is_not_said_has_a_default() {
    let config = load(2, THREE).unwrap();
    assert_eq!(config.timing.heartbeat_ms, 100);
    assert_eq!(config.timing.election_timeout_ms, 400);
    assert_eq!(config.passwords.memory_kib, 19_456);
    assert_eq!(config.runtime.worker_threads, 1);
    assert_eq!(config.node(2).unwrap().peer_address, "127.0.0.1:7502");
}

#[test]
fn the_file_in_the_repository_is_a_good_one() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/cluster.toml");
    for id in 1..=3 {
        let config = Config::load(id, &file, &Overrides::default()).unwrap();
        let written = config.node(id).unwrap();
        assert_eq!(written.client_address, format!("127.0.0.1:740{id}"));
        assert_eq!(written.peer_address, format!("127.0.0.1:750{id}"));
    }
}

#[test]
fn flags_win_over_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.toml");
    fs::write(&file, format!("[storage]\ndirectory = \"a\"\n{THREE}")).unwrap();
    let overrides = Overrides {
        directory: Some(PathBuf::from("b")),
        listen_client: Some("0.0.0.0:7401".to_owned()),
        listen_peer: None,
    };
    let config = Config::load(1, &file, &overrides).unwrap();
    assert_eq!(config.storage.directory, PathBuf::from("b"));
    assert_eq!(config.listen.client.as_deref(), Some("0.0.0.0:7401"));
    assert_eq!(config.listen.peer, None);
}

#[test]
fn a_directory_belongs_to_one_node() {
    let directory = |text: &str| load(2, text).unwrap().data_directory(2);
    let shared = format!("[storage]\ndirectory = \"somewhere\"\n{THREE}");
    assert_eq!(directory(&shared), PathBuf::from("somewhere/node-2"));
    let own = format!("[storage]\ndirectory = \"somewhere/node-2\"\n{THREE}");
    assert_eq!(directory(&own), PathBuf::from("somewhere/node-2"));
    let other = format!("[storage]\ndirectory = \"somewhere/node-1\"\n{THREE}");
    assert_eq!(directory(&other), PathBuf::from("somewhere/node-1/node-2"));
}

#[test]
fn a_file_must_be_there() {
    let missing = PathBuf::from("no/such/file.toml");
    let error = Config::load(1, &missing, &Overrides::default()).unwrap_err();
    expect!["the configuration file no/such/file.toml cannot be read: No such file or directory (os error 2)"]
        .assert_eq(&error.to_string());
}

#[test]
fn the_node_must_be_listed() {
    let error = load(4, THREE).unwrap_err().to_string();
    expect!["node 4 is not listed in [[nodes]]; the listed ids are 1, 2, 3"].assert_eq(&error);
}

#[test]
fn what_is_not_understood_is_named() {
    check_error(
        "[timing",
        expect![
            "{FILE} is not understood: TOML parse error at line 1, column 8: expected `.`, `]`"
        ],
    );
    check_error(
        &format!("[timin]\nheartbeat_ms = 1\n{THREE}"),
        expect![[
            r#"{FILE} has the unknown key "timin" in the top level; known there are storage, listen, timing, passwords, sessions, runtime, nodes"#
        ]],
    );
    check_error(
        &format!("[timing]\nheartbeat = 1\n{THREE}"),
        expect![[
            r#"{FILE} has the unknown key "heartbeat" in [timing]; known there are heartbeat_ms, election_timeout_ms"#
        ]],
    );
    check_error(
        &format!("[timing]\nheartbeat_ms = \"soon\"\n{THREE}"),
        expect![[r#"timing.heartbeat_ms in {FILE} is string "soon", and must be a whole number"#]],
    );
    check_error(
        &format!("{THREE}\n[[nodes]]\nid = 4\nclient_address = \"a:1\"\n"),
        expect![[r#"{FILE} has no "peer_address" in number 4 of [[nodes]]"#]],
    );
    check_error(
        &format!("{THREE}\n[[nodes]]\nid = 4\ncolour = \"red\"\n"),
        expect![[
            r#"{FILE} has the unknown key "colour" in number 4 of [[nodes]]; known there are id, client_address, peer_address"#
        ]],
    );
}

#[test]
fn values_have_bounds() {
    let with = |text: &str| format!("{text}\n{THREE}");
    check_error("", expect!["[[nodes]] lists 0 nodes, and must list 1 to 7"]);
    check_error(
        &with("[timing]\nheartbeat_ms = 5"),
        expect!["timing.heartbeat_ms is 5, and must be 10 to 10000"],
    );
    check_error(
        &with("[timing]\nheartbeat_ms = 200"),
        expect!["timing.election_timeout_ms is 400, and must be 600 to 60000"],
    );
    check_error(
        &with("[passwords]\nmemory_kib = 1024"),
        expect!["passwords.memory_kib is 1024, and must be 19456 to 1048576"],
    );
    check_error(
        &with("[passwords]\niterations = 1"),
        expect!["passwords.iterations is 1, and must be 2 to 16"],
    );
    check_error(
        &with("[passwords]\nparallelism = 17"),
        expect!["passwords.parallelism is 17, and must be 1 to 16"],
    );
    check_error(
        &with("[sessions]\nidle_seconds = 299"),
        expect!["sessions.idle_seconds is 299, and must be 300 to 315360000"],
    );
    check_error(
        &with("[sessions]\nidle_seconds = 1000\nabsolute_seconds = 999"),
        expect!["sessions.absolute_seconds is 999, and must be 1000 to 315360000"],
    );
    check_error(
        &with("[runtime]\nworker_threads = 0"),
        expect!["runtime.worker_threads is 0, and must be 1 to 64"],
    );
    check_error(
        &with("[listen]\nclient = \"7401\""),
        expect![[
            r#"listen.client is "7401", and must be a host and a port, such as "127.0.0.1:7401""#
        ]],
    );
    check_error(
        &THREE.replace("id = 2", "id = 1"),
        expect!["two nodes have the id 1"],
    );
    check_error(
        &THREE.replace("id = 2", "id = 0"),
        expect!["the id of a node is 0, and must be at least 1"],
    );
    check_error(
        &THREE.replace("7502", "7501"),
        expect!["two nodes have the address 127.0.0.1:7501"],
    );
    check_error(
        &THREE.replace("127.0.0.1:7502", "peer"),
        expect![[
            r#"peer_address of node 2 is "peer", and must be a host and a port, such as "127.0.0.1:7401""#
        ]],
    );
}
