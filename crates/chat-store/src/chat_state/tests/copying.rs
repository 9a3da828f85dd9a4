//! Copies of sent messages: rules C1 to C10 of `docs/api.md`.

use super::*;
use crate::chat_state::LocatedMessage;
use crate::chat_state::copies::OWN;
use crate::chat_state::queries;
use crate::chat_state::retention::Retention;

/// The clean-up runs at every 5th entry, and a deletion is remembered for 10 commits and 10 seconds.
const SHORT: Retention = Retention {
    entries_between: 5,
    rows_max: 2,
    deleted_at_once_max: 2,
    commits: 10,
    seconds: 10,
};

pub(super) fn keep(
    token: u8,
    sender: &str,
    id: &str,
    recipient: &str,
    body: &str,
) -> proto::Command {
    with_options(message_of(token, sender, id, recipient, body), true, "")
}

fn with_options(message: proto::SendMessage, keep_copy: bool, reply_to: &str) -> proto::Command {
    let request = message.token_hash[0];
    let send = proto::SendWithOptions {
        message: Some(message),
        keep_copy,
        reply_to: reply_to.to_owned(),
        written_at: 999.5,
    };
    command(request, Operation::SendWithOptions(send))
}

fn anns() -> Option<proto::Session> {
    Some(proto::Session {
        token_hash: vec![1; 32].into(),
        username: "ann".to_owned(),
        credential: credential(1),
    })
}

fn ann_deletes(ids: &[&str]) -> proto::Command {
    let delete = proto::DeleteMessages {
        session: anns(),
        message_ids: ids.iter().map(ToString::to_string).collect(),
    };
    command(60, Operation::DeleteMessages(delete))
}

fn ann_reads(ids: &[&str]) -> proto::Command {
    let read = proto::ReadMessages {
        session: anns(),
        message_ids: ids.iter().map(ToString::to_string).collect(),
    };
    command(61, Operation::ReadMessages(read))
}

fn renews(count: u8) -> Vec<proto::Command> {
    let renew = |number| {
        let session = bobs();
        let operation = Operation::RenewSession(proto::RenewSession { session });
        proto::Command {
            time: 2000.0,
            ..command(number, operation)
        }
    };
    (0..count).map(renew).collect()
}

/// Both boxes of an account, oldest first: `>` a copy, `*` unread, with recipient and text.
async fn boxes(chat: &Chat, owner: &Session) -> String {
    let query = InboxQuery {
        limit: 100,
        directions: DirectionFilter::All,
        oldest_first: true,
        ..InboxQuery::default()
    };
    let page = chat.reader.inbox(owner, query).await.unwrap();
    let unread = chat.reader.unread_count(owner).await.unwrap();
    let shown = page.messages.iter().map(|message| {
        let mark = match message.direction {
            Direction::Sent { recipient_since } => format!(">{recipient_since}"),
            Direction::Received if message.read => String::new(),
            Direction::Received => "*".to_owned(),
        };
        let Message { id, body, .. } = message;
        format!("{mark}{id} {body}, ")
    });
    format!("{}{unread} unread", shown.collect::<String>())
}

/// Applies the commands to the tables of ann and bob, and compares what each of them has then.
async fn check(commands: Vec<proto::Command>, ann: &str, bob: &str) {
    let chat = Chat::committed(move |chat| {
        for command in commands {
            chat.apply(&[command]);
        }
    });
    let chat = chat.await;
    assert_eq!(boxes(&chat, &first_session("ann", 1)).await, ann, "ann's");
    assert_eq!(boxes(&chat, &first_session("bob", 2)).await, bob, "bob's");
    chat.drop_on_own_thread().await;
}

#[tokio::test]
async fn copy_is_in_the_box_of_its_sender_only_and_never_unread() {
    let all = vec![
        keep(1, "ann", "m1", "bob", "hello"),
        ann_sends("m2", "bob", "without"),
        send(2, "bob", "m3", "ann", "back"),
        ann_reads(&["m1"]),
    ];
    check(
        all,
        ">2m1 hello, *m3 back, 1 unread",
        "*m1 hello, *m2 without, 2 unread",
    )
    .await;
}

#[tokio::test]
async fn message_to_oneself_has_no_copy() {
    let own = vec![keep(1, "ann", "m1", "ann", "note")];
    check(own, "*m1 note, 1 unread", "0 unread").await;
}

