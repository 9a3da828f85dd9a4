//! The notices at the lower edge: that something worked, that something did not, and what can
//! still be undone.
//!
//! Deliberately absent: when a notice goes; the model decides that.

use egui::accesskit::{Live, Role};
use egui::{CornerRadius, Frame, Margin, Panel, RichText, ScrollArea, Stroke, Ui, UiBuilder};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::notice::{Notice, NoticeKind};
use crate::theme::{self, palette, radius, space};
use crate::views::control::buttons::{icon_button, link_button};
use crate::views::control::surfaces::row;
use crate::views::control::text::{one_line, with_code};
use crate::views::icon::Icon;

/// How wide a notice is at most.
const WIDTH: f32 = 520.0;
/// The share of the window's height that notices take at most; more are scrolled.
const HEIGHT_SHARE: f32 = 0.4;

/// All notices, the newest at the bottom, below what follows in `ui`: they cover nothing.
pub fn notices_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    if model.notices.is_empty() {
        return;
    }
    let height = ui.ctx().content_rect().height() * HEIGHT_SHARE;
    Panel::bottom("notices")
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::new().inner_margin(Margin::symmetric(12, 4)))
        .show(ui, |ui| {
            // The panel is as high as the notices were; these must not look to the panel.
            let list = ScrollArea::vertical()
                .max_height(height)
                .min_scrolled_height(height);
            list.show(ui, |ui| {
                let width = WIDTH.min(ui.available_width());
                let left = (ui.available_width() - width) / 2.0;
                ui.horizontal_top(|ui| {
                    ui.add_space(left);
                    ui.vertical(|ui| {
                        ui.set_max_width(width);
                        for notice in &model.notices {
                            notice_ui(ui, notice, actions);
                        }
                    });
                });
            });
        });
}

/// How wide the buttons are, with the spaces before them.
fn buttons_width(ui: &Ui, notice: &Notice) -> f32 {
    let space = ui.spacing().item_spacing.x;
    let offer = notice.action.as_ref().map_or(0.0, |offer| {
        let muted = palette(ui).muted;
        let label = one_line(ui, offer.label, theme::strong(), muted, f32::INFINITY);
        label.size().x + 2.0 * ui.spacing().button_padding.x + space
    });
    let icons = if notice.kind == NoticeKind::Error {
        2.0
    } else {
        1.0
    };
    offer + icons * (theme::control_height(ui) + space)
}

fn buttons_ui(ui: &mut Ui, notice: &Notice, actions: &mut Vec<UserAction>) {
    if let Some(offer) = &notice.action
        && link_button(ui, offer.label).clicked()
    {
        actions.push((*offer.action).clone());
    }
    if notice.kind == NoticeKind::Error && icon_button(ui, Icon::Copy, "Copy").clicked() {
        ui.ctx()
            .copy_text(format!("{} {}", notice.text, notice.detail));
    }
    if icon_button(ui, Icon::Close, "Dismiss").clicked() {
        actions.push(UserAction::DismissNotice(notice.id));
    }
}

fn texts_ui(ui: &mut Ui, notice: &Notice) {
    ui.spacing_mut().item_spacing.y = 2.0;
    if notice.detail.is_empty() {
        let line = ui.text_style_height(&theme::strong());
        ui.add_space(((theme::control_height(ui) - line) / 2.0).max(0.0));
    }
    ui.label(RichText::new(&notice.text).text_style(theme::strong()));
    if !notice.detail.is_empty() {
        let muted = palette(ui).muted;
        let text = with_code(ui, &notice.detail, &egui::TextStyle::Body, muted);
        ui.label(text);
    }
}

fn notice_ui(ui: &mut Ui, notice: &Notice, actions: &mut Vec<UserAction>) {
    let colours = palette(ui);
    let (role, live, icon, front) = match notice.kind {
        NoticeKind::Confirmation => (Role::Status, Live::Polite, Icon::Check, colours.good),
        NoticeKind::Error => (Role::Alert, Live::Assertive, Icon::Warning, colours.bad),
        NoticeKind::Undo => (Role::Status, Live::Polite, Icon::Trash, colours.muted),
    };
    let region = UiBuilder::new()
        .id_salt(notice.id.0)
        .accessibility_role(role)
        .accessibility_label(notice.text.clone());
    let shown = ui.scope_builder(region, |ui| {
        Frame::new()
            .fill(colours.raised)
            .stroke(Stroke::new(1.0, colours.border_strong))
            .corner_radius(CornerRadius::same(radius::CARD))
            .shadow(ui.visuals().popup_shadow)
            .inner_margin(Margin::symmetric(14, 8))
            .show(ui, |ui| {
                row(ui, |ui| {
                    icon.show(ui, 18.0, front);
                    let width = ui.available_width() - buttons_width(ui, notice);
                    ui.vertical(|ui| {
                        ui.set_width(width.max(40.0));
                        texts_ui(ui, notice);
                    });
                    buttons_ui(ui, notice, actions);
                });
            });
    });
    ui.ctx()
        .accesskit_node_builder(shown.response.id, |node| node.set_live(live));
    ui.add_space(space::TINY);
}
