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
    super::load(Some(id), &file, &Overrides::default()).map(|loaded| loaded.config)
}

/// `{FILE}` stands for the path of the file, which is different every time.
fn check_error(text: &str, expected: Expect) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.toml");
    fs::write(&file, text).unwrap();
    let error = super::load(Some(1), &file, &Overrides::default())
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
        let loaded = super::load(Some(id), &file, &Overrides::default()).unwrap();
        let config = loaded.config;
        let written = config.node(id).unwrap();
        assert_eq!(written.client_address, format!("127.0.0.1:740{id}"));
        assert_eq!(written.peer_address, format!("127.0.0.1:750{id}"));
    }
}

#[test]
fn flags_win_over_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.toml");
    let text = format!("[storage]\ndirectory = \"a\"\n[listen]\ninsecure = true\n{THREE}");
    fs::write(&file, text).unwrap();
    let overrides = Overrides {
        directory: Some(PathBuf::from("b")),
        listen_client: Some("0.0.0.0:7401".to_owned()),
        listen_peer: None,
    };
    let config = super::load(Some(1), &file, &overrides).unwrap().config;
    // It was typed where the process was started.
    let here = std::env::current_dir().unwrap();
    assert_eq!(config.storage.directory, here.join("b"));
    assert_eq!(config.listen.client.as_deref(), Some("0.0.0.0:7401"));
    assert_eq!(config.listen.peer, None);
}

/// The process may be started anywhere; a relative path begins at the file.
#[test]
fn a_directory_belongs_to_one_node_and_is_found_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cluster.toml");
    let directory = |text: &str| {
        fs::write(&file, format!("{text}\n{THREE}")).unwrap();
        let loaded = super::load(Some(2), &file, &Overrides::default()).unwrap();
        loaded.config.data_directory(2)
    };
    for (text, expected) in [
        ("", "data/node-2"),
        ("[storage]\ndirectory = \"somewhere\"", "somewhere/node-2"),
        (
            "[storage]\ndirectory = \"somewhere/node-2\"",
            "somewhere/node-2",
        ),
        (
            "[storage]\ndirectory = \"somewhere/node-1\"",
            "somewhere/node-1/node-2",
        ),
    ] {
        assert_eq!(directory(text), folder.path().join(expected), "{text}");
    }
    let from_the_root = directory("[storage]\ndirectory = \"/somewhere\"");
    assert_eq!(from_the_root, PathBuf::from("/somewhere/node-2"));
}

#[test]
fn a_file_must_be_there() {
    let missing = PathBuf::from("no/such/file.toml");
    let error = super::load(Some(1), &missing, &Overrides::default()).unwrap_err();
    expect!["the configuration file no/such/file.toml cannot be read: No such file or directory (os error 2)"]
        .assert_eq(&error.to_string());
}

#[test]
fn the_node_must_be_listed() {
    let three = THREE.replace("id = 1", "id = 4");
    check_error(
        &three,
        expect!["node 1 is not listed in [[nodes]] (line 2 of {FILE}); the listed ids are 4, 2, 3"],
    );
}

