//! The pages about conversations and people, in every state that they can be in.
//!
//! Deliberately absent: the cluster.

use std::time::Duration;

use crate::demo::demo_world::{DemoWorld, addresses};
use crate::demo::page::DemoPage;
use crate::demo::sign_in::{sign_alice_in, sign_newcomer_in};
use crate::model::action::UserAction;
use crate::model::event::{BackendEvent, Link};
use crate::model::failure::Failure;
use crate::model::message::{CopyPlace, MessageState};
use crate::model::names::{LogIndex, MessageId, Name};
use crate::model::navigation::{Dialog, Screen};

/// All of them.
pub(super) const PAGES: &[DemoPage] = &[
    DemoPage::new("chat", chat),
    DemoPage::new("chat-none-open", none_open),
    DemoPage::new("chat-reply", reply),
    DemoPage::new("chat-newcomer", newcomer),
    DemoPage::new("chat-first-message", first_message),
    DemoPage::new("chat-pending", pending),
    DemoPage::new("chat-offline", offline),
    DemoPage::new("chat-no-server", no_server),
    DemoPage::new("chat-recovered", recovered),
    DemoPage::new("chat-connection", connection),
    DemoPage::new("chat-connection-no-leader", connection_no_leader),
    DemoPage::new("chat-not-sent", not_sent),
    DemoPage::new("chat-long-text", long_text),
    DemoPage::new("chat-scrolled", scrolled),
    DemoPage::new("chat-other-account", other_account),
    DemoPage::new("chat-search", search),
    DemoPage::new("chat-search-all", search_all),
    DemoPage::new("chat-search-people", search_people),
    DemoPage::new("chat-search-nothing", search_nothing),
    DemoPage::new("chat-search-offline", search_offline),
    DemoPage::new("chat-selection", selection),
    DemoPage::new("chat-undo", undo),
    DemoPage::new("chat-error", error),
    DemoPage::new("chat-details", details),
    DemoPage::new("chat-details-pending", details_pending),
    DemoPage::new("chat-unread", none_open).typed(|state| state.filter.unread_only = true),
    DemoPage::new("chat-unread-none", newcomer).typed(|state| state.filter.unread_only = true),
    DemoPage::new("chat-delete", delete_chat),
    DemoPage::new("quit", quit),
    DemoPage::new("people", people),
    DemoPage::new("people-more", people_more),
    DemoPage::new("people-loading", people_loading),
    DemoPage::new("people-offline", people_offline),
    DemoPage::new("people-refused", people_refused)
        .typed(|state| long_name().clone_into(&mut state.people_text)),
    DemoPage::new("people-found", people_found)
        .typed(|state| "al".clone_into(&mut state.people_text)),
    DemoPage::new("people-not-found", people_not_found)
        .typed(|state| "zz*".clone_into(&mut state.people_text)),
    DemoPage::new("settings", settings),
    DemoPage::new("delete-account", delete_account),
    DemoPage::new("change-password", change_password),
    DemoPage::new("shortcuts", shortcuts),
];

/// With whom the open conversation is.
pub(super) fn benjamin() -> Name {
    Name::new("Benjamin")
}

/// Alice is signed in, and has opened no conversation.
pub(super) fn none_open() -> DemoWorld {
    let mut world = DemoWorld::with_servers();
    sign_alice_in(&mut world, 30.0);
    world
}

/// The conversation with Benjamin is open.
pub(super) fn chat() -> DemoWorld {
    let mut world = none_open();
    world.act(UserAction::OpenConversation(benjamin()));
    world.wait(4_000);
    world
}

/// A message that replies to one of Benjamin's, one that replies to one that is not here, and the composer
/// about to reply.
fn reply() -> DemoWorld {
    let mut world = chat();
    let theirs = |world: &DemoWorld, place: usize| {
        let messages = &world.model.conversations[&benjamin()].messages;
        let received = messages.iter().rev().filter(|message| !message.is_own());
        received.map(|message| message.id).nth(place)
    };
    if let Some(id) = theirs(&world, 1) {
        world.act(UserAction::Reply(id));
    }
    send(&mut world, "That one, yes. I will bring it on Thursday.");
    let mut missing = world.received("Benjamin", "No, I meant the other one.", 0.0, true, 9_400);
    missing.reply_to = Some(MessageId(uuid::Uuid::max()));
    missing.commit = world.commit(world.index + 1);
    world.index += 1;
    world.receive(BackendEvent::Arrived(missing));
    if let Some(id) = theirs(&world, 0) {
        world.act(UserAction::Reply(id));
    }
    world
}

fn newcomer() -> DemoWorld {
    let mut world = DemoWorld::with_servers();
    sign_newcomer_in(&mut world);
    world
}

fn first_message() -> DemoWorld {
    let mut world = newcomer();
    world.act(UserAction::OpenConversation(Name::new("Isabel")));
    world
}

/// Alice writes to Benjamin.
pub(super) fn send(world: &mut DemoWorld, text: &str) {
    world.act(UserAction::Send {
        peer: benjamin(),
        text: text.to_owned(),
    });
}

