//! All keys of the window: what they do, and the guide that lists them. One table serves both, so
//! that the guide cannot be wrong.
//!
//! Deliberately absent: keys that belong to one control (Enter in the composer, arrows in the list
//! of messages); those are listed in the guide and handled where they belong.

use egui::{Context, Key, KeyboardShortcut, Modifiers};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::navigation::{Dialog, Screen, Step};
use crate::model::preferences::TextSize;
use crate::model::search::SearchScope;
use crate::views::state::{Focus, ViewState};

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Shows a page.
    Show(Screen),
    /// Goes through the list of conversations.
    Conversation(Step),
    /// Goes through the conversations with unread messages.
    Unread(Step),
    /// Opens a conversation by its place in the list.
    Nth(usize),
    /// Goes to the search of accounts.
    NewConversation,
    /// Goes to the field above the list of conversations.
    FilterConversations,
    /// Searches in the open conversation.
    SearchHere,
    /// Searches in all messages.
    SearchEverywhere,
    /// Goes to where one writes.
    WriteHere,
    /// Goes to the newest message.
    Newest,
    /// Goes to the list of messages.
    Messages,
    /// Asks the servers for everything again.
    Refresh,
    /// Makes text larger.
    Larger,
    /// Makes text smaller.
    Smaller,
    /// Makes text as large as it was at first.
    NormalSize,
    /// Lists all keys.
    Guide,
    /// Leaves what is open.
    Back,
    /// Closes the window.
    Quit,
}

/// A part of the guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Pages.
    Pages,
    /// Conversations.
    Conversations,
    /// Messages and writing.
    Messages,
    /// The window itself.
    Window,
}

/// A key, what it does, and how the guide calls that.
#[derive(Debug, Clone, Copy)]
pub struct Shortcut {
    /// What is pressed.
    pub keys: KeyboardShortcut,
    /// What that does.
    pub deed: Deed,
    /// In which part of the guide it is listed.
    pub part: Part,
    /// What the guide says; empty for keys that are listed with another one.
    pub text: &'static str,
}

const CONTROL: Modifiers = Modifiers::COMMAND;
const CONTROL_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);
const ALT: Modifiers = Modifiers::ALT;
const ALT_SHIFT: Modifiers = Modifiers::ALT.plus(Modifiers::SHIFT);

const fn key(
    modifiers: Modifiers,
    key: Key,
    deed: Deed,
    part: Part,
    text: &'static str,
) -> Shortcut {
    Shortcut {
        keys: KeyboardShortcut::new(modifiers, key),
        deed,
        part,
        text,
    }
}

