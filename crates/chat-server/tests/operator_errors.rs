//! Every mistake of an operator, made with the real program: the program prints one sentence, exits with
//! a code that is not zero, and changes nothing on the disk.

#![expect(
    clippy::unwrap_used,
    reason = "Clippy takes only functions marked as tests for tests"
)]

#[path = "operator_errors/machine.rs"]
mod machine;

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::Command;

use machine::{Machine, run, wait_until_it_serves};

#[test]
fn unreadable_configuration_file_is_reported() {
    let machine = Machine::new();
    machine.check(
        &["--id", "1", "--config", "missing.toml"],
        2,
        "the configuration file missing.toml cannot be read: No such file or directory (os error 2)",
    );
    machine.check(
        &["--id", "1", "--config", "."],
        2,
        "the configuration file . cannot be read: Is a directory (os error 21)",
    );
    fs::write(machine.path().join("cluster.toml"), b"\xff").unwrap();
    machine.check(
        &["--id", "1"],
        2,
        "the configuration file cluster.toml cannot be read: stream did not contain valid UTF-8",
    );
}

#[test]
fn malformed_configuration_file_is_reported() {
    let machine = Machine::new();
    let nodes = machine.nodes();
    for (text, sentence) in [
        (
            "[timing",
            "line 1 of cluster.toml cannot be parsed: invalid table header: expected `.`, `]`",
        ),
        (
            "[timing]\nheart_beat_ms = 100\n",
            "line 2 of cluster.toml has the unknown key \"heart_beat_ms\" in [timing]; \
             did you mean \"heartbeat_ms\"?",
        ),
        (
            "[timing]\nheartbeat_ms = \"soon\"\n",
            "timing.heartbeat_ms is \"soon\" (line 2 of cluster.toml), and must be a whole number, \
             10 to 10000",
        ),
    ] {
        machine.write(&format!("{text}{nodes}"));
        machine.check(&["--id", "1"], 2, sentence);
        machine.check(&["config", "check"], 2, sentence);
        machine.check(&["config", "show"], 2, sentence);
        machine.check(&["--id", "1", "--reset"], 2, sentence);
    }
    machine.write("[[nodes]]\nid = 1\nclient_address = \"a:1\"\n");
    machine.check(
        &["--id", "1"],
        2,
        "number 1 of [[nodes]] (line 1 of cluster.toml) has no \"peer_address\"",
    );
}

#[test]
fn value_that_is_not_allowed_is_reported() {
    let machine = Machine::new();
    let nodes = machine.nodes();
    for (text, sentence) in [
        (
            "[timing]\nheartbeat_ms = 9\n",
            "timing.heartbeat_ms is 9 (line 2 of cluster.toml), and must be 10 to 10000",
        ),
        (
            "[timing]\nheartbeat_ms = 200\n",
            "timing.election_timeout_ms is 400 (default), and must be at least 600 \
             (three times timing.heartbeat_ms)",
        ),
        (
            "[listen]\nclient = \"7401\"\n",
            "listen.client is \"7401\" (line 2 of cluster.toml), and must be a host and a port, \
             such as \"127.0.0.1:7401\"",
        ),
        (
            "[listen]\nclient = \"a:1\"\npeer = \"a:1\"\n",
            "node 1 would listen on a:1 for clients and for the other nodes",
        ),
        (
            "[cluster]\nname = \"My Chat\"\n",
            "cluster.name is \"My Chat\" (line 2 of cluster.toml), and must be \
             1 to 40 lower-case letters, digits and hyphens",
        ),
    ] {
        machine.write(&format!("{text}{nodes}"));
        machine.check(&["--id", "1"], 2, sentence);
    }
    let [client_1, peer_1, client_2, _] = &machine.addresses;
    let localhost = client_1.replace("127.0.0.1", "localhost");
    let everywhere = peer_1.replace("127.0.0.1", "0.0.0.0");
    for (changed, sentence) in [
        (
            nodes.replace(client_2, &localhost),
            format!(
                "{client_1} and {localhost} are one address, and every node needs its own \
                 (the second: line 7 of cluster.toml)"
            ),
        ),
        (
            nodes.replace(peer_1, &everywhere),
            format!(
                "peer_address in number 1 of [[nodes]] is \"{everywhere}\" (line 4 of \
                 cluster.toml), and must be an address at which others find this node; to listen \
                 on every address, put this one into listen.peer"
            ),
        ),
    ] {
        machine.write(&changed);
        machine.check(&["--id", "1"], 2, &sentence);
        machine.check(&["config", "check"], 2, &sentence);
    }
    machine.write("");
    machine.check(
        &["--id", "1"],
        2,
        "[[nodes]] lists 0 nodes (default), and must list 1 to 256",
    );
    machine.write(&nodes.replace("id = 2", "id = 1"));
    machine.check(
        &["--id", "1"],
        2,
        "two nodes have the id 1 (the second: line 6 of cluster.toml)",
    );
}