/// The leader is lost, and two messages are queued.
fn pending() -> DemoWorld {
    let mut world = chat();
    world.leader = None;
    world.up[0] = false;
    send(
        &mut world,
        "I have two of the boards here, the third one is with Leonard.",
    );
    send(&mut world, "Will ask him today.");
    world.receive(BackendEvent::Link(Link::Broken(Failure::NoMajority)));
    let waiting: Vec<MessageId> = world.model.outbox.iter().map(|line| line.id).collect();
    for id in waiting {
        world.receive(BackendEvent::SendStarted { id, attempt: 1 });
        world.receive(BackendEvent::SendDelayed {
            id,
            why: Failure::NoMajority,
            next_try: Duration::from_millis(200),
        });
    }
    world.wait(640);
    world
}

fn offline() -> DemoWorld {
    let mut world = pending();
    world.receive(BackendEvent::Link(Link::Waiting {
        why: Failure::NoServer {
            addresses: addresses(),
        },
        next_try: Duration::from_secs(5),
    }));
    world.wait(2_000);
    world
}

/// No node answers.
fn no_server() -> DemoWorld {
    let mut world = offline();
    world.up = [false; 3];
    world.poll(500);
    world.wait(900);
    world
}

fn connection() -> DemoWorld {
    let mut world = no_server();
    world.act(UserAction::OpenDialog(Dialog::Connection));
    world
}

fn connection_no_leader() -> DemoWorld {
    let mut world = pending();
    world.poll(500);
    world.wait(900);
    world.act(UserAction::OpenDialog(Dialog::Connection));
    world
}

fn recovered() -> DemoWorld {
    let mut world = pending();
    world.poll(500);
    world.wait(300);
    world.leader = Some((2, 8));
    let waiting: Vec<MessageId> = world.model.outbox.iter().map(|line| line.id).collect();
    for id in waiting {
        world.index += 1;
        let event = BackendEvent::SendAcknowledged {
            id,
            at: world.now().wall,
            commit: world.commit(world.index),
            copy: CopyPlace::Servers,
        };
        world.receive(event);
    }
    world.link_up();
    world.poll(500);
    world.wait(300);
    world
}

fn not_sent() -> DemoWorld {
    let mut world = chat();
    world.leader = None;
    send(&mut world, "Did you get the invitation for Thursday?");
    let id = world.model.outbox.iter().map(|line| line.id).next_back();
    if let Some(id) = id {
        world.receive(BackendEvent::SendRefused {
            id,
            why: Failure::RecipientMissing,
        });
    }
    world.leader = Some((1, 7));
    world
}

fn long_text() -> DemoWorld {
    let mut world = chat();
    let text = "This is the beginning of a long letter.\n\nIt has paragraphs, and lines that are too long for any window, so that they have to be broken somewhere.\n".repeat(3);
    send(&mut world, &text);
    world.act(UserAction::EditDraft {
        peer: benjamin(),
        text: "One line\nand another\nand a third one that is quite a bit longer than the others\n"
            .repeat(6),
    });
    // A draft that the model changes itself is what an editor takes over.
    if let Some(conversation) = world.model.conversations.get_mut(&benjamin()) {
        conversation.draft.revision += 1;
    }
    world
}

fn scrolled() -> DemoWorld {
    let mut world = none_open();
    for number in 0..240_u32 {
        let text = format!(
            "Line {number} of a long evening. {}",
            "And so on. ".repeat(number as usize % 7)
        );
        let mut message = world.received("Benjamin", &text, 0.0, true, 9_000 + u128::from(number));
        message.commit = world.commit(1_200 + u64::from(number));
        message.at = world.now().wall;
        world.receive(BackendEvent::Arrived(message));
        world.wait(20_000);
    }
    world.link_up();
    world.act(UserAction::OpenConversation(benjamin()));
    let middle = world
        .model
        .open_conversation()
        .and_then(|open| {
            let mut messages = open.messages.iter();
            messages.find(|message| message.body.starts_with("Line 120 "))
        })
        .map(|message| message.id);
    if let Some(id) = middle {
        world.model.scroll.number += 1;
        world.model.scroll.target = crate::model::ScrollTarget::Message(id);
    }
    world
}

/// Benjamin has deleted his account, and another person has taken the name.
fn other_account() -> DemoWorld {
    let mut world = chat();
    world.index += 10;
    let since = LogIndex(world.index);
    for (number, text) in [
        "Hi! I am new here, another person had this name before me.",
        "Who are you?",
    ]
    .into_iter()
    .enumerate()
    {
        world.index += 1;
        let mut message = world.received("Benjamin", text, 0.0, true, 8_000 + number as u128);
        message.commit = world.commit(world.index);
        message.at = world.now().wall;
        message.peer_since = Some(since);
        world.receive(BackendEvent::Arrived(message));
        world.wait(20_000);
    }
    world.link_up();
    world.act(UserAction::JumpToNewest);
    world
}

fn search() -> DemoWorld {
    let mut world = chat();
    world.act(UserAction::SearchIn {
        peer: benjamin(),
        text: "once".to_owned(),
    });
    world
}

