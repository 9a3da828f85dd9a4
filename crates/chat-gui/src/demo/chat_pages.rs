//! The pages about conversations and people, in every state that they can be in.
//!
//! Deliberately absent: the cluster.

use std::time::Duration;

use crate::backend::event::{BackendEvent, Link};
use crate::demo::DemoPage;
use crate::demo::content::{sign_alice_in, sign_newcomer_in};
use crate::demo::stage::{Stage, addresses};
use crate::intention::{Dialog, Screen, UserAction};
use crate::model::failure::Failure;
use crate::model::message::MessageState;
use crate::model::names::{LogIndex, MessageId, Name};
use crate::model::search::SearchScope;

/// All of them.
pub(super) const PAGES: &[DemoPage] = &[
    DemoPage::new("chat", chat),
    DemoPage::new("chat-none-open", none_open),
    DemoPage::new("chat-newcomer", newcomer),
    DemoPage::new("chat-first-message", first_message),
    DemoPage::new("chat-pending", pending),
    DemoPage::new("chat-offline", offline),
    DemoPage::new("chat-recovered", recovered),
    DemoPage::new("chat-not-sent", not_sent),
    DemoPage::new("chat-long-text", long_text),
    DemoPage::new("chat-scrolled", scrolled),
    DemoPage::new("chat-other-account", other_account),
    DemoPage::new("chat-search", search),
    DemoPage::new("chat-search-all", search_all),
    DemoPage::new("chat-selection", selection),
    DemoPage::new("chat-undo", undo),
    DemoPage::new("chat-error", error),
    DemoPage::new("chat-details", details),
    DemoPage::new("chat-details-pending", details_pending),
    DemoPage::new("inbox", inbox),
    DemoPage::new("inbox-selection", inbox_selection),
    DemoPage::new("inbox-other-account", inbox_other_account),
    DemoPage::new("inbox-empty", inbox_empty),
    DemoPage::new("people", people),
    DemoPage::new("people-found", people_found)
        .typed(|state| "*".clone_into(&mut state.people_text)),
    DemoPage::new("people-nobody", people_nobody)
        .typed(|state| "zz*".clone_into(&mut state.people_text)),
    DemoPage::new("settings", settings),
    DemoPage::new("delete-account", delete_account),
    DemoPage::new("change-password", change_password),
    DemoPage::new("shortcuts", shortcuts),
];

fn benjamin() -> Name {
    Name::new("Benjamin")
}

fn none_open() -> Stage {
    let mut stage = Stage::with_servers();
    sign_alice_in(&mut stage, 30.0);
    stage
}

fn chat() -> Stage {
    let mut stage = none_open();
    stage.act(UserAction::OpenConversation(benjamin()));
    stage.wait(4_000);
    stage
}

fn newcomer() -> Stage {
    let mut stage = Stage::with_servers();
    sign_newcomer_in(&mut stage);
    stage
}

fn first_message() -> Stage {
    let mut stage = newcomer();
    stage.act(UserAction::OpenConversation(Name::new("Isabel")));
    stage
}

fn send(stage: &mut Stage, text: &str) {
    stage.act(UserAction::Send {
        peer: benjamin(),
        text: text.to_owned(),
    });
}

/// The leader is gone, and two messages wait.
fn pending() -> Stage {
    let mut stage = chat();
    stage.leader = None;
    stage.up[0] = false;
    send(
        &mut stage,
        "I have two of the boards here, the third one is with Leonard.",
    );
    send(&mut stage, "Will ask him today.");
    stage.tell(BackendEvent::Link(Link::Broken(Failure::NoMajority)));
    let waiting: Vec<MessageId> = stage.model.outbox.iter().map(|line| line.id).collect();
    for id in waiting {
        stage.tell(BackendEvent::SendStarted { id, attempt: 1 });
        stage.tell(BackendEvent::SendDelayed {
            id,
            why: Failure::NoMajority,
            next_try: Duration::from_millis(200),
        });
    }
    stage.wait(640);
    stage
}

fn offline() -> Stage {
    let mut stage = pending();
    stage.tell(BackendEvent::Link(Link::Waiting {
        why: Failure::NoServer {
            addresses: addresses(),
        },
        next_try: Duration::from_secs(5),
    }));
    stage.wait(2_000);
    stage
}

fn recovered() -> Stage {
    let mut stage = pending();
    stage.leader = Some((2, 8));
    let waiting: Vec<MessageId> = stage.model.outbox.iter().map(|line| line.id).collect();
    for id in waiting {
        stage.index += 1;
        let event = BackendEvent::SendAcknowledged {
            id,
            at: stage.now().wall,
            commit: stage.commit(stage.index),
        };
        stage.tell(event);
    }
    stage.link_up();
    stage.poll(500);
    stage.wait(300);
    stage
}

fn not_sent() -> Stage {
    let mut stage = chat();
    stage.leader = None;
    send(&mut stage, "Did you get the invitation for Thursday?");
    let id = stage.model.outbox.iter().map(|line| line.id).next_back();
    if let Some(id) = id {
        stage.tell(BackendEvent::SendRefused {
            id,
            why: Failure::RecipientMissing,
        });
    }
    stage.leader = Some((1, 7));
    stage
}

fn long_text() -> Stage {
    let mut stage = chat();
    let text = "This is the beginning of a long letter.\n\nIt has paragraphs, and lines that are too long for any window, so that they have to be broken somewhere.\n".repeat(3);
    send(&mut stage, &text);
    stage.act(UserAction::EditDraft {
        peer: benjamin(),
        text: "One line\nand another\nand a third one that is quite a bit longer than the others\n"
            .repeat(6),
    });
    // A draft that the model changes itself is what an editor takes over.
    if let Some(conversation) = stage.model.conversations.get_mut(&benjamin()) {
        conversation.draft.revision += 1;
    }
    stage
}

