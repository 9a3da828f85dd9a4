//! Going to a day in a chat: which message is shown, and what is said where there is none.

use super::{NOON, Window, id, page, received};
use crate::model::ScrollTarget;
use crate::model::action::UserAction;
use crate::model::command::Command;
use crate::model::dates::{DATE_CHARACTERS_MAX, DateChoice};
use crate::model::event::{BackendEvent, Link};
use crate::model::failure::Failure;
use crate::model::message::StoredMessage;
use crate::model::names::Name;
use crate::model::navigation::Dialog;
use crate::model::time::Timestamp;

fn bob() -> Name {
    Name::new("bob")
}

/// On 2026-03-02, with messages 1 and 2 of 2026-02-23, 3 of 2026-03-01 and 4 of today.
fn window(more: bool) -> Window {
    let mut window = Window::of_alice();
    let messages = [(4, 0.0), (3, 1.0), (2, 7.0), (1, 7.0)];
    let messages = messages.map(|(index, days)| days_ago(index, "bob", days));
    window.receive(page(messages.to_vec(), more));
    window
}

/// Which message is shown after going to this day, and what is said.
fn go(window: &mut Window, date: DateChoice) -> (ScrollTarget, Vec<String>) {
    let before = window.model.scroll.number;
    window.act(UserAction::GoToDate { peer: bob(), date });
    assert!(window.model.scroll.number > before, "it is scrolled");
    assert_eq!(window.model.open, Some(bob()));
    assert_eq!(window.model.dialog, None);
    let notices = window.model.notices.iter();
    let said = notices.map(|notice| notice.text.clone()).collect();
    (window.model.scroll.target, said)
}

fn typed(day: &str) -> DateChoice {
    DateChoice::Typed(day.to_owned())
}

#[test]
fn first_message_of_the_day_is_shown() {
    for (date, expected) in [
        (typed("2026-03-01"), 3),
        (typed("2026-02-23"), 1),
        (DateChoice::DaysAgo(0), 4),
        (DateChoice::DaysAgo(1), 3),
        (DateChoice::DaysAgo(7), 1),
        (DateChoice::Beginning, 1),
    ] {
        let (shown, said) = go(&mut window(false), date.clone());
        assert_eq!(shown, ScrollTarget::Message(id(expected)), "{date:?}");
        assert!(said.is_empty(), "{date:?}: {said:?}");
    }
}

#[test]
fn first_message_of_a_later_day_is_shown_where_a_day_has_none() {
    let (shown, said) = go(&mut window(true), typed("2026-02-25"));
    assert_eq!(shown, ScrollTarget::Message(id(3)));
    let expected = "No messages on 25 February 2026. The next ones are of 1 March 2026.";
    assert_eq!(said, [expected]);
    let (shown, said) = go(&mut window(false), typed("2026-03-03"));
    assert_eq!(shown, ScrollTarget::Newest);
    assert_eq!(said, ["No messages on or after 3 March 2026."]);
}

/// A message to or from someone, so many days ago.
fn days_ago(index: u64, peer: &str, days: f64) -> StoredMessage {
    let mut message = received(index, peer, true);
    message.at = Timestamp(NOON - days * 86_400.0);
    message
}

#[test]
fn messages_that_are_only_on_the_servers_are_mentioned_while_offline() {
    let expected = "Older messages are only on the servers. They load as you scroll up.";
    for date in [
        typed("2026-01-01"),
        typed("2026-02-23"),
        DateChoice::Beginning,
        DateChoice::DaysAgo(u16::MAX),
    ] {
        let mut window = window(true);
        window.receive(BackendEvent::Link(Link::Broken(Failure::Interrupted)));
        let (shown, said) = go(&mut window, date.clone());
        assert_eq!(shown, ScrollTarget::Message(id(1)), "{date:?}");
        assert_eq!(said, [expected], "{date:?}");
        assert!(!window.model.loading, "{date:?}");
    }
}

#[test]
fn older_messages_are_loaded_until_the_day_is_reached() {
    let mut window = window(true);
    let date = typed("2026-02-20");
    let commands = window.act(UserAction::GoToDate { peer: bob(), date });
    assert_eq!(commands.last(), Some(&Command::LoadOlder));
    assert_eq!(window.model.scroll.target, ScrollTarget::Message(id(1)));
    // A page with nothing of this chat, then one that reaches an earlier day.
    let page_of_others = page(vec![days_ago(0, "carol", 8.0)], true);
    assert_eq!(window.receive(page_of_others), [Command::LoadOlder]);
    let mut messages = vec![days_ago(0, "bob", 10.0), days_ago(0, "bob", 11.0)];
    for (message, number) in messages.iter_mut().zip([20, 21]) {
        message.id = id(number);
    }
    assert_eq!(window.receive(page(messages, true)), []);
    assert_eq!(window.model.scroll.target, ScrollTarget::Message(id(20)));
    let scrolled = window.model.scroll.number;
    window.receive(page(vec![days_ago(0, "dave", 12.0)], true));
    assert_eq!(window.model.scroll.number, scrolled, "once");
}

#[test]
fn older_messages_are_loaded_to_the_beginning_unless_the_person_goes_elsewhere() {
    let go_to_beginning = |window: &mut Window| {
        let date = DateChoice::Beginning;
        let commands = window.act(UserAction::GoToDate { peer: bob(), date });
        assert_eq!(commands.last(), Some(&Command::LoadOlder));
    };
    let last_page = || page(vec![days_ago(0, "bob", 30.0)], false);
    let mut reached = window(true);
    go_to_beginning(&mut reached);
    assert_eq!(reached.receive(last_page()), []);
    assert_eq!(reached.model.scroll.target, ScrollTarget::Message(id(0)));

    let mut elsewhere = window(true);
    go_to_beginning(&mut elsewhere);
    elsewhere.act(UserAction::OpenConversation(Name::new("carol")));
    let scrolled = elsewhere.model.scroll.number;
    let page = page(vec![days_ago(0, "bob", 30.0)], true);
    assert_eq!(elsewhere.receive(page), []);
    assert_eq!(elsewhere.model.scroll.number, scrolled);
}

#[test]
fn day_of_a_message_is_that_of_the_person() {
    let mut window = window(false);
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(13));
    window.model.zone = crate::model::time::Zone::new(zone);
    let (shown, _) = go(&mut window, typed("2026-03-03"));
    assert_eq!(shown, ScrollTarget::Message(id(4)), "noon is past midnight");
}

#[test]
fn wrong_date_stays_in_the_dialog() {
    let mut window = window(false);
    for (text, kept) in [
        ("30.11.2026", "30.11.2026".to_owned()),
        (&"9".repeat(1_000), "9".repeat(DATE_CHARACTERS_MAX)),
    ] {
        window.act(UserAction::GoToDate {
            peer: bob(),
            date: typed(text),
        });
        let expected = Dialog::GoToDate {
            peer: bob(),
            wrong: Some(kept),
        };
        assert_eq!(window.model.dialog, Some(expected));
        assert_eq!(window.model.open, None);
    }
}

#[test]
fn chat_without_messages_is_opened_at_its_end() {
    let mut window = Window::of_alice();
    let (shown, said) = go(&mut window, DateChoice::Beginning);
    assert_eq!(shown, ScrollTarget::Newest);
    assert_eq!(said, ["No messages yet."]);
}