#[tokio::test]
async fn deleting_the_message_or_the_copy_does_not_change_the_other() {
    let sent = || vec![keep(1, "ann", "m1", "bob", "hello")];
    let [mut by_bob, mut by_ann] = [sent(), sent()];
    by_bob.push(bob_deletes(&["m1"]));
    check(by_bob, ">2m1 hello, 0 unread", "0 unread").await;
    by_ann.push(ann_deletes(&["m1", "m1", "unknown"]));
    check(by_ann, "0 unread", "*m1 hello, 1 unread").await;
    let mut of_another = sent();
    of_another.push(bob_deletes(&["m1"]));
    of_another.push(keep(2, "bob", "m2", "ann", "back"));
    of_another.push(bob_deletes(&["m1"]));
    of_another.push(ann_deletes(&["m2"]));
    check(of_another, ">2m1 hello, 0 unread", ">1m2 back, 0 unread").await;
}

#[tokio::test]
async fn first_attempt_decides_whether_there_is_a_copy() {
    let twice = |first: proto::Command, second: proto::Command| vec![first, second];
    let plain = || ann_sends("m1", "bob", "hello");
    let kept = || keep(1, "ann", "m1", "bob", "hello");
    check(twice(plain(), kept()), "0 unread", "*m1 hello, 1 unread").await;
    let copied = ">2m1 hello, 0 unread";
    check(twice(kept(), plain()), copied, "*m1 hello, 1 unread").await;
    check(twice(kept(), kept()), copied, "*m1 hello, 1 unread").await;
    let deleted = vec![kept(), ann_deletes(&["m1"]), kept()];
    check(deleted, "0 unread", "*m1 hello, 1 unread").await;
}

