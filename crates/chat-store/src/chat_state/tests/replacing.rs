//! Snapshots of the tables, and tables that are replaced by one (R24).

use std::io;

use super::*;
use crate::chat_state::remains::Remains;
use crate::directory::wal_of;
use chat_consensus::{ClusterId, LogBase, Membership, NodeId, StorageId, Voter};
use futures::executor::block_on;

/// The base behind a snapshot at this index.
pub(super) fn base(index: u64) -> LogBase {
    let voter = Voter {
        node: NodeId(1),
        storage: StorageId(1),
    };
    LogBase {
        position: Position::new(index, 1),
        chain: chain(index),
        membership: Membership::of_voters(ClusterId(1), vec![voter]),
    }
}

fn write(chat: &mut Chat, path: &Path) {
    let writer = block_on(chat.state.snapshot()).unwrap();
    writer.write(path, &mut |_bytes| Ok(())).unwrap();
}

/// Rows of the tables that readers see.
fn visible_rows(chat: &mut Chat) -> String {
    block_on(chat.state.commit()).unwrap();
    all_rows(&chat.state.path())
}

fn messages(numbers: std::ops::Range<u32>) -> Vec<proto::Command> {
    numbers
        .map(|number| ann_sends(&format!("id {number}"), "bob", &"text ".repeat(50)))
        .collect()
}

#[test]
fn snapshot_has_the_state_at_its_position_while_entries_are_applied() {
    let mut chat = Chat::with_ann_and_bob();
    chat.apply(&messages(0..15_000));
    let expected = visible_rows(&mut chat);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    chat.apply(&[ann_sends("not committed yet", "bob", "text")]);
    let writer = block_on(chat.state.snapshot()).unwrap();
    assert_eq!(
        (writer.position(), writer.chain()),
        (Position::new(15_003, 1), chain(15_003))
    );
    let with_last = visible_rows(&mut chat);
    assert_ne!(with_last, expected);
    // Between each two pieces of the copy something is applied, committed and copied.
    let (mut pieces, mut bytes) = (0, 0);
    writer
        .write(&path, &mut |more| {
            chat.apply(&messages(20_000 + pieces * 100..20_100 + pieces * 100));
            chat.apply(&[bob_deletes(&[&format!("id {pieces}")])]);
            block_on(chat.state.commit()).unwrap();
            pieces += 1;
            bytes += more;
            Ok(())
        })
        .unwrap();
    assert!(pieces > 2, "{pieces}");
    let length = usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap();
    assert!(length - bytes < 2 << 20, "{length} {bytes}");
    assert!(!wal_of(&path).exists());
    assert_eq!(all_rows(&path), with_last);
    assert_ne!(visible_rows(&mut chat), with_last);
}

#[test]
fn snapshot_ends_when_its_pace_does_and_the_tables_go_on() {
    let mut chat = Chat::with_ann_and_bob();
    chat.apply(&messages(0..15_000));
    let folder = tempfile::tempdir().unwrap();
    let writer = block_on(chat.state.snapshot()).unwrap();
    let mut calls = 0;
    let ended = writer.write(&folder.path().join("a"), &mut |_bytes| {
        calls += 1;
        Err(io::Error::other("no more"))
    });
    assert!(matches!(ended, Err(StateError::Open(_))), "{ended:?}");
    assert_eq!(calls, 1);
    chat.apply(&messages(15_000..15_001));
    write(&mut chat, &folder.path().join("b"));
    let taken = all_rows(&folder.path().join("b"));
    assert_eq!(taken, visible_rows(&mut chat));
}

#[test]
fn empty_tables_have_no_snapshot() {
    let mut chat = Chat::new();
    let refused = block_on(chat.state.snapshot());
    assert!(
        matches!(refused, Err(StateError::ChainUnknown)),
        "{refused:?}"
    );
    chat.apply(&[create_user("ann", 1)]);
}

/// Whether any file in `directory` has these bytes; which.
fn files_with(directory: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes));
        } else if std::fs::read(&path)
            .unwrap()
            .windows(bytes.len())
            .any(|window| window == bytes)
        {
            found.push(path);
        }
    }
    found
}

