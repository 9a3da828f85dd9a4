//! All keys of the window: what they do, and the guide that lists them. One table serves both, so
//! that the guide cannot be wrong.
//!
//! Deliberately absent: keys that belong to one control (Enter in the composer, arrows in the list
//! of messages); those are listed in the guide and handled where they belong.

use egui::{Context, Key, KeyboardShortcut, Modifiers, Popup};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::navigation::{Dialog, Screen, Step};
use crate::model::preferences::TextSize;
use crate::model::search::SearchScope;
use crate::views::state::{Focus, ViewState};

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAction {
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
    /// Goes to the search above the list of conversations.
    Search,
    /// Lists only conversations with unread messages, or all again.
    UnreadOnly,
    /// Brings back what was deleted last.
    Undo,
    /// Searches in the open conversation.
    SearchHere,
    /// Focuses the composer.
    WriteHere,
    /// Goes to the newest message.
    Newest,
    /// Focuses the list of messages.
    Messages,
    /// Fetches everything from the servers again.
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
    pub action: KeyAction,
    /// In which part of the guide it is listed.
    pub part: Part,
    /// The text in the guide; empty for keys that are listed with another one.
    pub text: &'static str,
}

const CONTROL: Modifiers = Modifiers::COMMAND;
const CONTROL_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);
const ALT: Modifiers = Modifiers::ALT;
const ALT_SHIFT: Modifiers = Modifiers::ALT.plus(Modifiers::SHIFT);

const fn key(
    modifiers: Modifiers,
    key: Key,
    action: KeyAction,
    part: Part,
    text: &'static str,
) -> Shortcut {
    Shortcut {
        keys: KeyboardShortcut::new(modifiers, key),
        action,
        part,
        text,
    }
}

/// A conversation by its place; the guide lists only the first of these.
const fn nth(digit: Key, place: usize) -> Shortcut {
    let action = KeyAction::Nth(place);
    key(CONTROL, digit, action, Part::Conversations, "")
}

