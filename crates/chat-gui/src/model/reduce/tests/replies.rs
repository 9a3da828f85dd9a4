//! Replies: what a message names, what becomes of it on the way, and what is quoted.

use super::{Window, id, page, received};
use crate::model::action::UserAction;
use crate::model::command::Command;
use crate::model::event::BackendEvent;
use crate::model::names::{MessageId, Name};

fn bob() -> Name {
    Name::new("bob")
}

fn open() -> Window {
    let mut window = Window::of_alice();
    window.receive(page(
        vec![received(9, "bob", true), received(3, "carol", true)],
        false,
    ));
    window.act(UserAction::OpenConversation(bob()));
    window
}

/// Writes to Bob; the message that it names, and its id.
fn write(window: &mut Window) -> (Option<MessageId>, MessageId) {
    let commands = window.act(UserAction::Send {
        peer: bob(),
        text: "yes".to_owned(),
    });
    match &commands[..] {
        [Command::Enqueue(outgoing)] => (outgoing.reply_to, outgoing.id),
        other => panic!("{other:?}"),
    }
}

#[test]
fn next_message_names_the_one_that_it_replies_to_and_the_one_after_it_does_not() {
    let mut window = open();
    window.act(UserAction::Reply(id(9)));
    let commands = window.wait(500);
    assert!(
        matches!(&commands[..], [Command::SaveDraft { draft, .. }] if draft.reply_to == Some(id(9))),
        "{commands:?}"
    );
    let (names, reply) = write(&mut window);
    assert_eq!(names, Some(id(9)));
    let quoted = window.model.quoted(&bob(), id(9)).unwrap();
    assert_eq!(&*quoted.body, "m9");
    assert_eq!(write(&mut window).0, None);

    // What is taken back is a reply still.
    window.act(UserAction::TakeBack(reply));
    window.receive(BackendEvent::Withdrawn(reply));
    let draft = &window.model.conversations[&bob()].draft;
    assert_eq!(draft.reply_to, Some(id(9)));
}

#[test]
fn escape_takes_a_reply_away_before_it_closes_the_conversation() {
    let mut window = open();
    window.act(UserAction::Reply(id(9)));
    window.act(UserAction::Back);
    assert_eq!(window.model.open, Some(bob()));
    assert_eq!(write(&mut window).0, None);
    window.act(UserAction::Reply(id(9)));
    window.act(UserAction::CancelReply(bob()));
    window.act(UserAction::Back);
    assert_eq!(window.model.open, None);
}

#[test]
fn nothing_of_another_conversation_is_quoted_and_what_is_on_its_way_is_not_replied_to() {
    let mut window = open();
    assert_eq!(window.model.quoted(&bob(), id(3)), None, "carol's");
    assert_eq!(window.model.quoted(&bob(), id(77)), None, "not here");
    let (_, pending) = write(&mut window);
    window.act(UserAction::Reply(pending));
    assert_eq!(write(&mut window).0, None);
}
