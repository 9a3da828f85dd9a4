//! The outcomes of commands, and of their retries.

use super::*;
use futures::executor::block_on;

#[tokio::test]
async fn rehashed_password_replaces_only_the_hash() {
    let mut chat = Chat::with_ann_and_bob();
    let session = proto::CreateSession {
        username: "ann".to_owned(),
        credential: credential(1),
        token_hash: vec![9; 32].into(),
        lifetime: Some(LIFETIME),
        password_hash: "$rehashed".to_owned(),
    };
    let of_bob = proto::CreateSession {
        username: "bob".to_owned(),
        // Of another account or password: the command is invalid, and so is its hash.
        credential: credential(1),
        token_hash: vec![8; 32].into(),
        ..session.clone()
    };
    chat.apply(&[
        command(9, Operation::CreateSession(session)),
        command(8, Operation::CreateSession(of_bob)),
    ]);
    chat.state.commit().await.unwrap();
    let ann = chat.reader.account("ann").await.unwrap().unwrap();
    let bob = chat.reader.account("bob").await.unwrap().unwrap();
    let old_session = chat.reader.session(&[1; 32]).await.unwrap();
    assert_eq!(ann.password_hash, "$rehashed");
    assert_eq!(ann.credential.version, LogIndex(1));
    assert_eq!(bob.password_hash, "$hash of bob");
    assert!(old_session.is_some(), "the password is the same");
}

#[tokio::test]
async fn most_common_argon2_parameters_are_found() {
    let mut chat = Chat::with_ann_and_bob();
    chat.state.commit().await.unwrap();
    let params = chat.reader.common_argon2_params(10).await.unwrap();
    assert_eq!(params, None, "their passwords are not hashes");
    let create = |username: &str, number: u8, params: &str| {
        let user = proto::CreateUser {
            username: username.to_owned(),
            password_hash: format!("{params}$salt$hash"),
            token_hash: vec![number; 32].into(),
            lifetime: Some(LIFETIME),
        };
        command(number, Operation::CreateUser(user))
    };
    let (old, new) = ("$argon2id$v=19$m=1,t=1,p=1", "$argon2id$v=19$m=2,t=1,p=1");
    chat.apply(&[
        create("carl", 3, old),
        create("dora", 4, new),
        create("emil", 5, new),
    ]);
    chat.state.commit().await.unwrap();
    let params = chat.reader.common_argon2_params(10).await.unwrap();
    assert_eq!(params.as_deref(), Some(new));
    let first_three = chat.reader.common_argon2_params(3).await.unwrap();
    assert_eq!(first_three.as_deref(), Some(old));
}