#[test]
fn listener_that_other_machines_reach_needs_insecure() {
    let machine = Machine::new();
    let nodes = machine.nodes();
    // The address is in a network that no machine has.
    let listen = "[listen]\npeer = \"192.0.2.1:7501\"\n";
    machine.write(&format!("{listen}{nodes}"));
    let sentence = "listen.peer is \"192.0.2.1:7501\" (line 2 of cluster.toml), which other machines \
                    may reach, and nothing there is encrypted; listen.insecure = true allows it";
    machine.check(&["--id", "1"], 2, sentence);
    machine.check(&["config", "check"], 2, sentence);
    machine.write(&format!("{listen}insecure = true\n{nodes}"));
    let checked = run(machine.program(&["config", "check", "--id", "1"]));
    assert_eq!(checked.status.code(), Some(0), "{}", checked.errors);
    let ended = run(machine.program(&["--id", "1"]));
    assert_eq!(ended.status.code(), Some(1), "{}", ended.errors);
    assert!(
        ended
            .errors
            .contains("other machines may reach this listener")
            && ended.errors.contains("192.0.2.1:7501"),
        "{}",
        ended.errors
    );
}

/// A socket that a killed process left is replaced.
#[test]
fn peer_listener_can_be_a_socket_path() {
    let machine = Machine::new();
    let [client, ..] = &machine.addresses;
    let socket = machine.path().join("peer.sock");
    machine.write(&format!(
        "[[nodes]]\nid = 1\nclient_address = \"{client}\"\npeer_address = \"unix:{}\"\n",
        socket.display()
    ));
    for _ in 0..2 {
        let mut node = machine.program(&["--id", "1"]).spawn().unwrap();
        wait_until_it_serves(&mut node);
        UnixStream::connect(&socket).unwrap();
        node.kill().unwrap();
        node.wait().unwrap();
        assert!(socket.exists());
        UnixStream::connect(&socket).unwrap_err();
    }
    fs::set_permissions(machine.path(), Permissions::from_mode(0o777)).unwrap();
    machine.check(
        &["--id", "1"],
        1,
        &format!(
            "unix:{} cannot be listened on: other users can write to the folder {}",
            socket.display(),
            machine.path().display()
        ),
    );
}

#[test]
fn wrong_environment_variable_is_reported() {
    let machine = Machine::new();
    for (name, value, sentence) in [
        (
            "CHAT_SERVER_TIMING__HEARTBEET_MS",
            "100",
            "the environment variable CHAT_SERVER_TIMING__HEARTBEET_MS is not known; \
             did you mean CHAT_SERVER_TIMING__HEARTBEAT_MS?",
        ),
        (
            "CHAT_SERVER_HEARTBEAT_MS",
            "100",
            "the environment variable CHAT_SERVER_HEARTBEAT_MS is not known; \
             did you mean CHAT_SERVER_TIMING__HEARTBEAT_MS?",
        ),
        (
            "CHAT_SERVER_TIMING__",
            "100",
            "the environment variable CHAT_SERVER_TIMING__ names no key",
        ),
        (
            "CHAT_SERVER_TIMING__HEARTBEAT_MS",
            "soon",
            "timing.heartbeat_ms is \"soon\" (CHAT_SERVER_TIMING__HEARTBEAT_MS), and must be \
             a whole number, 10 to 10000",
        ),
        (
            "CHAT_SERVER_NODES",
            "[{id=1,client_address=\"a:1\",peer_address=\"a:1\"}]",
            "two nodes have the address a:1 (the second: CHAT_SERVER_NODES)",
        ),
        (
            "CHAT_SERVER_NODES__1__ID",
            "1",
            "nodes is a table (CHAT_SERVER_NODES), and must be a list of tables",
        ),
    ] {
        let mut command = machine.program(&["--id", "1"]);
        command.env(name, value);
        machine.check_command(command, 2, sentence);
    }
}

