//! State directories at a start: those of an earlier program, and what is left of lost ones.

use std::time::{Duration, SystemTime};

use super::*;
use crate::chat_state::opening;
use crate::chat_state::schema;
use futures::executor::block_on;

/// A data directory with the tables of format 3, which has the changes of three entries, some of them in
/// the write-ahead log only.
fn format_3() -> TempDir {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format_3");
    let directory = tempfile::tempdir().unwrap();
    copy_all(&golden, directory.path());
    directory
}

/// Whatever the moment, the tables are complete, and the second start finds them again.
#[test]
fn crash_while_converting_loses_nothing() {
    let directory = format_3();
    let (steps, copies) = Steps::recorded();
    let mut directories = StateDirectories::new(directory.path());
    directories.steps = steps;
    let file = schema::database_file(directories.folder().to_owned(), directories.lock());
    let lock = file.take_lock().unwrap();
    let opened = opening::open_current(&directories, &lock).unwrap();
    assert!(opened.lost.is_none() && opened.older.is_none());
    assert_eq!(opened.state.progress.applied, Position::new(392, 5));
    drop(opened);
    drop(lock);
    let expected = all_rows(&database(directory.path()));
    assert!(expected.lines().count() > 50, "{expected}");
    let copies = copies.lock().unwrap();
    assert!(copies.len() >= 7, "{}", copies.len());
    for copy in copies.iter() {
        for _ in 0..2 {
            let (state, reader) = ChatState::open(copy.path()).unwrap();
            assert_eq!(state.lost(), None);
            assert_eq!(state.applied(), Position::new(392, 5));
            assert_eq!(state.applied_chain(), None, "format 3 had none");
            drop(reader);
            state.close().unwrap();
            assert_eq!(all_rows(&database(copy.path())), expected);
            assert!(!copy.path().join("state.db").exists());
        }
    }
}

/// A program without directories, started in between, makes tables of its own beside them.
#[test]
fn tables_beside_the_current_ones_are_deleted() {
    let mut chat = Chat::with_ann_and_bob();
    block_on(chat.state.commit()).unwrap();
    copy_all(format_3().path(), chat.directory.path());
    chat.reopen();
    assert_eq!(chat.state.applied_index(), LogIndex(2));
    assert!(!chat.directory.path().join("state.db").exists());
    assert!(!chat.directory.path().join("state.db-wal").exists());
}

/// The data directory of a chat that is closed.
fn closed(chat: Chat) -> TempDir {
    drop(chat.reader);
    chat.state.close().unwrap();
    chat.directory
}

/// Runs `damage` with the file of committed tables, and checks that the next opening sets them aside: for
/// `reason` if they have no checksums, and for any otherwise.
fn check_lost(damage: impl Fn(&Path), reason: &str) {
    check_lost_once(
        |path| {
            std::fs::remove_file(path.with_extension("sums")).unwrap();
            damage(path);
        },
        reason,
    );
    let reason = if reason == "missing" { reason } else { "" };
    check_lost_once(damage, reason);
}

fn check_lost_once(damage: impl FnOnce(&Path), reason: &str) {
    let mut chat = Chat::with_ann_and_bob();
    block_on(chat.state.commit()).unwrap();
    let directory = closed(chat);
    let file = database(directory.path());
    damage(&file);
    let (mut state, reader) = ChatState::open(directory.path()).unwrap();
    let lost = state.lost().expect("it is lost").to_owned();
    assert!(lost.contains(reason), "{lost}");
    assert_eq!(state.applied(), Position::ZERO);
    // It is made again from the log, and the next opening finds it.
    block_on(state.apply(&[entry(1, &create_user("ann", 1))])).unwrap();
    drop(reader);
    state.close().unwrap();
    let (state, _reader) = ChatState::open(directory.path()).unwrap();
    assert_eq!((state.lost(), state.applied_index()), (None, LogIndex(1)));
    // What is left of the old one is kept for a week.
    let evidence = || {
        let names = std::fs::read_dir(directory.path().join("state")).unwrap();
        let names = names.map(|entry| entry.unwrap().path());
        let aside = |path: &PathBuf| path.to_string_lossy().contains("/aside-");
        names.filter(aside).collect::<Vec<_>>()
    };
    let now = SystemTime::now();
    if let [kept] = evidence().as_slice() {
        let text = std::fs::read_to_string(kept.join("reason.txt")).unwrap();
        assert_eq!(text, lost);
    } else {
        assert!(!file.parent().unwrap().exists());
        assert!(reason.contains("missing"), "{:?}", evidence());
    }
    let day = Duration::from_secs(24 * 60 * 60);
    let before = evidence().len();
    ChatState::remove_old_evidence(directory.path(), now + 6 * day).unwrap();
    assert_eq!(evidence().len(), before);
    ChatState::remove_old_evidence(directory.path(), now + 8 * day).unwrap();
    assert_eq!(evidence().len(), 0);
}

