//! Pages, events, reading, deleting, notifying, searching.

use std::time::Duration;

use super::{Window, id, page, received, sent, stored, up};
use crate::model::action::UserAction;
use crate::model::command::Command;
use crate::model::event::{BackendEvent, InboxPage, Link, StoredInbox};
use crate::model::failure::Failure;
use crate::model::message::{CopyPlace, StoredMessage};
use crate::model::names::{LogIndex, Name};
use crate::model::navigation::{Screen, Step};
use crate::model::preferences::{KeptMessages, NotificationChoice};
use crate::model::{InboxFreshness, ScrollTarget};

/// How many received messages are shown.
fn received_count(window: &Window) -> usize {
    let conversations = window.model.conversations.values();
    let messages = conversations.flat_map(|one| &one.messages);
    messages.filter(|message| !message.is_own()).count()
}

fn open(window: &mut Window, peer: &str) {
    window.act(UserAction::OpenConversation(Name::new(peer)));
}

#[test]
fn conversations_are_sorted_latest_first_with_unread_counts() {
    let mut window = Window::of_alice();
    window.receive(page(
        vec![
            received(9, "bob", false),
            received(7, "carol", false),
            received(3, "bob", true),
        ],
        false,
    ));
    let order: Vec<&str> = window.model.order.iter().map(Name::as_str).collect();
    assert_eq!(order, ["bob", "carol"]);
    assert_eq!(window.model.unread, 2);
    window.receive(BackendEvent::Arrived(received(11, "carol", false)));
    let order: Vec<&str> = window.model.order.iter().map(Name::as_str).collect();
    assert_eq!(order, ["carol", "bob"]);
    window.act(UserAction::StepConversation(Step::Next));
    assert_eq!(window.model.open, Some(Name::new("carol")));
    window.act(UserAction::StepUnread(Step::Previous));
    assert_eq!(window.model.open, Some(Name::new("bob")));
}

#[test]
fn unread_line_stays_until_the_conversation_is_left() {
    let mut window = Window::of_alice();
    window.receive(page(
        vec![received(9, "bob", false), received(3, "bob", true)],
        false,
    ));
    open(&mut window, "bob");
    let expected = ["— 2026-03-02", "< m3 Single", "— unread", "< new m9 Single"];
    assert_eq!(window.lines("bob"), expected);
    let commands = window.act(UserAction::Seen(vec![id(9), id(3)]));
    assert_eq!(commands, [Command::MarkRead(vec![id(9)])]);
    assert_eq!(window.act(UserAction::Seen(vec![id(9)])), []);
    assert_eq!(window.lines("bob")[2], "— unread");
    assert_eq!(window.model.unread, 0);
    open(&mut window, "carol");
    let expected = ["— 2026-03-02", "< m3 First", "< m9 Last"];
    assert_eq!(window.lines("bob"), expected);
}

#[test]
fn deletion_is_carried_out_unless_undone() {
    let mut window = Window::of_alice();
    window.receive(page(
        vec![received(9, "bob", false), received(3, "bob", true)],
        false,
    ));
    let commands = window.act(UserAction::Delete(vec![id(9)]));
    assert_eq!(commands, [], "there is time to undo it");
    assert_eq!(window.lines("bob").len(), 2);
    assert_eq!(window.model.unread, 0);
    let notice = window.model.deletions[0].notice;
    window.act(UserAction::UndoDelete(notice));
    assert_eq!(window.lines("bob").len(), 3);
    assert!(window.model.notices.is_empty());
    window.act(UserAction::Delete(vec![id(9)]));
    // What comes in meanwhile does not bring it back, and is not lost on it either.
    window.receive(page(
        vec![received(9, "bob", true), received(3, "bob", true)],
        false,
    ));
    assert_eq!(window.lines("bob").len(), 2);
    assert_eq!(window.wait(5_999), []);
    assert_eq!(window.wait(1), [Command::Delete(vec![id(9)])]);
    window.receive(BackendEvent::Deleted(vec![id(9)]));
    window.receive(BackendEvent::FetchBegan);
    window.receive(page(vec![received(9, "bob", true)], false));
    assert_eq!(window.lines("bob"), Vec::<String>::new(), "gone is gone");
}

#[test]
fn leaving_the_page_or_closing_the_window_completes_a_deletion() {
    for last in [UserAction::Show(Screen::People), UserAction::Quit] {
        let mut window = Window::of_alice();
        window.receive(page(vec![received(9, "bob", true)], false));
        window.act(UserAction::ToggleSelected(id(9)));
        window.act(UserAction::DeleteSelected);
        let commands = window.act(last);
        assert_eq!(commands[0], Command::Delete(vec![id(9)]));
        assert!(window.model.deletions.is_empty());
    }
}

