//! The menu of a line in the list of conversations.
//!
//! Deliberately absent: doing what it offers.

use egui::{Popup, Response};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::names::Name;
use crate::model::navigation::Dialog;

/// Opens on a right click on the line.
pub(super) fn conversation_menu_ui(
    line: &Response,
    model: &Model,
    peer: &Name,
    actions: &mut Vec<UserAction>,
) {
    Popup::context_menu(line).show(|ui| {
        ui.set_min_width(180.0);
        for (text, action) in offers(model, peer) {
            if ui.button(text).clicked() {
                actions.push(action);
                ui.close();
            }
        }
    });
}

fn offers(model: &Model, peer: &Name) -> [(&'static str, UserAction); 4] {
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
    let delete = Dialog::DeleteChat(peer.clone());
    [
        reading,
        (if pinned { "Unpin" } else { "Pin" }, pin),
        (if muted { "Unmute" } else { "Mute" }, mute),
        ("Delete chat…", UserAction::OpenDialog(delete)),
    ]
}