#[test]
fn retry_gets_the_original_outcome_and_another_reply_to_is_another_message() {
    let mut chat = Chat::with_ann_and_bob();
    let reply = |to: &str| with_options(message_of(1, "ann", "m1", "bob", "hello"), true, to);
    chat.run(
        &[
            reply("m0"),
            reply("m0"),
            reply("m9"),
            ann_sends("m1", "bob", "hello"),
            keep(1, "ann", "m2", "unknown", "hello"),
        ],
        expect![[r#"
            3: sent m1 at 1002 as 3@1
            4: sent m1 at 1002 as 3@1
            5: DuplicateMessage
            6: DuplicateMessage
            7: RecipientNotFound
        "#]],
    );
    chat.apply(&[bob_deletes(&["m1"])]);
    chat.run(
        &[reply("m9")],
        expect![[r#"
            9: sent m1 at 1002 as 3@1
        "#]],
    );
}

/// C7: without that, the recipient could send another message under the id of the copy.
#[test]
fn id_is_remembered_as_long_as_the_copy() {
    let directory = tempfile::tempdir().unwrap();
    let (mut state, _) = ChatState::open_with(directory.path(), SHORT).unwrap();
    let mut apply = |commands: &[proto::Command]| {
        let first = state.applied_index().0 + 1;
        let entries: Vec<_> = commands
            .iter()
            .zip(first..)
            .map(|(c, i)| entry(i, c))
            .collect();
        let outcomes = block_on(state.apply(&entries)).unwrap().outcomes;
        outcomes
            .iter()
            .map(|outcome| show(outcome))
            .collect::<Vec<_>>()
    };
    apply(&[create_user("ann", 1), create_user("bob", 2)]);
    // Three copies whose messages are deleted, and as many messages without copies.
    for (kept, plain) in [("k1", "p1"), ("k2", "p2"), ("k3", "p3")] {
        apply(&[
            keep(1, "ann", kept, "bob", "x"),
            ann_sends(plain, "bob", "x"),
        ]);
    }
    apply(&[bob_deletes(&["k1", "p1", "k2", "p2", "k3", "p3"])]);
    apply(&renews(40));
    let again = |id| send(2, "bob", id, "ann", "another");
    let forgotten = ["p1", "p2", "p3"].map(again);
    for outcome in apply(&forgotten) {
        assert!(outcome.starts_with("sent p"), "{outcome}");
    }
    for outcome in apply(&["k1", "k2", "k3"].map(again)) {
        assert_eq!(outcome, "DuplicateMessage");
    }
    // The window begins at the deletion of the copy.
    assert_eq!(apply(&[ann_deletes(&["k1", "k2"])]), ["done"]);
    let retried = keep(1, "ann", "k1", "bob", "x");
    let outcome = apply(std::slice::from_ref(&retried)).remove(0);
    assert!(outcome.starts_with("sent k1 at 1002 as 3"), "{outcome}");
    let mut later = renews(40);
    later.iter_mut().for_each(|command| command.time = 3000.0);
    apply(&later);
    let last = apply(&["k1", "k2", "k3"].map(again));
    let is_new = last.iter().map(|outcome| outcome != "DuplicateMessage");
    assert_eq!(is_new.collect::<Vec<_>>(), [true, true, false], "{last:?}");
}

#[test]
fn deleted_account_leaves_no_copies_and_its_successor_sees_none() {
    let directory = tempfile::tempdir().unwrap();
    let (mut state, _) = ChatState::open_with(directory.path(), SHORT).unwrap();
    let entries = [
        create_user("ann", 1),
        create_user("bob", 2),
        keep(1, "ann", "m1", "bob", "one"),
        keep(1, "ann", "m2", "bob", "two"),
        send(2, "bob", "m3", "ann", "three"),
        keep(1, "ann", "m4", "bob", "four"),
        // Three of four rows are left for the clean-up.
        command(
            62,
            Operation::DeleteUser(proto::DeleteUser { session: anns() }),
        ),
        create_user("ann", 8),
        keep(8, "ann", "m5", "bob", "five"),
    ];
    let entries: Vec<_> = entries.iter().zip(1..).map(|(c, i)| entry(i, c)).collect();
    block_on(state.apply(&entries)).unwrap();
    block_on(state.commit()).unwrap();
    let copies = |directory: &Path| {
        let rows = all_rows(&database(directory));
        let rows = rows.lines().filter(|line| line.starts_with("copies "));
        rows.count()
    };
    assert!(copies(directory.path()) > 1);
    let rest: Vec<_> = renews(10)
        .iter()
        .zip(10..)
        .map(|(c, i)| entry(i, c))
        .collect();
    block_on(state.apply(&rest)).unwrap();
    block_on(state.commit()).unwrap();
    assert_eq!(copies(directory.path()), 1);
    let rows = all_rows(&database(directory.path()));
    assert!(
        rows.contains("five") && !rows.contains("erasures"),
        "{rows}"
    );
    let counts: Vec<_> = rows
        .lines()
        .filter(|row| row.starts_with("copy_counts"))
        .collect();
    assert_eq!(counts, ["copy_counts 8,1"]);
}

#[tokio::test]
async fn successor_of_a_name_has_only_its_own_copies() {
    let delete = command(
        62,
        Operation::DeleteUser(proto::DeleteUser { session: anns() }),
    );
    let chat = Chat::committed(move |chat| {
        chat.apply(&[keep(1, "ann", "m1", "bob", "old"), delete]);
        chat.apply(&[create_user("ann", 5), keep(5, "ann", "m2", "bob", "new")]);
        chat.apply(&[keep(2, "bob", "m3", "ann", "to the new one")]);
        block_on(chat.state.commit()).unwrap();
        // As the clean-up would find it later.
        tamper(
            chat.directory.path(),
            "INSERT INTO copies VALUES (3, 'ann', 2, 'old', NULL, NULL)",
        );
    });
    let chat = chat.await;
    let ann = Session {
        renew_from: 0,
        ..first_session("ann", 5)
    };
    let shown = boxes(&chat, &ann).await;
    assert_eq!(shown, ">2m2 new, *m3 to the new one, 1 unread");
    let counts = chat.reader.copy_count("ann").await.unwrap();
    assert_eq!((counts, chat.reader.copy_count("x").await.unwrap()), (1, 0));
    let shown = boxes(&chat, &first_session("bob", 2)).await;
    assert_eq!(shown, "*m1 old, *m2 new, >5m3 to the new one, 2 unread");
    chat.drop_on_own_thread().await;
}

#[tokio::test]
async fn pages_of_every_direction_are_in_log_order() {
    let chat = Chat::committed(|chat| {
        for number in 3..=12 {
            let id = format!("m{number}");
            chat.apply(&[match number % 3 {
                0 => keep(2, "bob", &id, "ann", "x"),
                _ => ann_sends(&id, "bob", "x"),
            }]);
        }
        chat.apply(&[bob_reads(&["m4", "m7"])]);
    });
    let chat = chat.await;
    let bob = first_session("bob", 2);
    for (directions, unread_only, expected) in [
        (DirectionFilter::Received, false, "4 5 7 8 10 11 "),
        (DirectionFilter::Sent, false, "3 6 9 12 "),
        (DirectionFilter::All, false, "3 4 5 6 7 8 9 10 11 12 "),
        (DirectionFilter::All, true, "5 8 10 11 "),
        (DirectionFilter::Sent, true, ""),
    ] {
        for (limit, oldest_first) in [(1, true), (3, true), (4, false), (100, false)] {
            let mut query = InboxQuery {
                limit,
                directions,
                unread_only,
                oldest_first,
                ..InboxQuery::default()
            };
            let mut found = Vec::new();
            loop {
                let page = chat.reader.inbox(&bob, query).await.unwrap();
                found.extend(page.messages.iter().map(|m| m.commit.index.0));
                query.after = page.next;
                if query.after.is_none() {
                    break;
                }
            }
            if !oldest_first {
                found.reverse();
            }
            let shown: String = found.iter().map(|index| format!("{index} ")).collect();
            assert_eq!(shown, expected, "{query:?}");
        }
    }
    chat.drop_on_own_thread().await;
}

#[tokio::test]
async fn messages_are_located_for_who_sent_or_received_them() {
    let chat = Chat::committed(|chat| {
        chat.apply(&[
            create_user("cat", 3),
            keep(1, "ann", "kept", "bob", "x"),
            ann_sends("plain", "bob", "x"),
            ann_sends("deleted", "bob", "x"),
            ann_sends("note", "ann", "x"),
            keep(1, "ann", "both", "bob", "x"),
            bob_deletes(&["deleted", "both"]),
        ]);
    });
    let chat = chat.await;
    let ids = [
        "note", "kept", "deleted", "plain", "kept", "unknown", "both",
    ]
    .map(str::to_owned);
    let mut shown = Vec::new();
    for (name, commit) in [("ann", 1), ("bob", 2), ("cat", 3)] {
        let owner = first_session(name, commit);
        let mut snapshot = chat.reader.begin().await.unwrap();
        let located = snapshot.located_messages(&owner, &ids).await.unwrap();
        shown.push(format!("{name}:"));
        shown.extend(located.into_iter().map(|message| {
            let LocatedMessage {
                id,
                direction,
                in_box,
                timestamp,
                written_at,
                commit,
            } = message;
            let written = written_at.unwrap_or_default();
            format!(
                "{id} {direction:?} {in_box} {written} {timestamp} {}",
                commit.index
            )
        }));
    }
    expect![[r#"
        ann:
        kept Sent { recipient_since: LogIndex(2) } true 999.5 1003 4
        plain Sent { recipient_since: LogIndex(0) } false 0 1003 5
        deleted Sent { recipient_since: LogIndex(0) } false 0 1003 6
        note Received true 0 1003 7
        both Sent { recipient_since: LogIndex(2) } true 999.5 1003 8
        bob:
        kept Received true 999.5 1003 4
        plain Received true 0 1003 5
        deleted Received false 0 1003 6
        both Received false 0 1003 8
        cat:"#]]
    .assert_eq(&shown.join("\n"));
    chat.drop_on_own_thread().await;
}

/// A message without a copy runs the same statements whether or not there are copies.
#[test]
fn message_without_a_copy_costs_the_same_beside_copies() {
    let [without, beside] = [false, true].map(|copies| {
        let mut chat = Chat::with_ann_and_bob();
        let earlier: Vec<_> = (0..600)
            .map(|number| {
                let id = format!("e{number}");
                if copies {
                    keep(1, "ann", &id, "bob", "hello")
                } else {
                    ann_sends(&id, "bob", "hello")
                }
            })
            .collect();
        chat.apply(&earlier);
        block_on(chat.state.commit()).unwrap();
        let steps = Arc::new(std::sync::atomic::AtomicU64::new(0));
        block_on(chat.state.database.count_steps(Arc::clone(&steps))).unwrap();
        let sends: Vec<_> = (0..64)
            .map(|number| ann_sends(&format!("m{number}"), "bob", "hello"))
            .collect();
        chat.apply(&sends);
        block_on(chat.state.commit()).unwrap();
        steps.load(std::sync::atomic::Ordering::Relaxed)
    });
    assert!(without > 1000, "{without}");
    assert_eq!(beside, without);
}

#[test]
fn copies_are_found_without_scanning() {
    let mut chat = Chat::with_ann_and_bob();
    block_on(chat.state.commit()).unwrap();
    let own = plan(chat.directory.path(), &format!("{OWN}(?,?,?,?)"));
    assert!(
        own.contains("SEARCH messages USING COVERING INDEX"),
        "{own}"
    );
    assert!(
        own.contains("SEARCH copies USING INTEGER PRIMARY KEY"),
        "{own}"
    );
    let count = plan(chat.directory.path(), queries::COPY_COUNT);
    assert!(!count.contains("SCAN"), "{count}");
}
