//! Which logs open, for which node, and what they then contain.

use super::*;

#[test]
fn new_log_is_empty_and_keeps_its_storage_id() {
    let directory = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let (log, stored) = CommitLog::open(directory.path()).unwrap();
    assert_eq!(stored, Stored::empty(stored.storage));
    assert_eq!(log.cluster(), None);
    drop(log);
    assert_eq!(CommitLog::open(directory.path()).unwrap().1, stored);
    assert_ne!(
        CommitLog::open(other.path()).unwrap().1.storage,
        stored.storage
    );
}

#[test]
fn reopened_log_contains_everything_written() {
    let directory = tempfile::tempdir().unwrap();
    let stored = sample(directory.path());
    assert_eq!(stored.base, bootstrap().base.map(|base| *base));
    assert_eq!(stored.last, Position::new(6, 4));
    let terms: Vec<_> = stored
        .terms
        .iter()
        .map(|span| (span.term.0, span.first.0))
        .collect();
    assert_eq!(terms, [(1, 1), (4, 6)]);

    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    assert_eq!(log.cluster(), Some(ClusterId(77)));
    let entries = read_all(&mut log);
    assert_eq!(entries.len(), 6);
    assert_eq!(entries[..2], [no_op(1, 1), no_op(2, 1)]);
    assert_eq!(entries[5], entry(6, 4, "six"));
}

#[test]
fn newer_format_is_refused_and_is_not_damage() {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path());
    tamper(directory.path(), "PRAGMA user_version = 9");
    let error = CommitLog::open(directory.path()).unwrap_err();
    assert!(matches!(
        error,
        LogError::Open(OpenError::UnknownFormat { found: 9, .. })
    ));
    assert!(!error.is_damage());
}

#[test]
fn directory_in_use_is_refused_until_it_is_free() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = CommitLog::open(directory.path()).unwrap();
    let error = CommitLog::open(directory.path()).unwrap_err();
    assert!(
        matches!(error, LogError::Open(OpenError::InUse { .. })),
        "{error:?}"
    );
    drop(log);
    CommitLog::open(directory.path()).unwrap();
}

#[test]
fn files_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("one/two");
    let (mut log, _) = CommitLog::open(&directory).unwrap();
    write(&mut log, &bootstrap());
    append(&mut log, &[no_op(1, 1)]);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(directory.parent().unwrap()), 0o700);
    let mut names = Vec::new();
    for file in directory.read_dir().unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    names.sort();
    assert_eq!(names, ["log.db", "log.db-wal", "log.lock"]);
    assert!(log.size_on_disk().unwrap() > 8192);
}

#[test]
fn log_with_a_recorded_fault_does_not_open() {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path());
    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    block_on(log.record_fault("its leader requested too much")).unwrap();
    let more = Writes {
        boot_count: Some(9),
        ..Writes::default()
    };
    let refused = block_on(log.write_and_sync(&more));
    assert!(matches!(refused, Err(LogError::Poisoned)));
    drop(log);
    for _ in 0..2 {
        let error = CommitLog::open(directory.path()).map(drop).unwrap_err();
        assert!(matches!(&error, LogError::Fault { fault } if fault.contains("too much")));
        assert!(!error.is_damage());
    }
}

#[test]
fn log_belongs_to_the_node_that_claimed_it_first() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let (mut log, _) = CommitLog::open(directory.path()).unwrap();
        block_on(log.claim(NodeId(u64::MAX))).unwrap();
        let refused = block_on(log.claim(NodeId(2))).unwrap_err();
        expect!["this log belongs to node 18446744073709551615, but this is node 2"]
            .assert_eq(&refused.to_string());
        log.close().unwrap();
    }
}

/// A log of format 3, or older: its first entry is the membership.
const OLDER: [&str; 3] = [
    "ALTER TABLE node DROP COLUMN base; ALTER TABLE node DROP COLUMN node_id; \
     ALTER TABLE node DROP COLUMN repair_through; ALTER TABLE node DROP COLUMN fault; \
     PRAGMA user_version = 1",
    "ALTER TABLE node DROP COLUMN base; ALTER TABLE node DROP COLUMN node_id; \
     PRAGMA user_version = 2",
    "ALTER TABLE node DROP COLUMN base; PRAGMA user_version = 3",
];

#[test]
fn log_of_an_older_format_is_upgraded_without_loss() {
    for older in OLDER {
        check_upgrade(older);
    }
}

/// The digest of a row without a base is the same in all formats. The directories of
/// `chat-store`'s tests have logs with entries that were written by older programs.
fn check_upgrade(older: &'static str) {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, _) = CommitLog::open(directory.path()).unwrap();
    let hard_state = HardState {
        term: Term(3),
        ..HardState::default()
    };
    let writes = Writes {
        boot_count: Some(4),
        hard_state: Some(hard_state),
        ..Writes::default()
    };
    write(&mut log, &writes);
    log.close().unwrap();
    tamper(directory.path(), older);
    for _ in 0..2 {
        let (mut log, stored) = CommitLog::open(directory.path()).unwrap();
        block_on(log.claim(NodeId(1))).unwrap();
        assert_eq!((stored.boot_count, stored.hard_state), (4, hard_state));
        assert_eq!((stored.base, stored.last), (None, Position::ZERO));
        log.close().unwrap();
    }
}

#[test]
fn log_whose_parts_contradict_each_other_is_damaged() {
    for sql in [
        // The base of another cluster, a base that is no base, and entries without one.
        "UPDATE node SET base = CAST(substr(base, 1, 16) || x'11111111111111111111111111111111' || substr(base, 33) AS BLOB)",
        "UPDATE node SET base = x'00'",
        "UPDATE node SET base = NULL",
        // As after an upgrade, and the first entry is not the membership that it must be.
        "UPDATE node SET base = x''",
    ] {
        let directory = tempfile::tempdir().unwrap();
        sample(directory.path());
        tamper(directory.path(), sql);
        let error = CommitLog::open(directory.path()).map(drop).unwrap_err();
        assert!(error.is_damage(), "{sql}: {error}");
    }
}