#[test]
fn username_belongs_to_the_request_that_created_it() {
    let mut chat = Chat::with_ann_and_bob();
    chat.run(
        &[
            create_user("ann", 1),
            create_user("ann", 3),
            create_user("Ann", 4),
        ],
        expect![[r#"
            3: AlreadyCreatedByThisRequest
            4: UsernameTaken
            5: created 5.5
        "#]],
    );
    chat.reopen();
    chat.run(
        &[create_user("ann", 1), create_user("bob", 1)],
        expect![[r#"
        6: AlreadyCreatedByThisRequest
        7: UsernameTaken
    "#]],
    );
}

#[test]
fn session_begins_only_for_the_credential_that_was_checked() {
    let mut chat = Chat::with_ann_and_bob();
    chat.run(
        &[
            create_session("ann", 1, 10),
            create_session("ann", 1, 10),
            create_session("ann", 2, 11),
            create_session("eve", 1, 11),
            create_session("bob", 2, 10),
        ],
        expect![[r#"
            3: session, 0 unread
            4: session, 0 unread
            5: Unauthenticated
            6: Unauthenticated
            7: Unauthenticated
        "#]],
    );
}

#[test]
fn new_session_counts_messages_sent_before_it_in_its_batch() {
    let mut chat = Chat::with_ann_and_bob();
    chat.run(
        &[
            ann_sends("m1", "bob", "hello"),
            create_session("bob", 2, 10),
            ann_sends("m2", "bob", "hello"),
        ],
        expect![[r#"
            3: sent m1 at 1002 as 3@1
            4: session, 1 unread
            5: sent m2 at 1010 as 5@1
        "#]],
    );
}

#[test]
fn session_sends_only_for_its_own_account() {
    let mut chat = Chat::with_ann_and_bob();
    chat.run(
        &[
            send(2, "bob", "m1", "ann", "mine"),
            send(1, "bob", "m2", "ann", "another's token"),
            send(9, "bob", "m3", "ann", "no such token"),
            send(2, "eve", "m4", "ann", "no such account"),
        ],
        expect![[r#"
            3: sent m1 at 1002 as 3@1
            4: Unauthenticated
            5: Unauthenticated
            6: Unauthenticated
        "#]],
    );
}

#[test]
fn retried_send_gets_the_original_outcome_and_a_different_message_is_rejected() {
    let retries = [
        ann_sends("m1", "bob", "hello"),
        ann_sends("m1", "bob", "another text"),
        ann_sends("m1", "ann", "hello"),
        send(2, "bob", "m1", "bob", "hello"),
        ann_sends("m1", "unknown", "hello"),
    ];
    let mut chat = Chat::with_ann_and_bob();
    // In the batch of the original.
    let mut batch = vec![ann_sends("m1", "bob", "hello")];
    batch.extend(retries.clone());
    chat.run(
        &batch,
        expect![[r#"
        3: sent m1 at 1002 as 3@1
        4: sent m1 at 1002 as 3@1
        5: DuplicateMessage
        6: DuplicateMessage
        7: DuplicateMessage
        8: DuplicateMessage
    "#]],
    );
    // In a later batch, between new messages.
    let mut batch = vec![ann_sends("m2", "bob", "new")];
    batch.extend(retries.clone());
    batch.push(ann_sends("m3", "bob", "new"));
    chat.run(
        &batch,
        expect![[r#"
        9: sent m2 at 1002 as 9@1
        10: sent m1 at 1002 as 3@1
        11: DuplicateMessage
        12: DuplicateMessage
        13: DuplicateMessage
        14: DuplicateMessage
        15: sent m3 at 1002 as 15@1
    "#]],
    );
    // After a restart.
    chat.reopen();
    chat.run(
        &retries,
        expect![[r#"
        16: sent m1 at 1002 as 3@1
        17: DuplicateMessage
        18: DuplicateMessage
        19: DuplicateMessage
        20: DuplicateMessage
    "#]],
    );
}

#[test]
fn retry_gets_the_original_outcome_after_recipient_or_text_is_deleted() {
    let mut chat = Chat::with_ann_and_bob();
    chat.apply(&[
        ann_sends("m1", "bob", "hello"),
        ann_sends("m2", "ann", "to myself"),
    ]);
    block_on(chat.state.commit()).unwrap();
    tamper(
        chat.directory.path(),
        "DELETE FROM users WHERE username = 'bob'; \
         UPDATE messages SET deleted = 1, body = '' WHERE id = 'm2'",
    );
    chat.reopen();
    chat.run(
        &[
            ann_sends("m1", "bob", "hello"),
            ann_sends("m2", "ann", "to myself"),
            ann_sends("m3", "bob", "hello"),
        ],
        expect![[r#"
            5: sent m1 at 1002 as 3@1
            6: sent m2 at 1002 as 4@1
            7: RecipientNotFound
        "#]],
    );
}

#[test]
fn recipient_created_in_the_same_batch_gets_the_message() {
    let mut chat = Chat::with_ann_and_bob();
    chat.run(
        &[
            ann_sends("m1", "cat", "x"),
            create_user("cat", 3),
            ann_sends("m1", "cat", "x"),
        ],
        expect![[r#"
            3: RecipientNotFound
            4: created 4.4
            5: sent m1 at 1003 as 5@1
        "#]],
    );
}

#[test]
fn timestamps_never_decrease() {
    let mut chat = Chat::with_ann_and_bob();
    let at = |time, id| proto::Command {
        time,
        ..ann_sends(id, "bob", "x")
    };
    chat.apply(&[at(5000.25, "m1"), at(17.0, "m2")]);
    chat.reopen();
    chat.run(
        &[at(-0.0, "m3"), at(5000.5, "m4")],
        expect![[r#"
        5: sent m3 at 5000.25 as 5@1
        6: sent m4 at 5000.5 as 6@1
    "#]],
    );
}

#[test]
fn entry_without_a_command_only_advances_the_applied_index() {
    let mut chat = Chat::new();
    let empty = |index| CommittedEntry {
        index: LogIndex(index),
        term: Term(4),
        chain: chain(index),
        command: None,
    };
    let applied = block_on(chat.state.apply(&[empty(1), empty(2)])).unwrap();
    assert_eq!(applied.outcomes, [Bytes::new(), Bytes::new()]);
    assert_eq!(chat.state.applied(), Position::new(2, 4));
    chat.reopen();
    assert_eq!(chat.state.applied(), Position::new(2, 4));
}

#[test]
fn invalid_command_is_an_error_and_poisons_the_tables() {
    let user = create_user("ann", 1);
    let check = |bytes: Vec<u8>, expected: Expect| {
        let mut chat = Chat::new();
        let entry = |index, command: &[u8]| CommittedEntry {
            index: LogIndex(index),
            term: Term(1),
            chain: chain(index),
            command: Some(Bytes::copy_from_slice(command)),
        };
        let entries = [entry(1, &user.encode_to_vec()), entry(2, &bytes)];
        let error = block_on(chat.state.apply(&entries)).unwrap_err();
        let StateError::InvalidCommand { index, source } = error else {
            panic!("{error:?}");
        };
        assert_eq!(index, LogIndex(2));
        expected.assert_eq(&source.to_string());
        assert!(matches!(
            block_on(chat.state.apply(&entries)),
            Err(StateError::Poisoned)
        ));
        assert!(matches!(
            block_on(chat.state.commit()),
            Err(StateError::Poisoned)
        ));
    };
    check(vec![0xff], expect!["it cannot be decoded"]);
    check(Vec::new(), expect!["its operation is unknown"]);
    // Field 15, which no operation has yet.
    check(vec![0x7a, 0], expect!["its operation is unknown"]);
    let mut other = user.clone();
    other.request_id = vec![1; 15].into();
    check(other.encode_to_vec(), expect!["request_id has 15 bytes"]);
    other = proto::Command {
        time: f64::NAN,
        ..user.clone()
    };
    check(other.encode_to_vec(), expect!["its time is not finite"]);
    other.operation = Some(Operation::SendMessage(proto::SendMessage::default()));
    other.time = 0.0;
    check(other.encode_to_vec(), expect!["token_hash has 0 bytes"]);
    let no_credential = proto::CreateSession {
        token_hash: vec![1; 32].into(),
        ..Default::default()
    };
    other.operation = Some(Operation::CreateSession(no_credential));
    check(other.encode_to_vec(), expect!["it has no credential"]);
}

#[test]
#[should_panic(expected = "entries are applied in order")]
fn skipped_entry_panics() {
    let mut chat = Chat::new();
    block_on(chat.state.apply(&[entry(2, &create_user("ann", 1))])).ok();
}

#[test]
fn full_statement_with_retries_sets_each_outcome() {
    let mut chat = Chat::with_ann_and_bob();
    let sends: Vec<_> = (0..1100)
        .map(|number| ann_sends(&format!("m{number}"), "bob", "x"))
        .collect();
    chat.apply(&sends[500..520]);
    let outcomes = chat.apply(&sends);
    let shown = |number: usize| show(&outcomes[number]);
    assert_eq!(shown(0), "sent m0 at 1002 as 23@1");
    assert_eq!(shown(499), "sent m499 at 1002 as 522@1");
    assert_eq!(shown(500), "sent m500 at 1002 as 3@1");
    assert_eq!(shown(519), "sent m519 at 1002 as 22@1");
    assert_eq!(shown(1099), "sent m1099 at 1002 as 1122@1");
}

#[test]
fn uncommitted_entries_are_applied_again_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let entries = [
        entry(1, &create_user("ann", 1)),
        entry(2, &ann_sends("m1", "ann", "x")),
        entry(3, &ann_sends("m2", "ann", "x")),
    ];
    let (mut state, _) = ChatState::open(directory.path()).unwrap();
    block_on(state.apply(&entries[..1])).unwrap();
    block_on(state.commit()).unwrap();
    let first = block_on(state.apply(&entries[1..])).unwrap();
    drop(state);
    let (mut state, _) = ChatState::open(directory.path()).unwrap();
    assert_eq!(state.applied_index(), LogIndex(1));
    assert_eq!(state.visible_index(), LogIndex(1));
    assert_eq!(block_on(state.apply(&entries[1..])).unwrap(), first);
}

#[test]
fn long_transaction_is_committed_automatically() {
    let mut chat = Chat::new();
    let empty = |index| CommittedEntry {
        index: LogIndex(index),
        term: Term(1),
        chain: chain(index),
        command: None,
    };
    let entries: Vec<_> = (1..=2048).map(empty).collect();
    block_on(chat.state.apply(&entries[..2047])).unwrap();
    assert_eq!(chat.state.visible_index(), LogIndex(0));
    block_on(chat.state.apply(&entries[2047..])).unwrap();
    assert_eq!(chat.state.visible_index(), LogIndex(2048));
}

#[test]
fn stored_message_is_reported_once() {
    let mut chat = Chat::with_ann_and_bob();
    let commands = [
        ann_sends("m1", "bob", "hello"),
        ann_sends("m1", "bob", "hello"),
        create_session("bob", 2, 10),
        ann_sends("m2", "unknown", "hello"),
        ann_sends("m3", "ann", "to myself"),
    ];
    let entries: Vec<_> = commands.iter().zip(3..).map(|(c, i)| entry(i, c)).collect();
    let events = block_on(chat.state.apply(&entries)).unwrap().events;
    let message = |id: &str, recipient: &str, body: &str, index| Message {
        id: id.to_owned(),
        sender: "ann".to_owned(),
        sender_since: LogIndex(1),
        recipient: recipient.to_owned(),
        direction: Direction::Received,
        body: body.to_owned(),
        reply_to: None,
        written_at: None,
        timestamp: if index == 3 { 1002.0 } else { 1010.0 },
        read: false,
        commit: Position::new(index, 1),
    };
    let stored = |message: Message| Event {
        commit: message.commit,
        change: Change::MessageStored(message),
    };
    let expected = [
        stored(message("m1", "bob", "hello", 3)),
        stored(message("m3", "ann", "to myself", 7)),
    ];
    assert_eq!(events, expected);
}
