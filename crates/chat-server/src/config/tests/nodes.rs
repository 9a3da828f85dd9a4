//! Addresses of listeners, and the list of nodes.

use std::fs;

use expect_test::expect;

use super::{THREE, check_error, load};
use crate::config::{ConfigError, Overrides};

#[test]
fn listener_reachable_by_other_machines_needs_insecure() {
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
        crate::config::load(None, &file, &Overrides::default()).map(|_| ())
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
fn peer_address_may_be_a_socket_path() {
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
fn nodes_have_different_ids_and_addresses() {
    check_error(
        "",
        expect!["[[nodes]] lists 0 nodes (default), and must list 1 to 256"],
    );
    check_error(
        &(4..=257).fold(THREE.to_owned(), |text, id| {
            format!("{text}[[nodes]]\nid = {id}\nclient_address = \"a:{id}\"\npeer_address = \"b:{id}\"\n")
        }),
        expect!["[[nodes]] lists 257 nodes (line 2 of {FILE}), and must list 1 to 256"],
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
fn same_address_in_another_spelling_is_rejected() {
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
fn unspecified_address_of_a_node_is_rejected() {
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
    // Neither `insecure` nor being this node's own makes it an address that others can dial.
    let allowed = format!("[listen]\ninsecure = true\n{THREE}");
    let others = allowed.replace("127.0.0.1:7503", "0.0.0.0:7503");
    assert!(load(1, &others).is_err());
    let listening = allowed.replace("insecure", "peer = \"0.0.0.0:7501\"\ninsecure");
    assert!(load(1, &listening).is_ok());
}