#[test]
fn deleted_texts_and_former_hashes_are_in_no_file_after_a_snapshot() {
    let mut chat = Chat::with_ann_and_bob();
    let mut random = fastrand::Rng::with_seed(5);
    let mut ids: Vec<String> = Vec::new();
    for round in 0..20 {
        for _ in 0..40 {
            let id = format!("{:x}", random.u64(..));
            let body = format!("SECRET {}", "x".repeat(random.usize(..3000)));
            chat.apply(&[ann_sends(&id, "bob", &body)]);
            ids.push(id);
        }
        for number in 0..10 {
            chat.apply(&[create_user(
                &format!("{:x}", random.u64(..)),
                100 + round * 5 + number % 5,
            )]);
        }
        random.shuffle(&mut ids);
        let gone: Vec<_> = ids.drain(..ids.len() / 2).collect();
        let gone: Vec<_> = gone.iter().map(String::as_str).collect();
        chat.apply(&[bob_deletes(&gone)]);
        if round % 3 == 0 {
            block_on(chat.state.commit()).unwrap();
        }
    }
    let gone: Vec<_> = ids.iter().map(String::as_str).collect();
    chat.apply(&[bob_deletes(&gone)]);
    let password = proto::ChangePassword {
        session: Some(proto::Session {
            token_hash: vec![1; 32].into(),
            username: "ann".to_owned(),
            credential: credential(1),
        }),
        password_hash: "$new hash".to_owned(),
        token_hash: vec![61; 32].into(),
        lifetime: Some(LIFETIME),
    };
    let outcomes = chat.apply(&[command(60, Operation::ChangePassword(password))]);
    assert_eq!(show(&outcomes[0]), "done");
    let data = chat.directory.path().to_owned();
    block_on(chat.state.commit()).unwrap();
    assert!(!files_with(&data, b"SECRET").is_empty());
    let folder = tempfile::tempdir().unwrap();
    write(&mut chat, &folder.path().join("snapshot"));
    for secret in [&b"SECRET"[..], b"$hash of ann"] {
        assert_eq!(files_with(&data, secret), Vec::<PathBuf>::new());
        assert_eq!(files_with(folder.path(), secret), Vec::<PathBuf>::new());
    }
    assert!(!files_with(&data, b"$new hash").is_empty());
}

#[tokio::test]
async fn installed_snapshot_replaces_the_tables_for_writer_and_readers() {
    let (mut chat, path, expected, _folder) = on_own_thread(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        let mut source = Chat::with_ann_and_bob();
        source.apply(&messages(0..50));
        write(&mut source, &path);
        let expected = all_rows(&path);
        let mut chat = Chat::with_ann_and_bob();
        chat.apply(&[ann_sends("other", "bob", "text")]);
        block_on(chat.state.commit()).unwrap();
        (chat, path, expected, folder)
    })
    .await;
    let old = chat.state.path();
    let mut begun = chat.reader.begin().await.unwrap();
    chat.apply_later(&[ann_sends("not committed", "bob", "text")])
        .await;
    chat.state.install(&path, &base(52)).await.unwrap();
    assert_eq!(
        (chat.state.applied(), chat.state.applied_chain()),
        (Position::new(52, 1), Some(chain(52)))
    );
    assert_eq!(chat.state.visible_index(), LogIndex(52));
    assert_eq!(begun.applied_index().await.unwrap(), LogIndex(3));
    assert_eq!(chat.reader.applied_index().await.unwrap(), LogIndex(52));
    let bob = first_session("bob", 2);
    assert_eq!(chat.reader.unread_count(&bob).await.unwrap(), 50);
    assert_eq!(begun.unread_count(&bob).await.unwrap(), 1);
    drop(begun);
    on_own_thread(move || {
        assert!(!old.exists());
        assert!(path.exists());
        assert_eq!(visible_rows(&mut chat), expected);
        // Applying goes on there, and a restart finds the new tables.
        chat.apply(&[ann_sends("next", "bob", "text")]);
        let rows = visible_rows(&mut chat);
        chat.reopen();
        assert_eq!(chat.state.lost(), None);
        assert_eq!(chat.state.applied_index(), LogIndex(53));
        assert_eq!(visible_rows(&mut chat), rows);
        assert_eq!(
            std::fs::read_dir(chat.directory.path().join("state"))
                .unwrap()
                .count(),
            2,
            "the tables and their name"
        );
    })
    .await;
}

#[test]
fn what_is_not_the_snapshot_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let mut chat = Chat::with_ann_and_bob();
    chat.apply(&messages(0..100));
    write(&mut chat, &path);
    chat.apply(&messages(100..101));
    let rows = visible_rows(&mut chat);
    let good = std::fs::read(&path).unwrap();
    let check = |chat: &mut Chat, bytes: &[u8], base: &LogBase, expected: &str| {
        std::fs::write(&path, bytes).unwrap();
        let refused = block_on(chat.state.install(&path, base)).unwrap_err();
        assert!(
            matches!(refused, StateError::WrongSnapshot { .. }),
            "{refused:?}"
        );
        assert!(refused.to_string().contains(expected), "{refused}");
        assert_eq!(visible_rows(chat), rows);
    };
    let at = base(102);
    check(&mut chat, &good, &base(101), "it is at 102@1");
    let mut other = base(102);
    other.chain = chain(7);
    check(&mut chat, &good, &other, "it belongs to another log");
    check(&mut chat, &good[..good.len() / 2], &at, "");
    check(&mut chat, b"", &at, "no such table");
    check(&mut chat, &[7; 9000], &at, "not a database");
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&6_u32.to_be_bytes());
    check(&mut chat, &newer, &at, "its format is 6");
    let mut damaged = good.clone();
    for page in 1..good.len() / 4096 {
        damaged[page * 4096..page * 4096 + 8].fill(0xff);
    }
    check(&mut chat, &damaged, &at, "");
    std::fs::write(&path, &good).unwrap();
    tamper_file(
        &path,
        "CREATE TRIGGER more AFTER INSERT ON messages BEGIN SELECT 1; END",
    );
    let with_trigger = std::fs::read(&path).unwrap();
    check(&mut chat, &with_trigger, &at, "it has other tables");
    std::fs::write(&path, &good).unwrap();
    block_on(chat.state.install(&path, &at)).unwrap();
    assert_eq!(chat.state.applied_index(), LogIndex(102));
}