#[test]
fn changes_of_another_window_are_shown() {
    let mut window = Window::of_alice();
    window.receive(page(
        vec![received(9, "bob", false), received(8, "bob", false)],
        false,
    ));
    window.receive(BackendEvent::Read(vec![id(8)]));
    window.receive(BackendEvent::Deleted(vec![id(9)]));
    assert_eq!(window.lines("bob")[1..], ["< m8 Single"]);
    assert_eq!(window.model.unread, 0);
}

#[test]
fn first_page_after_a_gap_removes_missing_messages() {
    let mut window = Window::of_alice();
    let all: Vec<_> = (1..=6)
        .rev()
        .map(|index| received(index, "bob", false))
        .collect();
    window.receive(page(all, false));
    // Between the times 5 and 2 were deleted and 6 was read, and no event reported it.
    window.receive(BackendEvent::FetchBegan);
    let first = vec![received(6, "bob", true), received(4, "bob", false)];
    window.receive(BackendEvent::Inbox(InboxPage {
        messages: first,
        unread: 3,
        reaches: LogIndex(4),
        more: true,
        is_last: false,
    }));
    window.receive(BackendEvent::Inbox(InboxPage {
        messages: vec![received(3, "bob", false), received(1, "bob", false)],
        unread: 3,
        reaches: LogIndex(0),
        more: false,
        is_last: true,
    }));
    let expected = [
        "— 2026-03-02",
        "< new m1 First",
        "< new m3 Middle",
        "< new m4 Middle",
        "< m6 Last",
    ];
    assert_eq!(window.lines("bob"), expected);
    assert_eq!(window.model.unread, 3);
}

#[test]
fn older_pages_are_loaded_when_they_are_wanted() {
    let mut window = Window::of_alice();
    let commands = window.receive(page(vec![received(9, "bob", true)], true));
    assert_eq!(commands, [], "the backend fetches what this device keeps");
    assert_eq!(window.act(UserAction::LoadOlder), [Command::LoadOlder]);
    assert!(window.model.loading);
    assert_eq!(window.act(UserAction::LoadOlder), [], "once is enough");
    window.receive(BackendEvent::Inbox(InboxPage {
        messages: vec![received(8, "bob", true)],
        unread: 70,
        reaches: LogIndex(8),
        more: true,
        is_last: false,
    }));
    assert_eq!(window.model.unread, 70, "also what is not loaded");
    assert_eq!(window.act(UserAction::LoadOlder), [Command::LoadOlder]);
}

/// The inbox of an account with a copy on this device.
fn with_copy(messages: Vec<StoredMessage>) -> Window {
    let mut window = Window::new();
    let mut account = stored("alice");
    account.inbox = StoredInbox {
        messages,
        is_complete: true,
        more: true,
        unread_elsewhere: 5,
    };
    window.receive(BackendEvent::SignedIn(account));
    window
}

#[test]
fn copy_on_this_device_is_shown_before_any_server_answers() {
    let mut window = with_copy(vec![received(1, "bob", true), received(2, "carol", false)]);
    assert_eq!(window.model.inbox_state, InboxFreshness::Copy);
    assert_eq!(received_count(&window), 2);
    assert_eq!(window.model.unread, 6, "also what is not on this device");
    assert!(window.model.more_to_load);
    window.receive(BackendEvent::Link(up()));
    window.receive(BackendEvent::Deleted(vec![id(1)]));
    window.receive(BackendEvent::CaughtUp);
    assert_eq!(window.model.inbox_state, InboxFreshness::Current);
    assert!(!window.model.loading);
    assert_eq!(received_count(&window), 1);
}

#[test]
fn inbox_of_which_nothing_is_known_is_not_called_empty() {
    let mut window = Window::new();
    window.receive(BackendEvent::SignedIn(stored("alice")));
    assert_eq!(window.model.inbox_state, InboxFreshness::Unknown);
    let why = Failure::NoServer {
        addresses: vec!["a:1".to_owned()],
    };
    window.receive(BackendEvent::Link(Link::Waiting {
        why,
        next_try: Duration::from_secs(1),
    }));
    let (title, detail) = window.model.unknown_inbox_words();
    assert_eq!(title, "Can't load your messages right now.");
    assert_eq!(detail, "They are stored on the servers.");
    window.receive(BackendEvent::Link(up()));
    window.receive(page(Vec::new(), false));
    assert_eq!(window.model.inbox_state, InboxFreshness::Current);
}

#[test]
fn forgotten_messages_are_fetched_again_when_they_are_wanted() {
    let mut window = with_copy(vec![received(1, "bob", true)]);
    window.receive(BackendEvent::CaughtUp);
    let kept = |window: &Window| Command::SavePreferences(window.model.preferences.clone());
    let commands = window.act(UserAction::KeepMessages(KeptMessages::None));
    assert_eq!(commands, [kept(&window)]);
    assert_eq!(received_count(&window), 1, "shown until the window closes");
    let commands = window.act(UserAction::KeepMessages(KeptMessages::Thousand));
    assert_eq!(commands, [kept(&window), Command::Refresh]);
}