/// All of them. Those with more modifiers come first: egui takes a key with Shift for one without.
pub const SHORTCUTS: &[Shortcut] = &[
    key(
        ALT_SHIFT,
        Key::ArrowDown,
        Deed::Unread(Step::Next),
        Part::Conversations,
        "Next unread conversation",
    ),
    key(
        ALT_SHIFT,
        Key::ArrowUp,
        Deed::Unread(Step::Previous),
        Part::Conversations,
        "Previous unread conversation",
    ),
    key(
        CONTROL_SHIFT,
        Key::F,
        Deed::SearchEverywhere,
        Part::Messages,
        "Search all messages",
    ),
    key(
        ALT,
        Key::ArrowDown,
        Deed::Conversation(Step::Next),
        Part::Conversations,
        "Next conversation",
    ),
    key(
        ALT,
        Key::ArrowUp,
        Deed::Conversation(Step::Previous),
        Part::Conversations,
        "Previous conversation",
    ),
    key(
        CONTROL,
        Key::K,
        Deed::FilterConversations,
        Part::Conversations,
        "Find a chat",
    ),
    key(
        CONTROL,
        Key::N,
        Deed::NewConversation,
        Part::Conversations,
        "Write to somebody new",
    ),
    key(
        CONTROL,
        Key::Num1,
        Deed::Nth(0),
        Part::Conversations,
        "First conversation, up to 9",
    ),
    key(CONTROL, Key::Num2, Deed::Nth(1), Part::Conversations, ""),
    key(CONTROL, Key::Num3, Deed::Nth(2), Part::Conversations, ""),
    key(CONTROL, Key::Num4, Deed::Nth(3), Part::Conversations, ""),
    key(CONTROL, Key::Num5, Deed::Nth(4), Part::Conversations, ""),
    key(CONTROL, Key::Num6, Deed::Nth(5), Part::Conversations, ""),
    key(CONTROL, Key::Num7, Deed::Nth(6), Part::Conversations, ""),
    key(CONTROL, Key::Num8, Deed::Nth(7), Part::Conversations, ""),
    key(CONTROL, Key::Num9, Deed::Nth(8), Part::Conversations, ""),
    key(
        CONTROL,
        Key::F,
        Deed::SearchHere,
        Part::Messages,
        "Search in the conversation",
    ),
    key(
        CONTROL,
        Key::L,
        Deed::WriteHere,
        Part::Messages,
        "Go to where one writes",
    ),
    key(
        CONTROL,
        Key::J,
        Deed::Newest,
        Part::Messages,
        "Jump to the newest message",
    ),
    key(
        CONTROL,
        Key::M,
        Deed::Messages,
        Part::Messages,
        "Go to the messages",
    ),
    key(
        Modifiers::NONE,
        Key::F1,
        Deed::Guide,
        Part::Window,
        "This guide",
    ),
    key(
        Modifiers::NONE,
        Key::F2,
        Deed::Show(Screen::Chat),
        Part::Pages,
        "Chats",
    ),
    key(
        Modifiers::NONE,
        Key::F3,
        Deed::Show(Screen::Inbox),
        Part::Pages,
        "Inbox",
    ),
    key(
        Modifiers::NONE,
        Key::F4,
        Deed::Show(Screen::People),
        Part::Pages,
        "People",
    ),
    key(
        Modifiers::NONE,
        Key::F7,
        Deed::Show(Screen::Cluster),
        Part::Pages,
        "Cluster",
    ),
    key(
        CONTROL,
        Key::Comma,
        Deed::Show(Screen::Settings),
        Part::Pages,
        "Settings",
    ),
    key(
        Modifiers::NONE,
        Key::F5,
        Deed::Refresh,
        Part::Window,
        "Ask the servers again",
    ),
    key(
        CONTROL,
        Key::Plus,
        Deed::Larger,
        Part::Window,
        "Larger text",
    ),
    key(CONTROL, Key::Equals, Deed::Larger, Part::Window, ""),
    key(
        CONTROL,
        Key::Minus,
        Deed::Smaller,
        Part::Window,
        "Smaller text",
    ),
    key(
        CONTROL,
        Key::Num0,
        Deed::NormalSize,
        Part::Window,
        "Normal text",
    ),
    key(
        Modifiers::NONE,
        Key::Escape,
        Deed::Back,
        Part::Window,
        "Leave what is open",
    ),
    key(
        CONTROL,
        Key::Q,
        Deed::Quit,
        Part::Window,
        "Close the window",
    ),
];

/// Keys of single controls, for the guide.
pub const OF_CONTROLS: &[(Part, &str, &str)] = &[
    (Part::Messages, "Enter", "Send"),
    (Part::Messages, "Shift+Enter", "New line"),
    (Part::Messages, "Up, Down", "From message to message"),
    (Part::Messages, "Space", "Select the message"),
    (Part::Messages, "Enter", "Details of the message"),
    (Part::Messages, "Delete", "Delete, with Undo"),
    (Part::Messages, "Ctrl+C", "Copy"),
    (Part::Window, "Tab", "From control to control"),
];

