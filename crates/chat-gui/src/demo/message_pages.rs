//! The pages about what can be in a message, and what is done with it.
//!
//! Deliberately absent: the states of sending.

use crate::demo::chat_pages::{benjamin, chat, none_open, send};
use crate::demo::demo_world::DemoWorld;
use crate::demo::page::DemoPage;
use crate::model::action::UserAction;
use crate::model::dates::DateChoice;
use crate::model::event::BackendEvent;
use crate::model::links::Link;
use crate::model::navigation::Dialog;
use crate::model::preferences::TextSize;

/// All of them.
pub(super) const PAGES: &[DemoPage] = &[
    DemoPage::new("chat-links", links),
    DemoPage::new("chat-link", link),
    DemoPage::new("chat-link-imitated", imitated_link),
    DemoPage::new("chat-link-long", long_link),
    DemoPage::new("chat-emoji", emoji),
    DemoPage::new("chat-date", date),
    DemoPage::new("chat-date-wrong", wrong_date),
    DemoPage::new("chat-date-none", no_such_date),
    DemoPage::new("chat-large-text", large_text),
];

/// Benjamin writes, the latest last.
fn receive(world: &mut DemoWorld, texts: &[&str]) {
    for (number, text) in texts.iter().enumerate() {
        world.index += 1;
        let mut message = world.received("Benjamin", text, 0.0, true, 7_000 + number as u128);
        message.commit = world.commit(world.index);
        message.at = world.now().wall;
        world.receive(BackendEvent::Arrived(message));
    }
    // As on the page without them, the connection is there.
    world.link_up();
    world.act(UserAction::OpenConversation(benjamin()));
}

fn links() -> DemoWorld {
    let mut world = chat();
    receive(
        &mut world,
        &[
            "The slides are at https://example.org/talks/2026/replicated-chat (with notes), the abstract at https://example.org/abstract.",
            "https://example.org/a/very/long/address/that/fits/into/no/line/and/has/to/be/broken/somewhere?because=it&goes=on#and-on",
        ],
    );
    send(
        &mut world,
        "Thank you! Mine are at http://127.0.0.1:8000/slides.html until Thursday.",
    );
    world
}

fn ask_about(address: &str) -> DemoWorld {
    let mut world = links();
    if let Some(link) = Link::parse(address) {
        world.act(UserAction::OpenDialog(Dialog::OpenLink(link)));
    }
    world
}

fn link() -> DemoWorld {
    ask_about("https://example.org/talks/2026/replicated-chat")
}

fn imitated_link() -> DemoWorld {
    ask_about("https://example.org@bücher.example/sign-in")
}

fn long_link() -> DemoWorld {
    let path = "/a-part-of-a-long-path".repeat(80);
    ask_about(&format!(
        "https://a-long-name.of-a-computer.in-a-department.of-a-large-organisation.example{path}"
    ))
}

fn emoji() -> DemoWorld {
    let mut world = chat();
    receive(
        &mut world,
        &[
            "Have you seen it? 😀 All three nodes are back 🎉🚀, and that in one line ❤\u{FE0F}, a thumb 👍🏽, a family 👩‍👩‍👧, a flag 🇫🇷 and a key 1\u{FE0F}\u{20E3}. The next line has none, and must be as far below as the one before it.",
            "👍🏽",
            "🎉🚀❤\u{FE0F}",
            "🎉🎉🎉🎉",
        ],
    );
    send(&mut world, "😀");
    send(&mut world, "As letters: ❤ ☀ © ™ 1 # * ✓");
    world
}

fn date() -> DemoWorld {
    let mut world = chat();
    world.model.more_to_load = true;
    world.act(UserAction::OpenDialog(Dialog::GoToDate {
        peer: benjamin(),
        wrong: None,
    }));
    world
}

fn go_to(world: &mut DemoWorld, text: &str) {
    world.act(UserAction::GoToDate {
        peer: benjamin(),
        date: DateChoice::Typed(text.to_owned()),
    });
}

fn wrong_date() -> DemoWorld {
    let mut world = date();
    go_to(&mut world, "30.11.2026");
    world
}

fn no_such_date() -> DemoWorld {
    let mut world = date();
    go_to(&mut world, "2026-11-01");
    world
}

fn large_text() -> DemoWorld {
    let mut world = none_open();
    world.act(UserAction::SetTextSize(TextSize::new(200)));
    world
}
