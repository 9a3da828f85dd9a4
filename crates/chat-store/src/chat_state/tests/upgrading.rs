//! Tables and snapshots of format 4, which had no copies.

use super::copying::keep;
use super::*;
use crate::chat_state::schema::schema_of_snapshot;
use crate::chat_state::{checkpoints, page_sums};

/// The tables as the program before had them.
fn to_format_4(file: &Path) {
    tamper_file(
        file,
        "DROP TABLE copies; DROP TABLE copy_counts; \
         ALTER TABLE messages DROP COLUMN written_at; ALTER TABLE messages DROP COLUMN reply_to; \
         PRAGMA user_version = 4; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)",
    );
}

/// With checksums and without.
#[test]
fn tables_of_format_4_are_upgraded() {
    for with_sums in [true, false] {
        let mut chat = Chat::with_ann_and_bob();
        chat.apply(&[ann_sends("m1", "bob", "hello"), bob_reads(&["m1"])]);
        let Chat {
            directory, state, ..
        } = chat;
        state.close().unwrap();
        let file = database(directory.path());
        to_format_4(&file);
        std::fs::remove_file(file.with_extension("sums")).unwrap();
        if with_sums {
            let (reader, applied) = block_on(checkpoints::open_reader(&file)).unwrap();
            page_sums::SumsFile::create(&file, applied, 0, reader).unwrap();
        }
        for _ in 0..2 {
            let (state, _) = ChatState::open(directory.path()).unwrap();
            assert_eq!((state.lost(), state.applied_index()), (None, LogIndex(4)));
            state.close().unwrap();
        }
        let (mut state, _) = ChatState::open(directory.path()).unwrap();
        let next = entry(5, &keep(1, "ann", "m2", "bob", "copied"));
        block_on(state.apply(&[next])).unwrap();
        state.close().unwrap();
        let rows = all_rows(&file);
        assert!(
            rows.contains("copies 5,'ann',2,'copied',NULL,999.5"),
            "{rows}"
        );
        assert!(rows.contains("messages 3,1,'m1'"), "{rows}");
    }
}

/// A node may have no newer one when it loses its tables after an upgrade of the program.
#[test]
fn snapshot_of_format_4_is_installed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let mut chat = Chat::with_ann_and_bob();
    chat.apply(&[ann_sends("m1", "bob", "hello")]);
    let writer = block_on(chat.state.snapshot()).unwrap();
    writer.write(&path, &mut |_| Ok(())).unwrap();
    let base = replacing::base(3);
    let as_written = |path: &Path| {
        let script = schema_of_snapshot(4).unwrap();
        let script = format!(
            "{script}; DELETE FROM progress; ATTACH DATABASE '{}' AS new; \
             INSERT INTO progress SELECT * FROM new.progress; \
             INSERT INTO users SELECT * FROM new.users; \
             INSERT INTO inboxes SELECT * FROM new.inboxes; \
             INSERT INTO sessions SELECT * FROM new.sessions; \
             INSERT INTO messages SELECT commit_index, commit_term, id, sender, sender_since, \
             recipient, body, timestamp, read, deleted, deleted_at FROM new.messages; \
             PRAGMA user_version = 4",
            path.display()
        );
        let old = path.with_extension("4");
        block_on(async {
            let options = SqliteConnectOptions::new()
                .filename(&old)
                .create_if_missing(true);
            let mut connection = options.connect().await.unwrap();
            connection
                .execute(sqlx::AssertSqlSafe(script))
                .await
                .unwrap();
            connection.close().await.unwrap();
        });
        old
    };
    let old = as_written(&path);
    let mut fresh = Chat::new();
    block_on(fresh.state.install(&old, &base)).unwrap();
    assert_eq!(fresh.state.applied_index(), LogIndex(3));
    fresh.apply(&[keep(1, "ann", "m2", "bob", "copied")]);
    block_on(fresh.state.commit()).unwrap();
    let rows = all_rows(&database(fresh.directory.path()));
    assert!(
        rows.contains("'hello'") && rows.contains("copies 4,'ann'"),
        "{rows}"
    );
}
