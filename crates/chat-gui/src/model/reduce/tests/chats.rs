//! What a person marks about chats, what the window remembers of them, and how they are left and
//! come back to.

use std::collections::BTreeSet;

use super::{Window, id, page, received, stored};
use crate::model::ScrollTarget;
use crate::model::action::UserAction;
use crate::model::command::Command;
use crate::model::event::BackendEvent;
use crate::model::marks::{ChatMarks, PINNED_MAX};
use crate::model::names::Name;
use crate::model::navigation::Dialog;

fn bob() -> Name {
    Name::new("bob")
}

#[test]
fn messages_that_arrive_behind_the_window_are_below_the_unread_line() {
    let mut window = Window::of_alice();
    window.receive(page(vec![received(3, "bob", true)], false));
    window.act(UserAction::OpenConversation(bob()));
    window.act(UserAction::Focus(false));
    window.receive(BackendEvent::Arrived(received(5, "bob", false)));
    window.receive(BackendEvent::Arrived(received(6, "bob", false)));
    window.act(UserAction::Focus(true));
    window.act(UserAction::Seen(vec![id(6)]));
    let expected = [
        "— 2026-03-02",
        "< m3 Single",
        "— unread",
        "< m5 First",
        "< m6 Last",
    ];
    assert_eq!(window.lines("bob"), expected);
    assert_eq!(window.model.scroll.target, ScrollTarget::Unread);
    window.act(UserAction::Focus(false));
    window.act(UserAction::Focus(true));
    assert_eq!(window.lines("bob"), expected, "nothing came since");
}

#[test]
fn messages_above_the_newest_seen_one_are_read() {
    let mut window = Window::of_alice();
    let unread = (1..=5).rev().map(|index| received(index, "bob", false));
    window.receive(page(unread.collect(), false));
    window.act(UserAction::OpenConversation(bob()));
    let commands = window.act(UserAction::Seen(vec![id(2), id(4)]));
    let read = (1..=4).map(id).collect();
    assert_eq!(commands, [Command::MarkRead(read)]);
    assert_eq!(window.model.unread, 1);
}

#[test]
fn pinned_chats_come_first_and_stay_when_they_are_empty() {
    let mut window = Window::of_alice();
    window.receive(page(
        vec![received(9, "carol", true), received(3, "bob", true)],
        false,
    ));
    let pin = |peer: &str, pinned| UserAction::SetPinned {
        peer: Name::new(peer),
        pinned,
    };
    let marks = ChatMarks {
        pinned: BTreeSet::from([bob()]),
        ..ChatMarks::default()
    };
    assert_eq!(window.act(pin("bob", true)), [Command::SaveMarks(marks)]);
    assert_eq!(window.model.order, [bob(), Name::new("carol")]);
    window.receive(BackendEvent::Deleted(vec![id(3)]));
    assert_eq!(window.model.order[0], bob());
    window.act(pin("bob", false));
    assert_eq!(window.model.order, [Name::new("carol")]);
    for number in 0..=PINNED_MAX {
        window.act(pin(&number.to_string(), true));
    }
    assert_eq!(window.model.marks.pinned.len(), PINNED_MAX);
    assert_eq!(window.model.notices.len(), 1);
}

#[test]
fn chat_that_was_open_last_opens_again() {
    let mut window = Window::of_alice();
    window.receive(page(vec![received(3, "bob", true)], false));
    let commands = window.act(UserAction::OpenConversation(bob()));
    let marks = ChatMarks {
        open: Some(bob()),
        ..ChatMarks::default()
    };
    assert_eq!(commands, [Command::SaveMarks(marks.clone())]);

    let mut window = Window::new();
    let mut account = stored("alice");
    account.marks = marks;
    window.receive(BackendEvent::SignedIn(account));
    assert_eq!(window.model.open, Some(bob()));
    window.receive(page(vec![received(4, "bob", false)], false));
    assert_eq!(
        window.lines("bob"),
        ["— 2026-03-02", "— unread", "< new m4 Single"]
    );
    let commands = window.act(UserAction::CloseConversation);
    assert_eq!(commands, [Command::SaveMarks(ChatMarks::default())]);
}

#[test]
fn clicked_notification_opens_its_message() {
    let mut window = Window::of_alice();
    window.receive(page(vec![received(3, "bob", true)], false));
    let clicked = |index| BackendEvent::NotificationOpened {
        peer: bob(),
        id: id(index),
    };
    window.receive(clicked(4));
    assert_eq!(window.model.open, None, "that message is gone");
    window.receive(clicked(3));
    assert_eq!(window.model.open, Some(bob()));
    assert_eq!(window.model.scroll.target, ScrollTarget::Message(id(3)));
    assert_eq!(window.model.focus_requests, 2);
}

#[test]
fn deleted_chat_keeps_what_waits_and_comes_back_by_undo() {
    let mut window = Window::of_alice();
    window.receive(page(
        vec![received(4, "bob", true), received(3, "bob", true)],
        false,
    ));
    window.send("waits");
    window.act(UserAction::DeleteChat(bob()));
    assert_eq!(window.lines("bob"), ["— 2026-03-02", "> … waits Single"]);
    let notice = window.model.notices[0].id;
    assert_eq!(window.model.notices[0].text, "Chat with bob deleted.");
    window.act(UserAction::UndoDelete(notice));
    assert_eq!(window.lines("bob").len(), 4);
    window.act(UserAction::DeleteChat(bob()));
    let commands = window.wait(6_000);
    assert_eq!(commands, [Command::Delete(vec![id(3), id(4)])]);
}

#[test]
fn window_asks_before_it_closes_while_messages_wait() {
    let mut window = Window::of_alice();
    window.send("waits");
    assert_eq!(window.act(UserAction::Quit), []);
    assert_eq!(window.model.dialog, Some(Dialog::Quit));
    window.act(UserAction::Back);
    window.act(UserAction::Quit);
    assert!(!window.model.closing);
    window.act(UserAction::Quit);
    assert!(window.model.closing, "asked a second time it closes");
}