#[test]
fn damaged_tables_are_set_aside_and_made_again() {
    let overwrite = |at: u64, bytes: &'static [u8]| {
        move |path: &Path| {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, bytes, at).unwrap();
        }
    };
    check_lost(overwrite(0, b"SQLite format 4"), "not a database");
    check_lost(overwrite(16, &[0xff; 84]), "cannot open");
    check_lost(overwrite(60, &[0, 0, 0, 0]), "cannot open");
    check_lost(overwrite(60, &[0x7f, 0, 0, 0]), "has format");
    check_lost(overwrite(100, &[0xff; 4096]), "");
    check_lost(|path| std::fs::write(path, "").unwrap(), "missing");
    check_lost(|path| std::fs::remove_file(path).unwrap(), "missing");
    check_lost(
        |path| std::fs::remove_dir_all(path.parent().unwrap()).unwrap(),
        "missing",
    );
    check_lost(|path| tamper_file(path, "DELETE FROM progress"), "progress");
    check_lost(|path| tamper_file(path, "DROP TABLE progress"), "progress");
    check_lost(
        |path| tamper_file(path, "UPDATE progress SET chain = x'00'"),
        "progress",
    );
    let unreadable = |path: &Path| {
        let current = path.parent().unwrap().with_file_name("current");
        std::fs::write(current, b"\0\0").unwrap();
    };
    check_lost(unreadable, "unreadable");
}

#[test]
fn damaged_tables_of_an_earlier_program_are_set_aside() {
    let directory = format_3();
    let file = directory.path().join("state.db");
    std::fs::write(&file, [7; 4096]).unwrap();
    let (state, _reader) = ChatState::open(directory.path()).unwrap();
    assert!(state.lost().unwrap().contains("not a database"));
    assert_eq!(state.applied(), Position::ZERO);
    assert!(!file.exists());
}

#[test]
fn tables_of_a_later_program_are_not_touched() {
    let mut chat = Chat::with_ann_and_bob();
    block_on(chat.state.commit()).unwrap();
    let directory = closed(chat);
    let file = database(directory.path());
    let sums = file.with_extension("sums");
    let mut later = std::fs::read(&sums).unwrap();
    later[11] += 1;
    let end = later.len() - 4;
    let checksum = crc32fast::hash(&later[..end]);
    later[end..].copy_from_slice(&checksum.to_be_bytes());
    std::fs::write(&sums, later).unwrap();
    for _ in 0..2 {
        let refused = ChatState::open(directory.path()).unwrap_err();
        assert!(
            refused.to_string().contains("sums has format 2"),
            "{refused}"
        );
    }
    // Of one that has none.
    std::fs::remove_file(&sums).unwrap();
    tamper_file(&file, "PRAGMA user_version = 6");
    for _ in 0..2 {
        let refused = ChatState::open(directory.path()).unwrap_err();
        assert!(refused.to_string().contains("has format 6"), "{refused}");
    }
    tamper_file(&file, "PRAGMA user_version = 5");
    let (state, _reader) = ChatState::open(directory.path()).unwrap();
    assert_eq!(state.lost(), None);
    assert_eq!(state.applied_index(), LogIndex(2));
}

/// Damage that only applying meets: the next opening could not find it.
#[test]
fn damage_that_applying_finds_is_noted_for_the_next_start() {
    let mut chat = Chat::with_ann_and_bob();
    block_on(chat.state.commit()).unwrap();
    tamper(chat.directory.path(), "DROP TABLE messages");
    let failed = block_on(
        chat.state
            .apply(&[entry(3, &ann_sends("id", "bob", "text"))]),
    );
    assert!(failed.unwrap_err().is_damage());
    let refused = block_on(chat.state.commit());
    assert!(matches!(refused, Err(StateError::Poisoned)), "{refused:?}");
    let Chat {
        directory,
        state,
        reader,
    } = chat;
    drop((state, reader));
    let (state, _reader) = ChatState::open(directory.path()).unwrap();
    assert!(state.lost().unwrap().contains("messages"));
}

/// Damage that only a read meets: the writer might not come to these pages for days.
#[tokio::test]
async fn damage_that_a_read_finds_stops_the_writer_and_is_noted_for_the_next_start() {
    let mut chat = Chat::with_ann_and_bob();
    chat.state.commit().await.unwrap();
    tamper(chat.directory.path(), "DROP TABLE messages");
    let message = crate::chat_state::StoredMessage {
        reply_to: None,
        id: "id",
        sender: "ann",
        sender_since: LogIndex(1),
        recipient: "bob",
        body: "text",
    };
    let failed = chat.reader.stored_message(message).await;
    assert!(failed.unwrap_err().is_damage());
    let stopped = chat.state.commit().await;
    assert!(
        matches!(stopped, Err(StateError::Lost { .. })),
        "{stopped:?}"
    );
    let Chat {
        directory,
        state,
        reader,
    } = chat;
    drop((state, reader));
    let (state, _reader) = ChatState::open(directory.path()).unwrap();
    assert!(state.lost().unwrap().contains("messages"));
}

#[test]
fn state_of_another_log_is_set_aside_at_once() {
    let mut chat = Chat::with_ann_and_bob();
    block_on(chat.state.commit()).unwrap();
    let old = chat.state.path();
    block_on(chat.state.begin_again("its chain value is not the log's")).unwrap();
    assert_eq!(chat.state.applied(), Position::ZERO);
    assert_eq!(chat.state.applied_chain(), None);
    assert!(!old.exists());
    chat.apply(&[create_user("eve", 1)]);
    chat.reopen();
    assert_eq!(chat.state.applied_index(), LogIndex(1));
    assert_eq!(chat.state.lost(), None);
}
