//! The notices at the lower edge: that something worked, that something did not, and what can
//! still be undone.
//!
//! Deliberately absent: when a notice goes; the model decides that.

use egui::accesskit::{Live, Role};
use egui::{Align2, Area, CornerRadius, Frame, Id, Margin, Order, RichText, Stroke, Ui, UiBuilder};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::notice::{Notice, NoticeKind};
use crate::theme::{self, palette, radius, space};
use crate::views::control::buttons::{icon_button, link_button};
use crate::views::control::surfaces::row;
use crate::views::control::text::with_code;
use crate::views::icon::Icon;

/// How wide a notice is at most.
const WIDTH: f32 = 420.0;

/// All notices, the newest at the bottom.
pub fn notices_ui(ui: &Ui, model: &Model, actions: &mut Vec<UserAction>) {
    if model.notices.is_empty() {
        return;
    }
    Area::new(Id::unique("notices"))
        .order(Order::Foreground)
        .anchor(Align2::CENTER_BOTTOM, egui::vec2(0.0, -88.0))
        .show(ui.ctx(), |ui| {
            ui.set_max_width(WIDTH.min(ui.ctx().content_rect().width() - 40.0));
            for notice in &model.notices {
                notice_ui(ui, notice, actions);
            }
        });
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
                    let buttons = theme::CONTROL_HEIGHT
                        + notice.action.as_ref().map_or(0.0, |_| 90.0)
                        + space::LARGE;
                    let width = (WIDTH - buttons - 46.0).min(ui.available_width() - buttons);
                    ui.vertical(|ui| {
                        ui.set_max_width(width);
                        ui.spacing_mut().item_spacing.y = 2.0;
                        if notice.detail.is_empty() {
                            let line = ui.text_style_height(&theme::strong());
                            ui.add_space(((theme::CONTROL_HEIGHT - line) / 2.0).max(0.0));
                        }
                        ui.label(RichText::new(&notice.text).text_style(theme::strong()));
                        if !notice.detail.is_empty() {
                            let style = egui::TextStyle::Body;
                            let text = with_code(ui, &notice.detail, &style, colours.muted);
                            ui.label(text);
                        }
                    });
                    if let Some(offer) = &notice.action
                        && link_button(ui, offer.label).clicked()
                    {
                        actions.push((*offer.action).clone());
                    }
                    if notice.kind == NoticeKind::Error
                        && icon_button(ui, Icon::Copy, "Copy this message").clicked()
                    {
                        ui.ctx()
                            .copy_text(format!("{} {}", notice.text, notice.detail));
                    }
                    if icon_button(ui, Icon::Close, "Dismiss").clicked() {
                        actions.push(UserAction::DismissNotice(notice.id));
                    }
                });
            });
    });
    ui.ctx()
        .accesskit_node_builder(shown.response.id, |node| node.set_live(live));
    ui.add_space(space::TINY);
}