#[test]
fn message_to_oneself_is_shown_once() {
    let mut window = Window::of_alice();
    let commands = window.act(UserAction::Send {
        peer: Name::new("alice"),
        text: "milk".to_owned(),
    });
    let [Command::Enqueue(note)] = &commands[..] else {
        panic!("{commands:?}");
    };
    let mut arrived = received(5, "alice", false);
    arrived.id = note.id;
    let acknowledged = BackendEvent::SendAcknowledged {
        id: note.id,
        at: arrived.at,
        commit: arrived.commit,
        copy: CopyPlace::Servers,
    };
    window.receive(BackendEvent::Arrived(arrived.clone()));
    window.receive(acknowledged.clone());
    assert_eq!(window.lines("alice")[1..], ["< new m5 Single"]);
    let mut other = Window::of_alice();
    let commands = other.act(UserAction::Send {
        peer: Name::new("alice"),
        text: "milk".to_owned(),
    });
    assert!(matches!(&commands[..], [Command::Enqueue(again)] if again.id == note.id));
    other.receive(acknowledged);
    other.receive(BackendEvent::Arrived(arrived));
    assert_eq!(other.lines("alice")[1..], ["< new m5 Single"]);
    assert!(window.model.outbox.is_empty() && other.model.outbox.is_empty());
}

#[test]
fn notifications_follow_the_preferences() {
    let mut window = Window::of_alice();
    let notifications = |window: &mut Window, index| {
        let commands = window.receive(BackendEvent::Arrived(received(index, "bob", false)));
        let body = |command: &Command| match command {
            Command::Notify { title, body, .. } => format!("{title}: {body}"),
            other => panic!("{other:?}"),
        };
        commands.iter().map(body).collect::<Vec<_>>()
    };
    assert!(
        notifications(&mut window, 1).is_empty(),
        "the person is looking"
    );
    window.act(UserAction::Focus(false));
    assert_eq!(notifications(&mut window, 2), ["bob: New message"]);
    assert!(notifications(&mut window, 2).is_empty(), "shown once");
    window.act(UserAction::SetNotifications(NotificationChoice::WithText));
    assert_eq!(notifications(&mut window, 3), ["bob: m3"]);
    window.act(UserAction::SetMuted {
        peer: Name::new("bob"),
        muted: true,
    });
    assert!(notifications(&mut window, 4).is_empty());
    window.act(UserAction::SetMuted {
        peer: Name::new("bob"),
        muted: false,
    });
    window.act(UserAction::SetNotifications(NotificationChoice::Off));
    assert!(notifications(&mut window, 5).is_empty());
    assert_eq!(window.model.attention, 2);
}

#[test]
fn sent_copies_are_sorted_among_received_messages() {
    let mut window = Window::new();
    let mut account = stored("alice");
    account.sent = vec![sent(5, "bob")];
    window.receive(BackendEvent::SignedIn(account));
    window.receive(BackendEvent::Link(up()));
    window.receive(page(
        vec![received(6, "bob", true), received(4, "bob", true)],
        false,
    ));
    let expected = [
        "— 2026-03-02",
        "< m4 Single",
        "> ✓5 m5 Single",
        "< m6 Single",
    ];
    assert_eq!(window.lines("bob"), expected);
    window.act(UserAction::Delete(vec![id(5)]));
    assert_eq!(window.wait(6_000), [Command::Delete(vec![id(5)])]);
}

#[test]
fn oldest_unread_message_opens_and_is_fetched_if_it_is_not_loaded() {
    let mut window = Window::of_alice();
    window.act(UserAction::OpenOldestUnread);
    assert_eq!(window.model.notices[0].text, "No unread messages.");
    let unread = vec![received(9, "bob", false), received(8, "carol", false)];
    window.receive(page(unread, false));
    window.act(UserAction::OpenOldestUnread);
    assert_eq!(window.model.open, Some(Name::new("carol")));
    assert_eq!(window.model.scroll.target, ScrollTarget::Message(id(8)));

    let mut window = Window::of_alice();
    window.receive(page(vec![received(9, "bob", false)], true));
    let unread_elsewhere = BackendEvent::Inbox(InboxPage {
        messages: vec![received(9, "bob", false)],
        unread: 2,
        reaches: LogIndex(9),
        more: true,
        is_last: false,
    });
    window.receive(unread_elsewhere);
    let commands = window.act(UserAction::OpenOldestUnread);
    assert_eq!(commands, [Command::ReadNext(1)]);
    window.receive(BackendEvent::ReadNext(vec![received(2, "dave", true)]));
    assert_eq!(window.model.open, Some(Name::new("dave")));
    assert_eq!(window.model.scroll.target, ScrollTarget::Message(id(2)));
}
