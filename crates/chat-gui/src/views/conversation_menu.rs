//! The menu of a line in the list of conversations.
//!
//! Deliberately absent: doing what it offers.

use egui::Response;

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::names::Name;
use crate::model::navigation::Dialog;
use crate::views::menu_key;

/// Opens on a right click on the line, or by the menu key while the line has the keyboard.
pub(super) fn conversation_menu_ui(
    line: &Response,
    model: &Model,
    peer: &Name,
    actions: &mut Vec<UserAction>,
) {
    let opens = menu_key::is_pressed(line);
    let by_keys = menu_key::is_open_by_keys(line);
    menu_key::menu(line, opens, line.rect.left_bottom()).show(|ui| {
        ui.set_min_width(180.0);
        for (place, (text, action)) in offers(model, peer).into_iter().enumerate() {
            let entry = ui.button(text);
            if opens && place == 0 {
                entry.request_focus();
            }
            if entry.clicked() {
                actions.push(action);
                ui.close();
            }
        }
    });
    if by_keys && !menu_key::is_open_by_keys(line) {
        // The keyboard goes back to where it was, unless a dialog takes it.
        line.request_focus();
    }
}

fn offers(model: &Model, peer: &Name) -> [(&'static str, UserAction); 5] {
    let conversation = model.conversations.get(peer);
    let unread = conversation.is_some_and(|one| one.unread > 0);
    let reading = if unread {
        ("Mark as read", UserAction::MarkRead(peer.clone()))
    } else {
        ("Mark as unread", UserAction::MarkUnread(peer.clone()))
    };
    let pinned = model.marks.pinned.contains(peer);
    let muted = conversation.is_some_and(|one| one.muted);
    let pin = UserAction::SetPinned {
        peer: peer.clone(),
        pinned: !pinned,
    };
    let mute = UserAction::SetMuted {
        peer: peer.clone(),
        muted: !muted,
    };
    let date = Dialog::GoToDate {
        peer: peer.clone(),
        wrong: None,
    };
    let delete = Dialog::DeleteChat(peer.clone());
    [
        reading,
        (if pinned { "Unpin" } else { "Pin" }, pin),
        (if muted { "Unmute" } else { "Mute" }, mute),
        ("Go to date…", UserAction::OpenDialog(date)),
        ("Delete chat…", UserAction::OpenDialog(delete)),
    ]
}
