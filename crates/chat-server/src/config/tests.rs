//! Every mistake in a configuration is one sentence.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};

use super::{Config, ConfigError, Overrides};

mod nodes;
mod values;

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

/// In `expected`, `{FILE}` is the path of the file, which is different every time.
fn check_error(text: &str, expected: Expect) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.toml");
    fs::write(&file, text).unwrap();
    let error = super::load(Some(1), &file, &Overrides::default())
        .unwrap_err()
        .to_string();
    let sentence = error.replace(file.to_str().unwrap(), "{FILE}");
    assert!(
        !sentence.contains('\n'),
        "one sentence, one line: {sentence}"
    );
    expected.assert_eq(&sentence);
}

#[test]
fn missing_key_has_its_default() {
    let config = load(2, THREE).unwrap();
    assert_eq!(config.timing.heartbeat_ms, 100);
    assert_eq!(config.timing.election_timeout_ms, 400);
    assert_eq!(config.passwords.memory_kib, 19_456);
    assert_eq!(config.runtime.worker_threads, 1);
    assert_eq!(config.node(2).unwrap().peer_address, "127.0.0.1:7502");
}

#[test]
fn file_of_the_repository_is_valid() {
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
fn flags_override_the_file() {
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
    // A flag is relative to the directory in which the process was started.
    let here = std::env::current_dir().unwrap();
    assert_eq!(config.storage.directory, here.join("b"));
    assert_eq!(config.listen.client.as_deref(), Some("0.0.0.0:7401"));
    assert_eq!(config.listen.peer, None);
}

/// The process may be started anywhere; a relative path begins at the file.
#[test]
fn relative_directory_begins_at_the_file_and_is_separate_for_each_node() {
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
fn missing_file_is_reported() {
    let missing = PathBuf::from("no/such/file.toml");
    let error = super::load(Some(1), &missing, &Overrides::default()).unwrap_err();
    expect!["the configuration file no/such/file.toml cannot be read: No such file or directory (os error 2)"]
        .assert_eq(&error.to_string());
}

#[test]
fn node_that_is_not_listed_is_rejected() {
    let three = THREE.replace("id = 1", "id = 4");
    check_error(
        &three,
        expect!["node 1 is not listed in [[nodes]] (line 2 of {FILE}); the listed ids are 4, 2, 3"],
    );
}

/// Two values that are not the defaults.
const TWO_CHANGED: &str = "[timing]\nheartbeat_ms = 50\n[cluster]\nname = \"a-1\"\n";

#[test]
#[expect(clippy::too_many_lines, reason = "it is the whole configuration")]
fn shown_configuration_reads_back_equal() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.toml");
    fs::write(&file, TWO_CHANGED.to_owned() + THREE).unwrap();
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
        bootstrap = false  # default

        [storage]
        directory = '{HERE}/a "b" \c'  # --data
        segment_bytes = 67108864  # default
        snapshot_log_bytes = 67108864  # default
        snapshot_age_seconds = 86400  # default
        kept_entries = 65536  # default
        kept_bytes = 67108864  # default

        [listen]
        # client is not set
        peer = "[::1]:7501"  # --listen-peer
        insecure = false  # default

        [timing]
        heartbeat_ms = 50  # line 2 of {FILE}
        election_timeout_ms = 400  # default

        [autopilot]
        dead_after_seconds = 300  # default
        min_voters = 3  # default

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

/// Every mistake is reported in a sentence.
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
