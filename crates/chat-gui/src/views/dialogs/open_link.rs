//! Before a link of a message is opened: where it leads.
//!
//! Deliberately absent: following a link without this question.

use egui::{CornerRadius, Frame, Label, Margin, OpenUrl, RichText, ScrollArea, Ui};

use crate::model::action::UserAction;
use crate::model::links::Link;
use crate::theme::{self, palette, radius, space};
use crate::views::control::buttons::{button, primary_button};
use crate::views::control::surfaces::{Tone, message_box};
use crate::views::control::text::caption;
use crate::views::dialogs::buttons::buttons_ui;
use crate::views::state::{Focus, ViewState};

/// What the title and the buttons need of the window's height, in points at normal text size.
const HEIGHT_OF_REST: f32 = 240.0;
/// The least height of what is between them, which is scrolled if it is higher.
const HEIGHT_MIN: f32 = 120.0;

/// Shows the site and the whole address, and asks.
pub(super) fn open_link_ui(
    ui: &mut Ui,
    link: &Link,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    let room = ui.ctx().content_rect().height() - HEIGHT_OF_REST * theme::scale(ui);
    ScrollArea::vertical()
        .max_height(room.max(HEIGHT_MIN))
        .show(ui, |ui| {
            site_ui(ui, link);
            warnings_ui(ui, link);
            ui.add_space(space::TINY);
            caption(ui, "The whole address:");
            let address = RichText::new(link.written()).monospace();
            ui.add(Label::new(address).wrap().selectable(true));
        });
    let wants_focus = state.takes_focus(Focus::Dialog);
    buttons_ui(ui, |ui| {
        if primary_button(ui, "Open", true).clicked() {
            ui.ctx().open_url(OpenUrl::new_tab(link.address()));
            actions.push(UserAction::Back);
        }
        if button(ui, "Copy link").clicked() {
            ui.ctx().copy_text(link.written().to_owned());
            actions.push(UserAction::Back);
            actions.push(UserAction::Copied);
        }
        let cancel = button(ui, "Cancel");
        if wants_focus {
            // Enter, pressed once too often, opens nothing.
            cancel.request_focus();
        }
        if cancel.clicked() {
            actions.push(UserAction::Back);
        }
    });
}

/// The host on a line of its own.
fn site_ui(ui: &mut Ui, link: &Link) {
    caption(ui, "It leads to this site:");
    let colours = palette(ui);
    Frame::new()
        .fill(colours.accent_soft)
        .corner_radius(CornerRadius::same(radius::CONTROL))
        .inner_margin(Margin::symmetric(12, 8))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            let host = RichText::new(link.host())
                .text_style(theme::title())
                .color(colours.accent_text);
            ui.add(Label::new(host).wrap());
        });
}

/// What may make a person take the site for another one.
fn warnings_ui(ui: &mut Ui, link: &Link) {
    if let Some(letters) = link.host_in_letters() {
        ui.add_space(space::TINY);
        message_box(
            ui,
            Tone::Warn,
            "This site may imitate another one.",
            &format!(
                "Its name is written as {letters}, with letters that can look like others. Open it only if you trust it."
            ),
        );
    }
    if link.has_user() {
        ui.add_space(space::TINY);
        message_box(
            ui,
            Tone::Warn,
            "This link may imitate another site.",
            "What is before the @ in the address is not the site. Open it only if you trust it.",
        );
    }
}
