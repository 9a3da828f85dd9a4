//! What was changed in the file by something else is detected and named.

use super::*;

#[test]
fn changed_row_is_detected_and_named() {
    check_damage(
        "UPDATE commits SET payload = CAST('fouR' AS BLOB) WHERE \"index\" = 4",
        expect!["entry 4 has a wrong chain value"],
    );
    check_damage(
        "UPDATE commits SET term = 2 WHERE \"index\" = 5",
        expect!["entry 5 has a wrong chain value"],
    );
    check_damage(
        "UPDATE commits SET kind = 258 WHERE \"index\" = 3",
        expect!["entry 3 has a wrong chain value"],
    );
    check_damage(
        "UPDATE commits SET chain = x'00' WHERE \"index\" = 6",
        expect!["entry 6 has a wrong chain value"],
    );
    check_damage(
        "DELETE FROM commits WHERE \"index\" = 3",
        expect!["entry 3 is missing"],
    );
    check_damage(
        "DELETE FROM commits WHERE \"index\" = 1",
        expect!["entry 1 is missing"],
    );
    check_damage(
        "UPDATE node SET term = 1",
        expect!["the stored term and vote are damaged"],
    );
    check_damage(
        "UPDATE node SET vote_node = 1",
        expect!["the stored term and vote are damaged"],
    );
    check_damage(
        "UPDATE node SET storage = randomblob(16)",
        expect!["the stored term and vote are damaged"],
    );
    check_damage(
        "DELETE FROM node",
        expect!["the stored term and vote are damaged"],
    );
}

fn check_damage(sql: &'static str, expected: Expect) {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path());
    tamper(directory.path(), sql);
    let error = CommitLog::open(directory.path()).unwrap_err();
    assert!(error.is_damage(), "{sql}: {error:?}");
    expected.assert_eq(&error.to_string());
}

#[test]
fn file_that_is_not_a_database_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    sample(directory.path());
    std::fs::write(directory.path().join("log.db"), [7; 8192]).unwrap();
    let error = CommitLog::open(directory.path()).unwrap_err();
    assert!(error.is_damage(), "{error:?}");
}