/// All of them. Those with more modifiers come first: egui takes a key with Shift for one without.
pub const SHORTCUTS: &[Shortcut] = &[
    key(
        ALT_SHIFT,
        Key::ArrowDown,
        KeyAction::Unread(Step::Next),
        Part::Conversations,
        "Next unread chat",
    ),
    key(
        ALT_SHIFT,
        Key::ArrowUp,
        KeyAction::Unread(Step::Previous),
        Part::Conversations,
        "Previous unread chat",
    ),
    key(CONTROL_SHIFT, Key::F, KeyAction::Search, Part::Messages, ""),
    key(
        ALT,
        Key::ArrowDown,
        KeyAction::Conversation(Step::Next),
        Part::Conversations,
        "Next chat",
    ),
    key(
        ALT,
        Key::ArrowUp,
        KeyAction::Conversation(Step::Previous),
        Part::Conversations,
        "Previous chat",
    ),
    key(
        CONTROL,
        Key::K,
        KeyAction::Search,
        Part::Conversations,
        "Search everything",
    ),
    key(
        CONTROL,
        Key::N,
        KeyAction::NewConversation,
        Part::Conversations,
        "New message",
    ),
    key(
        CONTROL,
        Key::Num1,
        KeyAction::Nth(0),
        Part::Conversations,
        "Open chat 1–9",
    ),
    nth(Key::Num2, 1),
    nth(Key::Num3, 2),
    nth(Key::Num4, 3),
    nth(Key::Num5, 4),
    nth(Key::Num6, 5),
    nth(Key::Num7, 6),
    nth(Key::Num8, 7),
    nth(Key::Num9, 8),
    key(
        CONTROL,
        Key::F,
        KeyAction::SearchHere,
        Part::Messages,
        "Search in this chat",
    ),
    key(
        CONTROL,
        Key::L,
        KeyAction::WriteHere,
        Part::Messages,
        "Focus the composer",
    ),
    key(
        CONTROL,
        Key::Z,
        KeyAction::Undo,
        Part::Messages,
        "Undo delete",
    ),
    key(
        CONTROL,
        Key::J,
        KeyAction::Newest,
        Part::Messages,
        "Jump to newest message",
    ),
    key(
        CONTROL,
        Key::M,
        KeyAction::Messages,
        Part::Messages,
        "Focus the messages",
    ),
    key(
        Modifiers::NONE,
        Key::F1,
        KeyAction::Guide,
        Part::Window,
        "Shortcuts",
    ),
    key(
        Modifiers::NONE,
        Key::F2,
        KeyAction::Show(Screen::Chat),
        Part::Pages,
        "Chats",
    ),
    key(
        Modifiers::NONE,
        Key::F3,
        KeyAction::UnreadOnly,
        Part::Conversations,
        "Unread chats only",
    ),
    key(
        Modifiers::NONE,
        Key::F4,
        KeyAction::Show(Screen::People),
        Part::Pages,
        "People",
    ),
    key(
        Modifiers::NONE,
        Key::F7,
        KeyAction::Show(Screen::Cluster),
        Part::Pages,
        "Cluster",
    ),
    key(
        CONTROL,
        Key::Comma,
        KeyAction::Show(Screen::Settings),
        Part::Pages,
        "Settings",
    ),
    key(
        Modifiers::NONE,
        Key::F5,
        KeyAction::Refresh,
        Part::Window,
        "Refresh",
    ),
    key(
        CONTROL,
        Key::Plus,
        KeyAction::Larger,
        Part::Window,
        "Larger text",
    ),
    key(CONTROL, Key::Equals, KeyAction::Larger, Part::Window, ""),
    key(
        CONTROL,
        Key::Minus,
        KeyAction::Smaller,
        Part::Window,
        "Smaller text",
    ),
    key(
        CONTROL,
        Key::Num0,
        KeyAction::NormalSize,
        Part::Window,
        "Normal text",
    ),
    key(
        Modifiers::NONE,
        Key::Escape,
        KeyAction::Back,
        Part::Window,
        "Close",
    ),
    key(CONTROL, Key::Q, KeyAction::Quit, Part::Window, "Quit"),
];

/// Keys of single controls, for the guide.
pub const OF_CONTROLS: &[(Part, &str, &str)] = &[
    (Part::Conversations, "Up, Down", "From result to result"),
    (Part::Messages, "Enter", "Send"),
    (Part::Messages, "Shift+Enter", "New line"),
    (Part::Messages, "Up, Down", "From message to message"),
    (Part::Messages, "Space", "Select the message"),
    (Part::Messages, "Enter", "Details of the message"),
    (Part::Messages, "Delete", "Delete"),
    (Part::Messages, "Ctrl+C", "Copy"),
    (Part::Messages, "Menu", "Menu of the message or chat"),
    (Part::Window, "Tab", "From control to control"),
];

/// Takes the keys out of the input that are for the window as a whole.
pub fn take(
    context: &Context,
    model: &Model,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    let can_undo = state.undoes_deletion(model).is_some();
    // A menu takes Esc itself.
    let in_menu = Popup::is_any_open(context);
    let applies = |shortcut: &&Shortcut| match shortcut.action {
        KeyAction::Undo => can_undo,
        KeyAction::Back => !in_menu,
        _ => true,
    };
    let action = context.input_mut(|input| {
        SHORTCUTS
            .iter()
            .filter(applies)
            .find(|shortcut| input.consume_shortcut(&shortcut.keys))
            .map(|shortcut| shortcut.action)
    });
    let Some(action) = action else {
        return;
    };
    let free = matches!(
        action,
        KeyAction::Larger | KeyAction::Smaller | KeyAction::NormalSize | KeyAction::Quit
    );
    let signed_in = model.account.is_some();
    if free || (action == KeyAction::Back && signed_in) || (signed_in && model.dialog.is_none()) {
        perform(action, model, state, actions);
    }
}