/// Takes the keys out of the input that are for the window as a whole.
pub fn take(
    context: &Context,
    model: &Model,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    let deed = context.input_mut(|input| {
        SHORTCUTS
            .iter()
            .find(|shortcut| input.consume_shortcut(&shortcut.keys))
            .map(|shortcut| shortcut.deed)
    });
    let Some(deed) = deed else {
        return;
    };
    let free = matches!(
        deed,
        Deed::Larger | Deed::Smaller | Deed::NormalSize | Deed::Quit
    );
    let signed_in = model.account.is_some();
    if free || (deed == Deed::Back && signed_in) || (signed_in && model.dialog.is_none()) {
        carry_out(deed, model, state, actions);
    }
}

fn carry_out(deed: Deed, model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let to_chat = |actions: &mut Vec<UserAction>| {
        if model.screen != Screen::Chat {
            actions.push(UserAction::Show(Screen::Chat));
        }
    };
    let size = model.preferences.text_size;
    match deed {
        Deed::Show(screen) => actions.push(UserAction::Show(screen)),
        Deed::Conversation(step) => {
            to_chat(actions);
            actions.push(UserAction::StepConversation(step));
        }
        Deed::Unread(step) => {
            to_chat(actions);
            actions.push(UserAction::StepUnread(step));
        }
        Deed::Nth(place) => {
            to_chat(actions);
            actions.push(UserAction::OpenNth(place));
        }
        Deed::NewConversation => {
            actions.push(UserAction::Show(Screen::People));
            state.send_focus(Focus::People);
        }
        Deed::FilterConversations => {
            to_chat(actions);
            state.send_focus(Focus::ConversationFilter);
        }
        Deed::SearchHere => search(model, state, actions, false),
        Deed::SearchEverywhere => search(model, state, actions, true),
        Deed::WriteHere => {
            to_chat(actions);
            state.send_focus(Focus::Composer);
        }
        Deed::Newest => actions.push(UserAction::JumpToNewest),
        Deed::Messages => {
            to_chat(actions);
            state.send_focus(Focus::Messages);
        }
        Deed::Refresh => actions.push(UserAction::Refresh),
        Deed::Larger => actions.push(UserAction::SetTextSize(size.larger())),
        Deed::Smaller => actions.push(UserAction::SetTextSize(size.smaller())),
        Deed::NormalSize => actions.push(UserAction::SetTextSize(TextSize::default())),
        Deed::Guide => actions.push(UserAction::OpenDialog(Dialog::Shortcuts)),
        Deed::Back => actions.push(UserAction::Back),
        Deed::Quit => actions.push(UserAction::Quit),
    }
}

fn search(model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>, everywhere: bool) {
    let scope = match &model.open {
        Some(peer) if !everywhere => SearchScope::Conversation(peer.clone()),
        _ => SearchScope::Everywhere,
    };
    if model.screen != Screen::Chat {
        actions.push(UserAction::Show(Screen::Chat));
    }
    let same = model
        .message_search
        .as_ref()
        .is_some_and(|search| search.scope == scope);
    if !same {
        let text = state.search_text.clone();
        actions.push(UserAction::SearchMessages { scope, text });
    }
    state.send_focus(Focus::MessageSearch);
}

#[cfg(test)]
mod tests {
    use super::SHORTCUTS;

    use std::collections::HashSet;

    #[test]
    fn no_two_deeds_have_the_same_keys() {
        let mut seen = HashSet::new();
        for shortcut in SHORTCUTS {
            assert!(seen.insert(shortcut.keys), "{:?}", shortcut.keys);
        }
    }

    #[test]
    fn keys_with_shift_come_before_the_same_without() {
        for (place, shortcut) in SHORTCUTS.iter().enumerate() {
            let shadowed = SHORTCUTS[..place].iter().any(|before| {
                before.keys.logical_key == shortcut.keys.logical_key
                    && shortcut
                        .keys
                        .modifiers
                        .matches_logically(before.keys.modifiers)
            });
            assert!(!shadowed, "{:?} never comes", shortcut.keys);
        }
    }
}