/// A crash is a copy of the directory as it is between two steps.
#[test]
fn crash_while_installing_leaves_the_old_tables_or_the_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let mut chat = Chat::with_ann_and_bob();
    write(&mut chat, &path);
    let new = all_rows(&path);
    chat.apply(&messages(0..10));
    let old = visible_rows(&mut chat);
    let (steps, copies) = Steps::recorded();
    chat.state.directories.steps = steps;
    block_on(chat.state.install(&path, &base(2))).unwrap();
    let mut found = Vec::new();
    for copy in copies.lock().unwrap().iter() {
        // Twice: what the first start cleans up is not needed by the second.
        for _ in 0..2 {
            let (state, reader) = ChatState::open(copy.path()).unwrap();
            assert_eq!(state.lost(), None);
            drop(reader);
            state.close().unwrap();
            let rows = all_rows(&database(copy.path()));
            assert!(rows == old || rows == new);
            found.push(rows == new);
            let states = std::fs::read_dir(copy.path().join("state")).unwrap();
            assert_eq!(states.count(), 2);
        }
    }
    assert!(found.len() >= 12, "{found:?}");
    assert!(found.is_sorted(), "{found:?}");
    assert_eq!((found[0], found[found.len() - 1]), (false, true));
}

/// When SQLite distributes the rows of a page anew it does not overwrite where they were (`remains.rs`).
/// Returns how many pages are overwritten now.
fn overwrite_remains(chat: &mut Chat) -> usize {
    let state = &mut chat.state;
    state.remains = Remains::default();
    let (database, checkpoints) = (&mut state.database, &state.checkpoints);
    let overwritten = block_on(state.remains.end_pass(database, checkpoints)).unwrap();
    let applied = state.applied().index;
    block_on(state.checkpoints.truncate_wal(&mut state.database, applied)).unwrap();
    overwritten
}

/// Accounts with random names, so that the pages of their table are split in all ways.
#[test]
fn former_hashes_of_many_accounts_are_in_no_file() {
    let mut chat = Chat::new();
    let mut random = fastrand::Rng::with_seed(6);
    let token = |number: u64| Bytes::from([[1; 24].as_slice(), &number.to_be_bytes()].concat());
    let with_id = |operation, number: u64| proto::Command {
        request_id: u128::from(number).to_be_bytes().to_vec().into(),
        ..command(1, operation)
    };
    let mut accounts: Vec<(u64, String)> = Vec::new();
    for number in 1..=1500_u64 {
        // Some change their password before others sign up.
        if number % 3 == 0 {
            let (created, username) = accounts.swap_remove(random.usize(..accounts.len()));
            let change = proto::ChangePassword {
                session: Some(proto::Session {
                    token_hash: token(created),
                    username,
                    credential: credential(created),
                }),
                password_hash: "new".repeat(random.usize(1..60)),
                token_hash: token(number),
                lifetime: Some(LIFETIME),
            };
            let outcomes = chat.apply(&[with_id(Operation::ChangePassword(change), number)]);
            assert_eq!(show(&outcomes[0]), "done");
            continue;
        }
        let username = format!("{:x}", random.u64(..));
        let user = proto::CreateUser {
            username: username.clone(),
            password_hash: format!("SECRET {}", "x".repeat(random.usize(..150))),
            token_hash: token(number),
            lifetime: Some(LIFETIME),
        };
        chat.apply(&[with_id(Operation::CreateUser(user), number)]);
        accounts.push((number, username));
        if number % 100 == 0 {
            block_on(chat.state.commit()).unwrap();
        }
    }
    for (number, (created, username)) in (1501..).zip(accounts) {
        let end = proto::DeleteUser {
            session: Some(proto::Session {
                token_hash: token(created),
                username,
                credential: credential(created),
            }),
        };
        let outcomes = chat.apply(&[with_id(Operation::DeleteUser(end), number)]);
        assert_eq!(show(&outcomes[0]), "done");
    }
    let data = chat.directory.path().to_owned();
    let folder = tempfile::tempdir().unwrap();
    write(&mut chat, &folder.path().join("snapshot"));
    let copies = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        bytes
            .windows(6)
            .filter(|window| window == b"SECRET")
            .count()
    };
    let snapshot = folder.path().join("snapshot");
    assert_eq!(copies(&snapshot), 0);
    let overwritten = overwrite_remains(&mut chat);
    assert!(overwritten > 0);
    assert_eq!(files_with(&data, b"SECRET"), Vec::<PathBuf>::new());
    // An installed snapshot is clean.
    let applied = chat.state.applied_index().0;
    block_on(chat.state.install(&snapshot, &base(applied))).unwrap();
    assert_eq!(files_with(&data, b"SECRET"), Vec::<PathBuf>::new());
}
