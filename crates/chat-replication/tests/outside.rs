//! A crate outside the workspace depends on this one alone, builds in memory without SQLite or gRPC in
//! its tree, on disk with a feature, and counts.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const LINES_MAX: usize = 100;
/// What a service takes on with the log on disk and gRPC between its nodes.
const PACKAGES_MAX: usize = 120;

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The crate, in a folder that no workspace knows.
fn make_crate() -> PathBuf {
    let source = package().join("tests/outside");
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside-counter");
    fs::create_dir_all(&made).unwrap();
    let manifest = fs::read_to_string(source.join("manifest.toml")).unwrap();
    let path = package().to_str().expect("the repository's path is text");
    let manifest = manifest.replace("CHAT_REPLICATION", path);
    let counter = fs::read_to_string(source.join("counter.rs")).unwrap();
    assert!(counter.lines().count() <= LINES_MAX);
    for (name, text) in [("Cargo.toml", manifest), ("counter.rs", counter)] {
        // An unchanged file keeps its time, so that nothing is built again for it.
        if fs::read_to_string(made.join(name)).ok().as_ref() != Some(&text) {
            fs::write(made.join(name), text).unwrap();
        }
    }
    // Without a network only versions that the workspace has can be found.
    fs::copy(package().join("../../Cargo.lock"), made.join("Cargo.lock")).unwrap();
    made
}

fn cargo(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    let output = command
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// No database is in the tree, nothing of the chat, and none of `others`; and it is not large.
fn check_tree(tree: &str, others: &[&str]) {
    let names: BTreeSet<_> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty())
        .collect();
    let absent = ["sqlx", "libsqlite3-sys", "chat-proto", "chat-store"];
    for absent in absent.iter().chain(others) {
        let named = names.iter().any(|name| name.starts_with(absent));
        assert!(!named, "{absent} is in the tree:\n{tree}");
    }
    assert!(names.len() <= PACKAGES_MAX, "{}:\n{tree}", names.len());
    assert!(names.contains("chat-replication"), "{tree}");
}

#[test]
fn crate_outside_the_workspace_counts_in_memory_and_on_disk() {
    let folder = make_crate();
    let tree = cargo(&folder, &["tree", "--offline", "--prefix", "none"]);
    check_tree(&tree, &["tonic", "prost", "hyper"]);
    let on_disk = [
        "tree",
        "--offline",
        "--prefix",
        "none",
        "--features",
        "disk,chat-replication/grpc",
    ];
    check_tree(&cargo(&folder, &on_disk), &[]);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("target/tmp");
    let target = target.to_str().expect("the repository's path is text");
    let run = ["run", "--offline", "--quiet", "--target-dir", target];
    let expected = "plus 1 is 1\nplus 2 is 3\nplus 3 is 6\n\
                    a node reads 6\na node reads 6\na node reads 6\n";
    assert_eq!(cargo(&folder, &run), expected);
    let logs = tempfile::tempdir().unwrap();
    let logs_path = logs.path().to_str().expect("a temporary path is text");
    let on_disk = [&run[..], &["--features", "disk", "--", logs_path]].concat();
    assert_eq!(cargo(&folder, &on_disk), expected);
    assert!(logs.path().join("3/node").exists());
}
