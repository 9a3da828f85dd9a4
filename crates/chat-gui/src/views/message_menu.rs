//! The menu of a message in its conversation.
//!
//! Deliberately absent: doing what it offers.

use egui::{Rect, Response, Ui};

use crate::model::action::UserAction;
use crate::model::links::Link;
use crate::model::message::{Message, MessageState};
use crate::model::names::Name;
use crate::model::navigation::Dialog;
use crate::views::menu_key;

/// How many links of a message are offered; more would hide the rest of the menu.
const LINKS_OFFERED: usize = 3;
/// The longest part of an address that is an entry.
const LINK_CHARACTERS: usize = 32;

/// A message and what its menu is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessageMenu<'a> {
    /// With whom the conversation is.
    pub(super) peer: &'a Name,
    /// Of whom it is the menu.
    pub(super) message: &'a Message,
    /// Where the message is, for a menu that the keyboard opens.
    pub(super) place: Rect,
    /// Whether the keyboard opens it now.
    pub(super) opens: bool,
}

impl MessageMenu<'_> {
    /// Opens on a right click on `response`, or now.
    pub(super) fn show<'l>(
        self,
        response: &Response,
        links: impl Iterator<Item = &'l Link>,
        actions: &mut Vec<UserAction>,
    ) {
        let menu = menu_key::menu(response, self.opens, self.place.left_bottom());
        menu.show(|ui| {
            ui.set_min_width(180.0);
            let links: Vec<&Link> = links.take(LINKS_OFFERED).collect();
            self.entries(ui, &links, actions);
        });
    }

    fn entries(self, ui: &mut Ui, links: &[&Link], actions: &mut Vec<UserAction>) {
        let message = self.message;
        let copy = ui.button("Copy text");
        if self.opens {
            copy.request_focus();
        }
        if copy.clicked() {
            ui.ctx().copy_text(message.body.to_string());
            actions.push(UserAction::Copied);
            ui.close();
        }
        if message.commit().is_some() && ui.button("Reply").clicked() {
            actions.push(UserAction::Reply(message.id));
            ui.close();
        }
        for link in links {
            let text = match links.len() {
                1 => "Open link…".to_owned(),
                _ => format!("Open link: {}", link.shortened(LINK_CHARACTERS)),
            };
            if ui.button(text).clicked() {
                let dialog = Dialog::OpenLink((*link).clone());
                actions.push(UserAction::OpenDialog(dialog));
                ui.close();
            }
        }
        if ui.button("Select").clicked() {
            actions.push(UserAction::ToggleSelected(message.id));
            ui.close();
        }
        if ui.button("Details…").clicked() {
            let details = Dialog::MessageDetails(self.peer.clone(), message.id);
            actions.push(UserAction::OpenDialog(details));
            ui.close();
        }
        if matches!(message.state, MessageState::Pending(_)) {
            if ui.button("Cancel sending and edit").clicked() {
                actions.push(UserAction::TakeBack(message.id));
                ui.close();
            }
        } else if matches!(message.state, MessageState::NotSent { .. }) {
            if ui.button("Discard").clicked() {
                actions.push(UserAction::Discard(message.id));
                ui.close();
            }
        } else if ui.button("Delete").clicked() {
            actions.push(UserAction::Delete(vec![message.id]));
            ui.close();
        }
    }
}
