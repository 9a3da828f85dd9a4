//! Keys, types and bounds.

use expect_test::expect;

use super::{THREE, check_error};

#[test]
fn unknown_key_is_named_with_its_line() {
    check_error(
        "[timing",
        expect![[r#"line 1 of {FILE} cannot be parsed: invalid table header: expected `.`, `]`"#]],
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
            r#"line 3 of {FILE} cannot be parsed: duplicate key `heartbeat_ms` in table `timing`"#
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
fn value_of_wrong_type_is_rejected() {
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
fn value_out_of_bounds_is_rejected() {
    let with = |text: &str| format!("{text}\n{THREE}");
    check_error(
        &with("[storage]\nsegment_bytes = 4096"),
        expect![
            "storage.segment_bytes is 4096 (line 2 of {FILE}), and must be 16384 to 1073741824"
        ],
    );
    check_error(
        &with("[storage]\nsnapshot_log_bytes = 1"),
        expect![
            "storage.snapshot_log_bytes is 1 (line 2 of {FILE}), and must be 16384 to 1099511627776"
        ],
    );
    check_error(
        &with("[storage]\nkept_entries = 0"),
        expect!["storage.kept_entries is 0 (line 2 of {FILE}), and must be 16 to 1073741824"],
    );
    check_error(
        &with("[storage]\nkept_bytes = 100"),
        expect!["storage.kept_bytes is 100 (line 2 of {FILE}), and must be 4096 to 1099511627776"],
    );
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
fn malformed_address_or_name_is_rejected() {
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