fn scrolled() -> Stage {
    let mut stage = none_open();
    for number in 0..240_u32 {
        let text = format!(
            "Line {number} of a long evening. {}",
            "And so on. ".repeat(number as usize % 7)
        );
        let mut message = stage.received("Benjamin", &text, 0.0, true, 9_000 + u128::from(number));
        message.commit = stage.commit(1_200 + u64::from(number));
        message.at = stage.now().wall;
        stage.tell(BackendEvent::Arrived(message));
        stage.wait(20_000);
    }
    stage.link_up();
    stage.act(UserAction::OpenConversation(benjamin()));
    let middle = stage
        .model
        .open_conversation()
        .and_then(|open| {
            let mut messages = open.messages.iter();
            messages.find(|message| message.body.starts_with("Line 120 "))
        })
        .map(|message| message.id);
    if let Some(id) = middle {
        stage.model.scroll.number += 1;
        stage.model.scroll.target = crate::model::ScrollTarget::Message(id);
    }
    stage
}

/// Benjamin has deleted his account, and somebody else has taken the name.
fn other_account() -> Stage {
    let mut stage = chat();
    stage.index += 10;
    let since = LogIndex(stage.index);
    for (number, text) in [
        "Hi! I am new here, somebody had this name before me.",
        "Who are you?",
    ]
    .into_iter()
    .enumerate()
    {
        stage.index += 1;
        let mut message = stage.received("Benjamin", text, 0.0, true, 8_000 + number as u128);
        message.commit = stage.commit(stage.index);
        message.at = stage.now().wall;
        message.sender_since = Some(since);
        stage.tell(BackendEvent::Arrived(message));
        stage.wait(20_000);
    }
    stage.link_up();
    stage
}

fn inbox_other_account() -> Stage {
    page(other_account(), Screen::Inbox)
}

fn search() -> Stage {
    let mut stage = chat();
    stage.act(UserAction::SearchMessages {
        scope: SearchScope::Conversation(benjamin()),
        text: "once".to_owned(),
    });
    stage
}

fn search_all() -> Stage {
    let mut stage = chat();
    stage.act(UserAction::SearchMessages {
        scope: SearchScope::Everywhere,
        text: "the".to_owned(),
    });
    stage.act(UserAction::ShowHit(1));
    stage
}

fn last_messages(stage: &Stage, count: usize) -> Vec<MessageId> {
    let messages = stage
        .model
        .open_conversation()
        .map(|open| open.messages.as_slice())
        .unwrap_or_default();
    let newest = messages.iter().rev().take(count);
    newest.map(|message| message.id).collect()
}

fn selection() -> Stage {
    let mut stage = chat();
    for id in last_messages(&stage, 3) {
        stage.act(UserAction::ToggleSelected(id));
    }
    stage
}

fn undo() -> Stage {
    let mut stage = selection();
    stage.act(UserAction::DeleteSelected);
    stage
}

fn error() -> Stage {
    let mut stage = chat();
    stage.tell(BackendEvent::DeviceTrouble(Failure::Device(
        "no space left on the disk".to_owned(),
    )));
    stage
}

fn details() -> Stage {
    let mut stage = chat();
    let own = stage.model.open_conversation().and_then(|open| {
        let mut own = open.messages.iter().rev();
        own.find(|message| matches!(message.state, MessageState::Sent { .. }))
            .map(|message| message.id)
    });
    if let Some(id) = own {
        stage.act(UserAction::OpenDialog(Dialog::MessageDetails(
            benjamin(),
            id,
        )));
    }
    stage
}

fn details_pending() -> Stage {
    let mut stage = pending();
    if let Some(id) = last_messages(&stage, 1).first() {
        let dialog = Dialog::MessageDetails(benjamin(), *id);
        stage.act(UserAction::OpenDialog(dialog));
    }
    stage
}

fn page(mut stage: Stage, screen: Screen) -> Stage {
    stage.act(UserAction::Show(screen));
    stage
}

fn inbox() -> Stage {
    page(none_open(), Screen::Inbox)
}

fn inbox_selection() -> Stage {
    let mut stage = inbox();
    let ids: Vec<MessageId> = stage
        .model
        .inbox()
        .iter()
        .skip(2)
        .take(4)
        .map(|message| message.id)
        .collect();
    for id in ids {
        stage.act(UserAction::ToggleSelected(id));
    }
    stage
}

fn inbox_empty() -> Stage {
    page(newcomer(), Screen::Inbox)
}

fn people() -> Stage {
    page(none_open(), Screen::People)
}

fn people_found() -> Stage {
    let mut stage = people();
    stage.act(UserAction::SearchPeople("*".to_owned()));
    stage
}

fn people_nobody() -> Stage {
    let mut stage = people();
    stage.act(UserAction::SearchPeople("zz*".to_owned()));
    stage
}

fn settings() -> Stage {
    page(none_open(), Screen::Settings)
}

fn delete_account() -> Stage {
    let mut stage = settings();
    stage.act(UserAction::OpenDialog(Dialog::DeleteAccount));
    stage
}

fn change_password() -> Stage {
    let mut stage = settings();
    stage.act(UserAction::OpenDialog(Dialog::ChangePassword));
    stage.tell(BackendEvent::AccountFailed(Failure::WrongCredentials));
    stage
}

fn shortcuts() -> Stage {
    let mut stage = chat();
    stage.act(UserAction::OpenDialog(Dialog::Shortcuts));
    stage
}