fn perform(action: KeyAction, model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let to_chat = |actions: &mut Vec<UserAction>| show_chats(model, actions);
    let size = model.preferences.text_size;
    match action {
        KeyAction::Show(screen) => actions.push(UserAction::Show(screen)),
        KeyAction::Conversation(step) => {
            to_chat(actions);
            actions.push(UserAction::StepConversation(step));
        }
        KeyAction::Unread(step) => {
            to_chat(actions);
            actions.push(UserAction::StepUnread(step));
        }
        KeyAction::Nth(place) => {
            to_chat(actions);
            actions.push(UserAction::OpenNth(place));
        }
        KeyAction::NewConversation => {
            actions.push(UserAction::Show(Screen::People));
            state.send_focus(Focus::People);
        }
        KeyAction::Search => search(model, state, actions),
        KeyAction::UnreadOnly => {
            to_list(model, state, actions);
            if model.search().is_some() {
                state.clear_search(actions);
            }
            state.filter.unread_only = !state.filter.unread_only;
        }
        KeyAction::Undo => {
            if let Some(notice) = state.undoes_deletion(model) {
                actions.push(UserAction::UndoDelete(notice));
                state.send_focus(Focus::Composer);
            }
        }
        KeyAction::SearchHere => search_here(model, state, actions),
        KeyAction::WriteHere => {
            to_chat(actions);
            state.send_focus(Focus::Composer);
        }
        KeyAction::Newest => actions.push(UserAction::JumpToNewest),
        KeyAction::Messages => {
            to_chat(actions);
            state.send_focus(Focus::Messages);
        }
        KeyAction::Refresh => actions.push(UserAction::Refresh),
        KeyAction::Larger => actions.push(UserAction::SetTextSize(size.larger())),
        KeyAction::Smaller => actions.push(UserAction::SetTextSize(size.smaller())),
        KeyAction::NormalSize => actions.push(UserAction::SetTextSize(TextSize::default())),
        KeyAction::Guide => actions.push(UserAction::OpenDialog(Dialog::Shortcuts)),
        KeyAction::Back => {
            if !state.leave_search(model, actions) {
                actions.push(UserAction::Back);
            }
        }
        KeyAction::Quit => actions.push(UserAction::Quit),
    }
}

fn show_chats(model: &Model, actions: &mut Vec<UserAction>) {
    if model.screen != Screen::Chat {
        actions.push(UserAction::Show(Screen::Chat));
    }
}

/// To the list of conversations, which a narrow window shows only while none is open.
fn to_list(model: &Model, state: &ViewState, actions: &mut Vec<UserAction>) {
    show_chats(model, actions);
    if state.one_pane && model.open.is_some() {
        actions.push(UserAction::CloseConversation);
    }
}

fn search(model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    to_list(model, state, actions);
    state.send_focus(Focus::Search);
}

fn search_here(model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let Some(peer) = &model.open else {
        search(model, state, actions);
        return;
    };
    show_chats(model, actions);
    let scope = SearchScope::Conversation(peer.clone());
    let open = model.message_search.as_ref();
    if open.is_none_or(|search| search.scope != scope) {
        actions.push(UserAction::SearchIn {
            peer: peer.clone(),
            text: state.search_text.clone(),
        });
    }
    state.send_focus(Focus::MessageSearch);
}

#[cfg(test)]
mod tests {
    use super::SHORTCUTS;

    use std::collections::HashSet;

    #[test]
    fn no_two_actions_have_the_same_keys() {
        let mut seen = HashSet::new();
        for shortcut in SHORTCUTS {
            assert!(seen.insert(shortcut.keys), "{:?}", shortcut.keys);
        }
    }

    #[test]
    fn shortcuts_with_shift_are_matched_first() {
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