/// Chats, people and messages are found, and a message is open.
fn search_all() -> DemoWorld {
    let mut world = chat();
    world.act(UserAction::Search("le".to_owned()));
    world.act(UserAction::ShowHit(1));
    world
}

/// More people than are listed.
fn search_people() -> DemoWorld {
    let mut world = none_open();
    world.act(UserAction::Search("*a".to_owned()));
    world
}

fn search_nothing() -> DemoWorld {
    let mut world = chat();
    world.act(UserAction::Search("zz".to_owned()));
    world
}

/// The servers cannot be asked for people.
fn search_offline() -> DemoWorld {
    let mut world = offline();
    world.answers_people = false;
    world.act(UserAction::Search("ch".to_owned()));
    world.act(UserAction::CloseConversation);
    world
}

fn last_messages(world: &DemoWorld, count: usize) -> Vec<MessageId> {
    let messages = world
        .model
        .open_conversation()
        .map(|open| open.messages.as_slice())
        .unwrap_or_default();
    let newest = messages.iter().rev().take(count);
    newest.map(|message| message.id).collect()
}

fn selection() -> DemoWorld {
    let mut world = chat();
    for id in last_messages(&world, 3) {
        world.act(UserAction::ToggleSelected(id));
    }
    world
}

fn undo() -> DemoWorld {
    let mut world = selection();
    world.act(UserAction::DeleteSelected);
    world
}

fn error() -> DemoWorld {
    let mut world = chat();
    world.receive(BackendEvent::LocalStorageFailed(Failure::LocalStorage(
        "no space left on the disk".to_owned(),
    )));
    world
}

fn details() -> DemoWorld {
    let mut world = chat();
    let own = world.model.open_conversation().and_then(|open| {
        let mut own = open.messages.iter().rev();
        own.find(|message| matches!(message.state, MessageState::Sent { .. }))
            .map(|message| message.id)
    });
    if let Some(id) = own {
        world.act(UserAction::OpenDialog(Dialog::MessageDetails(
            benjamin(),
            id,
        )));
    }
    world
}

fn details_pending() -> DemoWorld {
    let mut world = pending();
    if let Some(id) = last_messages(&world, 1).first() {
        let dialog = Dialog::MessageDetails(benjamin(), *id);
        world.act(UserAction::OpenDialog(dialog));
    }
    world
}

fn page(mut world: DemoWorld, screen: Screen) -> DemoWorld {
    world.act(UserAction::Show(screen));
    world
}

fn delete_chat() -> DemoWorld {
    let mut world = chat();
    let charlotte = Name::new("Charlotte");
    world.act(UserAction::SetPinned {
        peer: charlotte.clone(),
        pinned: true,
    });
    world.act(UserAction::OpenDialog(Dialog::DeleteChat(charlotte)));
    world
}

/// Messages wait, and the person wants to leave.
fn quit() -> DemoWorld {
    let mut world = pending();
    world.act(UserAction::Quit);
    world
}

/// All people are listed before anything is typed.
fn people() -> DemoWorld {
    let mut world = page(none_open(), Screen::People);
    world.act(UserAction::SearchPeople(String::new()));
    world
}

/// The first page of many.
fn people_more() -> DemoWorld {
    let mut world = people();
    let names = world.model.people.names.clone();
    let next = names.last().map(ToString::to_string);
    world.receive(BackendEvent::People {
        pattern: world.model.people.pattern.clone(),
        names,
        next,
        continued: false,
    });
    world
}

fn people_loading() -> DemoWorld {
    let mut world = none_open();
    world.answers_people = false;
    world.act(UserAction::Show(Screen::People));
    world.act(UserAction::SearchPeople(String::new()));
    world
}

fn people_offline() -> DemoWorld {
    let mut world = offline();
    world.answers_people = false;
    world.act(UserAction::Show(Screen::People));
    world.act(UserAction::SearchPeople(String::new()));
    world
}

fn people_found() -> DemoWorld {
    let mut world = people();
    world.act(UserAction::SearchPeople("al".to_owned()));
    world
}

fn people_not_found() -> DemoWorld {
    let mut world = people();
    world.act(UserAction::SearchPeople("zz*".to_owned()));
    world
}

fn people_refused() -> DemoWorld {
    let mut world = people();
    world.act(UserAction::SearchPeople(long_name()));
    world
}

fn long_name() -> String {
    "[ab]".repeat(17)
}

fn settings() -> DemoWorld {
    page(none_open(), Screen::Settings)
}

fn delete_account() -> DemoWorld {
    let mut world = settings();
    world.act(UserAction::OpenDialog(Dialog::DeleteAccount));
    world
}

fn change_password() -> DemoWorld {
    let mut world = settings();
    world.act(UserAction::OpenDialog(Dialog::ChangePassword));
    world.receive(BackendEvent::AccountFailed(Failure::WrongCredentials));
    world
}

fn shortcuts() -> DemoWorld {
    let mut world = chat();
    world.act(UserAction::OpenDialog(Dialog::Shortcuts));
    world
}