#[test]
fn what_is_not_understood_is_named() {
    check_error(
        "[timing",
        expect![[r#"line 1 of {FILE} is not understood: invalid table header: expected `.`, `]`"#]],
    );
    check_error(
        &format!("[timin]\nheartbeat_ms = 1\n{THREE}"),
        expect![[
            r#"line 1 of {FILE} has the unknown key "timin" in the top level; did you mean "timing"?"#
        ]],
    );
    check_error(
        &format!("[timing]\nheartbeat = 1\n{THREE}"),
        expect![[
            r#"line 2 of {FILE} has the unknown key "heartbeat" in [timing]; did you mean "heartbeat_ms"?"#
        ]],
    );
    check_error(
        &format!("[timing]\ndirectory = \"x\"\n{THREE}"),
        expect![[
            r#"line 2 of {FILE} has the unknown key "directory" in [timing]; it belongs in [storage]"#
        ]],
    );
    check_error(
        &format!("[timing]\ncolour = \"red\"\n{THREE}"),
        expect![[
            r#"line 2 of {FILE} has the unknown key "colour" in [timing]; known are "heartbeat_ms", "election_timeout_ms""#
        ]],
    );
    check_error(
        &format!("[timing]\nheartbeat_ms = 1\nheartbeat_ms = 2\n{THREE}"),
        expect![[
            r#"line 3 of {FILE} is not understood: duplicate key `heartbeat_ms` in table `timing`"#
        ]],
    );
    check_error(
        &format!("{THREE}\n[[nodes]]\nid = 4\nclient_address = \"a:1\"\n"),
        expect![[r#"number 4 of [[nodes]] (line 15 of {FILE}) has no "peer_address""#]],
    );
    check_error(
        &format!("{THREE}\n[[nodes]]\nid = 4\ncolour = \"red\"\n"),
        expect![[
            r#"line 17 of {FILE} has the unknown key "colour" in number 4 of [[nodes]]; known are "id", "client_address", "peer_address""#
        ]],
    );
}

#[test]
fn values_of_another_type_are_refused() {
    check_error(
        &format!("[timing]\nheartbeat_ms = \"soon\"\n{THREE}"),
        expect![[
            r#"timing.heartbeat_ms is "soon" (line 2 of {FILE}), and must be a whole number, 10 to 10000"#
        ]],
    );
    check_error(
        &format!("[timing]\nheartbeat_ms = -1\n{THREE}"),
        expect![
            "timing.heartbeat_ms is -1 (line 2 of {FILE}), and must be a whole number, 10 to 10000"
        ],
    );
    check_error(
        &format!("[timing]\nheartbeat_ms = 1.5\n{THREE}"),
        expect![
            "timing.heartbeat_ms is 1.5 (line 2 of {FILE}), and must be a whole number, 10 to 10000"
        ],
    );
    check_error(
        &format!("[passwords]\nmemory_kib = 5000000000\n{THREE}"),
        expect![
            "passwords.memory_kib is 5000000000 (line 2 of {FILE}), and must be a whole number, 19456 to 1048576"
        ],
    );
    check_error(
        &format!("timing = 5\n{THREE}"),
        expect!["timing is 5 (line 1 of {FILE}), and must be a table"],
    );
    check_error(
        "nodes = 5",
        expect!["nodes is 5 (line 1 of {FILE}), and must be a list of tables"],
    );
    check_error(
        "[nodes]\nid = 1",
        expect!["nodes is a table (line 1 of {FILE}), and must be a list of tables"],
    );
    check_error(
        "nodes = [1]",
        expect!["nodes.0 is 1 (line 1 of {FILE}), and must be a table"],
    );
    check_error(
        &format!("[storage]\ndirectory = 7\n{THREE}"),
        expect!["storage.directory is 7 (line 2 of {FILE}), and must be a text in quotes"],
    );
    check_error(
        &format!("[listen]\npeer = 7501\n{THREE}"),
        expect!["listen.peer is 7501 (line 2 of {FILE}), and must be a text in quotes"],
    );
    check_error(
        &THREE.replace("id = 2", "id = \"two\""),
        expect![[
            r#"id in number 2 of [[nodes]] is "two" (line 7 of {FILE}), and must be a whole number, at least 1"#
        ]],
    );
}

#[test]
fn values_have_bounds() {
    let with = |text: &str| format!("{text}\n{THREE}");
    check_error(
        &with("[timing]\nheartbeat_ms = 5"),
        expect!["timing.heartbeat_ms is 5 (line 2 of {FILE}), and must be 10 to 10000"],
    );
    check_error(
        &with("[timing]\nheartbeat_ms = 200"),
        expect![[
            r#"timing.election_timeout_ms is 400 (default), and must be at least 600 (three times timing.heartbeat_ms)"#
        ]],
    );
    check_error(
        &with("[passwords]\nmemory_kib = 1024"),
        expect!["passwords.memory_kib is 1024 (line 2 of {FILE}), and must be 19456 to 1048576"],
    );
    check_error(
        &with("[passwords]\niterations = 1"),
        expect!["passwords.iterations is 1 (line 2 of {FILE}), and must be 2 to 16"],
    );
    check_error(
        &with("[passwords]\nparallelism = 17"),
        expect!["passwords.parallelism is 17 (line 2 of {FILE}), and must be 1 to 16"],
    );
    check_error(
        &with("[sessions]\nidle_seconds = 299"),
        expect!["sessions.idle_seconds is 299 (line 2 of {FILE}), and must be 300 to 315360000"],
    );
    check_error(
        &with("[sessions]\nidle_seconds = 1000\nabsolute_seconds = 999"),
        expect![[
            r#"sessions.absolute_seconds is 999 (line 3 of {FILE}), and must be at least 1000 (sessions.idle_seconds)"#
        ]],
    );
    check_error(
        &with("[runtime]\nworker_threads = 0"),
        expect!["runtime.worker_threads is 0 (line 2 of {FILE}), and must be 1 to 64"],
    );
}

#[test]
fn addresses_and_names_have_a_form() {
    let with = |text: &str| format!("{text}\n{THREE}");
    check_error(
        &with("[listen]\nclient = \"7401\""),
        expect![[
            r#"listen.client is "7401" (line 2 of {FILE}), and must be a host and a port, such as "127.0.0.1:7401""#
        ]],
    );
    check_error(
        &with("[listen]\nclient = \"http://127.0.0.1:7401\""),
        expect![[
            r#"listen.client is "http://127.0.0.1:7401" (line 2 of {FILE}), and must be a host and a port, such as "127.0.0.1:7401""#
        ]],
    );
    check_error(
        &with("[listen]\nclient = \"127.0.0.1:7501\""),
        expect!["node 1 would listen on 127.0.0.1:7501 for clients and for the other nodes"],
    );
    check_error(
        &with("[cluster]\nname = \"My Chat\""),
        expect![[
            r#"cluster.name is "My Chat" (line 2 of {FILE}), and must be 1 to 40 lower-case letters, digits and hyphens"#
        ]],
    );
    check_error(
        &with("[storage]\ndirectory = \"\""),
        expect![[r#"storage.directory is "" (line 2 of {FILE}), and must be a path"#]],
    );
}

#[test]
fn what_other_machines_reach_must_be_wanted() {
    let with = |text: &str| format!("[listen]\n{text}\n{THREE}");
    check_error(
        &with("client = \"0.0.0.0:7401\""),
        expect![[
            r#"listen.client is "0.0.0.0:7401" (line 2 of {FILE}), which other machines may reach, and nothing there is encrypted; listen.insecure = true allows it"#
        ]],
    );
    check_error(
        &with("peer = \"node-1:7501\""),
        expect![[
            r#"listen.peer is "node-1:7501" (line 2 of {FILE}), which other machines may reach, and nothing there is encrypted; listen.insecure = true allows it"#
        ]],
    );
    check_error(
        &THREE.replace("127.0.0.1:7501", "[fe80::1]:7501"),
        expect![[
            r#"peer_address in number 1 of [[nodes]] is "[fe80::1]:7501" (line 5 of {FILE}), which other machines may reach, and nothing there is encrypted; listen.insecure = true allows it"#
        ]],
    );
    let check_all = |text: &str| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("cluster.toml");
        fs::write(&file, text).unwrap();
        super::load(None, &file, &Overrides::default()).map(|_| ())
    };
    let other = THREE.replace("127.0.0.1:7403", "10.0.0.3:7403");
    assert!(load(1, &other).is_ok(), "node 1 does not listen there");
    assert!(matches!(
        check_all(&other),
        Err(ConfigError::Reachable { .. })
    ));
    assert_eq!(
        check_all(&format!("[listen]\ninsecure = true\n{other}")),
        Ok(())
    );
    for near in [
        "localhost:7401",
        "127.8.0.1:7401",
        "[::1]:7401",
        "[::ffff:127.0.0.1]:7401",
    ] {
        assert!(
            load(1, &with(&format!("client = \"{near}\""))).is_ok(),
            "{near}"
        );
    }
}

#[test]
fn peers_may_be_at_sockets() {
    let sockets = THREE
        .replace("127.0.0.1:7501", "unix:/run/chat/1.sock")
        .replace("127.0.0.1:7502", "unix:/run/chat/2.sock");
    let config = load(1, &sockets).unwrap();
    let peer = config.peer_listener(config.node(1).unwrap());
    assert_eq!(peer, "unix:/run/chat/1.sock");
    check_error(
        &format!("[listen]\npeer = \"unix:here\"\n{THREE}"),
        expect![[
            r#"listen.peer is "unix:here" (line 2 of {FILE}), and must be a host and a port, such as "127.0.0.1:7501", or "unix:" and an absolute path of at most 107 bytes"#
        ]],
    );
    check_error(
        &THREE.replace("127.0.0.1:7502", &format!("unix:/{}", "x".repeat(107))),
        expect![[
            r#"peer_address in number 2 of [[nodes]] is "unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" (line 9 of {FILE}), and must be a host and a port, such as "127.0.0.1:7501", or "unix:" and an absolute path of at most 107 bytes"#
        ]],
    );
    check_error(
        &format!("[listen]\nclient = \"unix:/run/chat/1\"\n{THREE}"),
        expect![[
            r#"listen.client is "unix:/run/chat/1" (line 2 of {FILE}), and must be a host and a port, such as "127.0.0.1:7401""#
        ]],
    );
    check_error(
        &format!("[listen]\ninsecure = \"yes\"\n{THREE}"),
        expect![[r#"listen.insecure is "yes" (line 2 of {FILE}), and must be true or false"#]],
    );
}

#[test]
fn nodes_are_told_apart() {
    check_error(
        "",
        expect!["[[nodes]] lists 0 nodes (default), and must list 1 to 7"],
    );
    check_error(
        &(4..=8).fold(THREE.to_owned(), |text, id| {
            format!("{text}[[nodes]]\nid = {id}\nclient_address = \"a:{id}\"\npeer_address = \"b:{id}\"\n")
        }),
        expect!["[[nodes]] lists 8 nodes (line 2 of {FILE}), and must list 1 to 7"],
    );
    check_error(
        &THREE.replace("id = 2", "id = 1"),
        expect!["two nodes have the id 1 (the second: line 7 of {FILE})"],
    );
    check_error(
        &THREE.replace("id = 2", "id = 0"),
        expect!["id in number 2 of [[nodes]] is 0 (line 7 of {FILE}), and must be at least 1"],
    );
    check_error(
        &THREE.replace("7502", "7501"),
        expect!["two nodes have the address 127.0.0.1:7501 (the second: line 9 of {FILE})"],
    );
    check_error(
        &THREE.replace("127.0.0.1:7502", "peer"),
        expect![[
            r#"peer_address in number 2 of [[nodes]] is "peer" (line 9 of {FILE}), and must be a host and a port, such as "127.0.0.1:7501", or "unix:" and an absolute path of at most 107 bytes"#
        ]],
    );
}

#[test]
fn one_address_is_of_one_node_however_it_is_written() {
    check_error(
        &THREE.replace("127.0.0.1:7402", "localhost:7401"),
        expect![
            "127.0.0.1:7401 and localhost:7401 are one address, and every node needs its own (the second: line 8 of {FILE})"
        ],
    );
    check_error(
        &THREE.replace("127.0.0.1:7502", "localhost:7401"),
        expect![
            "127.0.0.1:7401 and localhost:7401 are one address, and every node needs its own (the second: line 9 of {FILE})"
        ],
    );
    check_error(
        &THREE
            .replace("127.0.0.1:7501", "[::1]:7501")
            .replace("127.0.0.1:7503", "[0:0::1]:7501"),
        expect![
            "[::1]:7501 and [0:0::1]:7501 are one address, and every node needs its own (the second: line 13 of {FILE})"
        ],
    );
    check_error(
        &format!("[listen]\nclient = \"localhost:7501\"\n{THREE}"),
        expect!["node 1 would listen on localhost:7501 for clients and for the other nodes"],
    );
    // These are two, on machines that have both.
    let both = THREE.replace("127.0.0.1:7502", "[::1]:7501");
    assert!(load(1, &both).is_ok());
}

#[test]
fn nobody_is_told_to_dial_every_address() {
    check_error(
        &THREE.replace("127.0.0.1:7401", "0.0.0.0:7401"),
        expect![[
            r#"client_address in number 1 of [[nodes]] is "0.0.0.0:7401" (line 4 of {FILE}), and must be an address at which others find this node; to listen on every address, put this one into listen.client"#
        ]],
    );
    check_error(
        &THREE.replace("127.0.0.1:7502", "[::]:7502"),
        expect![[
            r#"peer_address in number 2 of [[nodes]] is "[::]:7502" (line 9 of {FILE}), and must be an address at which others find this node; to listen on every address, put this one into listen.peer"#
        ]],
    );
    // Of this node, or allowed to be reached: that makes it no address to dial.
    let allowed = format!("[listen]\ninsecure = true\n{THREE}");
    let others = allowed.replace("127.0.0.1:7503", "0.0.0.0:7503");
    assert!(load(1, &others).is_err());
    let listening = allowed.replace("insecure", "peer = \"0.0.0.0:7501\"\ninsecure");
    assert!(load(1, &listening).is_ok());
}

#[test]
fn what_is_shown_says_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.toml");
    let text = format!("[timing]\nheartbeat_ms = 50\n[cluster]\nname = \"a-1\"\n{THREE}");
    fs::write(&file, text).unwrap();
    let overrides = Overrides {
        directory: Some(PathBuf::from("a \"b\" \\c")),
        listen_client: None,
        listen_peer: Some("[::1]:7501".to_owned()),
    };
    let loaded = super::load(Some(1), &file, &overrides).unwrap();
    let shown = loaded.show();
    expect![[r#"
        [cluster]
        name = "a-1"  # line 4 of {FILE}

        [storage]
        directory = '{HERE}/a "b" \c'  # --data

        [listen]
        # client is not set
        peer = "[::1]:7501"  # --listen-peer
        insecure = false  # default

        [timing]
        heartbeat_ms = 50  # line 2 of {FILE}
        election_timeout_ms = 400  # default

        [passwords]
        memory_kib = 19456  # default
        iterations = 2  # default
        parallelism = 1  # default

        [sessions]
        idle_seconds = 2592000  # default
        absolute_seconds = 15552000  # default

        [connections]
        clients_max = 1000  # default
        clients_per_source_max = 64  # default
        peers_max = 64  # default
        idle_seconds = 600  # default

        [limits]
        account_requests_per_second = 5000  # default
        account_requests_burst = 10000  # default
        inbox_messages_max = 2000000  # default
        free_bytes_min = 268435456  # default
        clock_lead_seconds_max = 3600  # default
        passwords_waiting_max = 512  # default
        connection_passwords_max = 32  # default
        source_failures_per_minute = 120  # default

        [runtime]
        worker_threads = 1  # default

        [[nodes]]
        id = 1  # line 7 of {FILE}
        client_address = "127.0.0.1:7401"  # line 8 of {FILE}
        peer_address = "127.0.0.1:7501"  # line 9 of {FILE}

        [[nodes]]
        id = 2  # line 11 of {FILE}
        client_address = "127.0.0.1:7402"  # line 12 of {FILE}
        peer_address = "127.0.0.1:7502"  # line 13 of {FILE}

        [[nodes]]
        id = 3  # line 15 of {FILE}
        client_address = "127.0.0.1:7403"  # line 16 of {FILE}
        peer_address = "127.0.0.1:7503"  # line 17 of {FILE}
    "#]]
    .assert_eq(
        &shown
            .replace(file.to_str().unwrap(), "{FILE}")
            .replace(std::env::current_dir().unwrap().to_str().unwrap(), "{HERE}"),
    );
    assert_eq!(load(1, &shown).unwrap(), loaded.config);
}

/// Whatever is wrong is one sentence.
#[test]
fn fuzz_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.toml");
    chat_fuzz::fuzz("configuration", |bytes| {
        fs::write(&file, String::from_utf8_lossy(bytes).as_ref()).unwrap();
        if let Err(error) = super::load(Some(1), &file, &Overrides::default()) {
            assert!(!error.to_string().is_empty());
        }
    });
}