#[test]
fn mistyped_log_filter_is_reported() {
    let machine = Machine::new();
    let sentence = "the environment variable RUST_LOG is \"inof\", and \"inof\" in it is not a level \
                    (off, error, warn, info, debug, trace); did you mean \"info\"?";
    for arguments in [
        &["--id", "1"][..],
        &["--id", "1", "--reset"],
        &["config", "check"],
    ] {
        let mut command = machine.program(arguments);
        command.env("RUST_LOG", "inof");
        machine.check_command(command, 2, sentence);
    }
    let mut command = machine.program(&["config", "check"]);
    command.env("RUST_LOG", "info,chat_server=debug");
    assert_eq!(run(command).status.code(), Some(0));
}

#[test]
fn data_directory_is_relative_to_the_file_wherever_the_process_starts() {
    let machine = Machine::new();
    machine.run_node_1();
    let elsewhere = tempfile::tempdir().unwrap();
    let data = machine.path().join("data");
    fs::rename(data.join("node-1"), data.join("node-2")).unwrap();
    let file = machine.path().join("cluster.toml");
    let start = |arguments: &[&str]| {
        let mut command = machine.program(&["--config", file.to_str().unwrap(), "--id", "2"]);
        command.args(arguments).current_dir(elsewhere.path());
        command
    };
    let belongs = |data: &std::path::Path| {
        format!(
            "{} belongs to node 1, and this is node 2",
            data.join("node-2").display()
        )
    };
    machine.check_command(start(&[]), 1, &belongs(&data));
    let mut in_the_environment = start(&[]);
    in_the_environment.env("CHAT_SERVER_STORAGE__DIRECTORY", "moved");
    let moved = elsewhere.path().join("moved");
    fs::rename(&data, &moved).unwrap();
    machine.check_command(in_the_environment, 1, &belongs(&moved));
    machine.check_command(start(&["--data", "moved"]), 1, &belongs(&moved));
}

#[test]
fn wrong_flag_is_reported() {
    let machine = Machine::new();
    machine.check(
        &["--id", "1", "--listen-peer", "here"],
        2,
        "listen.peer is \"here\" (--listen-peer), and must be a host and a port, \
         such as \"127.0.0.1:7501\", or \"unix:\" and an absolute path of at most 107 bytes",
    );
    let mut command = machine.program(&["--id", "1", "--data"]);
    command.arg(OsStr::from_bytes(b"\xff"));
    machine.check_command(command, 2, "the directory of --data is not UTF-8");
    for arguments in [&["--id", "3"][..], &["--id", "3", "config", "check"]] {
        machine.check(
            arguments,
            2,
            "node 3 is not listed in [[nodes]] (line 1 of cluster.toml); the listed ids are 1, 2",
        );
    }
    // The messages for these are longer.
    for arguments in [
        &[][..],
        &["--reset"],
        &["--id", "one"],
        &["--id", "1", "--unknown"],
        &["config"],
        &["config", "check", "--reset"],
        &["--id", "1", "--reset", "config", "check"],
    ] {
        let before = machine.files();
        let ended = run(machine.program(arguments));
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert!(!ended.errors.is_empty(), "{arguments:?}");
        assert!(before == machine.files(), "{arguments:?}");
    }
}

#[test]
fn address_that_cannot_be_bound_is_reported() {
    let machine = Machine::new();
    machine.run_node_1();
    for taken in &machine.addresses[..2] {
        let _holder = TcpListener::bind(taken).unwrap();
        let sentence = format!("{taken} is taken by another process");
        machine.check(&["--id", "1"], 1, &sentence);
        machine.check(&["--id", "1", "--reset"], 1, &sentence);
    }
    machine.check(
        &["--id", "1", "--listen-peer", "unix:/no/such/folder/peer.sock"],
        1,
        "unix:/no/such/folder/peer.sock cannot be listened on: No such file or directory (os error 2)",
    );
}

#[test]
fn data_of_another_node_is_rejected() {
    let machine = Machine::new();
    machine.run_node_1();
    let data = machine.path().join("data");
    fs::rename(data.join("node-1"), data.join("node-2")).unwrap();
    let sentence = format!(
        "{}/node-2 belongs to node 1, and this is node 2",
        data.display()
    );
    machine.check(&["--id", "2"], 1, &sentence);
    machine.check(&["--id", "2", "--reset"], 1, &sentence);
}

#[test]
fn data_of_another_cluster_is_rejected() {
    let machine = Machine::new();
    machine.run_node_1();
    machine.write(&format!("[cluster]\nname = \"other\"\n{}", machine.nodes()));
    let sentence = format!(
        "{}/data/node-1 belongs to cluster \"chat\", and this node to cluster \"other\"",
        machine.path().display()
    );
    machine.check(&["--id", "1"], 1, &sentence);
    machine.check(&["--id", "1", "--reset"], 1, &sentence);
}

#[test]
fn data_with_malformed_identity_is_rejected() {
    let machine = Machine::new();
    machine.run_node_1();
    let data = machine.path().join("data/node-1");
    fs::write(data.join("identity.toml"), "cluster = \"chat\"\n").unwrap();
    machine.check(
        &["--id", "1"],
        1,
        &format!(
            "cannot determine which node the data in {} belongs to: identity.toml: missing field `node`",
            data.display()
        ),
    );
}

#[test]
fn data_in_use_is_rejected() {
    let machine = Machine::new();
    machine.run_node_1();
    let data = machine.path().join("data/node-1");
    // Like a process that runs with this data, but without changes to it.
    let _locks = ["log/lock", "state.lock"].map(|name| {
        let file = File::open(data.join(name)).unwrap();
        file.lock().unwrap();
        file
    });
    machine.check(
        &["--id", "1"],
        1,
        &format!(
            "cannot open data directory {data}: {data}/state is in use by another process",
            data = data.display()
        ),
    );
    machine.check(
        &["--id", "1", "--reset"],
        1,
        &format!("{} is in use by another process", data.display()),
    );
}

/// S-C5: a directory that was restored with another mode is closed, and that is logged.
#[test]
fn data_that_others_can_read_is_closed() {
    let machine = Machine::new();
    machine.run_node_1();
    let data = machine.path().join("data/node-1");
    fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    let log = machine.run_node_1();
    assert!(log.contains("was open to other users"), "{log}");
    let mode = fs::metadata(&data).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(!machine.run_node_1().contains("was open to other users"));
}

/// A5: a start that finds a log whose deletion was interrupted does not use it.
#[test]
fn interrupted_reset_is_finished() {
    let machine = Machine::new();
    machine.run_node_1();
    let data = machine.path().join("data/node-1");
    let (log, gone) = (data.join("log"), data.join("log.gone"));
    fs::create_dir(&gone).unwrap();
    let rejected = run(machine.program(&["--id", "1"]));
    assert_eq!(rejected.status.code(), Some(1), "{}", rejected.errors);
    assert!(
        rejected.errors.contains("has both log and log.gone"),
        "{}",
        rejected.errors
    );
    fs::remove_dir(&gone).unwrap();
    fs::rename(&log, &gone).unwrap();
    machine.run_node_1();
    assert!(log.exists() && !gone.exists());
}

#[test]
fn data_directory_that_is_a_file_is_reported() {
    let machine = Machine::new();
    fs::write(machine.path().join("data"), "").unwrap();
    machine.check(
        &["--id", "1"],
        1,
        &format!(
            "{}/data/node-1/identity.toml cannot be read: Not a directory (os error 20)",
            machine.path().display()
        ),
    );
}

#[test]
fn configuration_is_checked_and_shown() {
    let machine = Machine::new();
    let before = machine.files();
    let output_of = |command: Command| {
        let ended = run(command);
        assert_eq!((ended.status.code(), ended.errors.as_str()), (Some(0), ""));
        ended.output
    };
    assert_eq!(
        output_of(machine.program(&["config", "check"])),
        "cluster.toml: the configuration is good\n"
    );
    assert_eq!(
        output_of(machine.program(&["--id", "2", "config", "check"])),
        "cluster.toml: the configuration of node 2 is good\n"
    );
    let mut show = machine.program(&["config", "show", "--data", "elsewhere"]);
    show.env("CHAT_SERVER_TIMING__HEARTBEAT_MS", "50");
    let shown = output_of(show);
    let directory = machine.path().join("elsewhere");
    for line in [
        &*format!("directory = \"{}\"  # --data\n", directory.display()),
        "heartbeat_ms = 50  # CHAT_SERVER_TIMING__HEARTBEAT_MS\n",
        "election_timeout_ms = 400  # default\n",
        "id = 2  # line 6 of cluster.toml\n",
    ] {
        assert!(shown.contains(line), "{line}{shown}");
    }
    assert!(output_of(machine.program(&["config", "reference"])).starts_with("# Configuration\n"));
    assert!(before == machine.files());
}
