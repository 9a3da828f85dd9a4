//! Where one writes: a field that grows, and a button that sends.
//!
//! Deliberately absent: what is done with the text. Each change is an action, so that a draft is
//! never only here.

use egui::{
    CornerRadius, Event, Frame, Key, KeyboardShortcut, Margin, Modifiers, RichText, ScrollArea,
    Stroke, TextEdit, Ui, UiBuilder, Vec2,
};

use crate::model::action::UserAction;
use crate::model::names::{BODY_BYTES_MAX, Name};
use crate::theme::{self, FOCUS_RING, palette, radius, space};
use crate::views::control::buttons::focus_ring;
use crate::views::control::text::grouped;
use crate::views::icon::Icon;
use crate::views::state::{Composer, Focus, ViewState};

/// More lines than this are scrolled, so that what one answers to stays in sight.
const LINES_MAX: f32 = 8.0;

/// Bytes from which the length is shown: the person may run into the limit soon.
const LENGTH_SHOWN_FROM: usize = BODY_BYTES_MAX * 3 / 4;

/// Where one writes to `peer`.
pub fn composer_ui(ui: &mut Ui, peer: &Name, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let wants_focus = state.takes_focus(Focus::Composer);
    let composer = &mut state.composer;
    let id = ui.make_persistent_id("composer");
    if wants_focus {
        // Before the field is drawn: what was typed in this frame goes into it.
        ui.memory_mut(|memory| memory.request_focus(id));
    }
    let sends = ui.memory(|memory| memory.has_focus(id)) && take_send_key(ui);
    let row = ui.available_rect_before_wrap();
    let button = Vec2::splat(theme::control_height(ui) + 2.0);
    let gap = ui.spacing().item_spacing.x;
    let field = egui::Rect::from_min_max(
        row.min,
        egui::pos2(row.right() - button.x - gap, row.bottom()),
    );
    let edited = ui.scope_builder(UiBuilder::new().max_rect(field), |ui| {
        edit_ui(ui, id, peer, composer, actions);
    });
    // Beside the last line of the text: the row is as high as the text, and shrinks with it.
    let place = egui::Rect::from_min_size(
        egui::pos2(
            field.right() + gap,
            edited.response.rect.bottom() - button.y,
        ),
        button,
    );
    let sendable = is_sendable(&composer.text);
    let pressed = ui
        .scope_builder(UiBuilder::new().max_rect(place), |ui| {
            send_button(ui, button, sendable)
        })
        .inner;
    length_ui(ui, &composer.text);
    if (sends || pressed) && is_sendable(&composer.text) {
        actions.push(UserAction::Send {
            peer: peer.clone(),
            text: composer.text.clone(),
        });
        composer.text.clear();
        state.send_focus(Focus::Composer);
        ui.ctx().request_repaint();
    }
}

fn edit_ui(
    ui: &mut Ui,
    id: egui::Id,
    peer: &Name,
    composer: &mut Composer,
    actions: &mut Vec<UserAction>,
) {
    let colours = palette(ui);
    let focused = ui.memory(|memory| memory.has_focus(id));
    let stroke = if focused {
        Stroke::new(FOCUS_RING, colours.accent_text)
    } else {
        Stroke::new(1.0, colours.border_strong)
    };
    // The frame's own stroke is inside its margin, so that it does not push the text about.
    let inner = Margin::symmetric(14, 9);
    Frame::new()
        .fill(colours.sunken)
        .stroke(stroke)
        .corner_radius(CornerRadius::same(radius::CARD))
        .inner_margin(inner - Margin::from(stroke.width))
        .show(ui, |ui| {
            let line = ui.text_style_height(&egui::TextStyle::Body);
            // One line is as high as one line, and not as a button.
            ui.spacing_mut().interact_size.y = line;
            ScrollArea::vertical()
                .id_salt("composer lines")
                .max_height(line * LINES_MAX)
                // The panel is as high as the field was; the field must not look to the panel.
                .min_scrolled_height(line * LINES_MAX)
                .show(ui, |ui| {
                    let edit = TextEdit::multiline(&mut composer.text)
                        .id(id)
                        .frame(Frame::NONE)
                        .hint_text(format!("Message {peer}"))
                        .desired_rows(1)
                        .desired_width(f32::INFINITY)
                        .return_key(KeyboardShortcut::new(Modifiers::SHIFT, Key::Enter));
                    let response = ui.add(edit);
                    ui.ctx().accesskit_node_builder(response.id, |node| {
                        node.set_label(format!("Message to {peer}"));
                    });
                    if response.changed() {
                        actions.push(UserAction::EditDraft {
                            peer: peer.clone(),
                            text: composer.text.clone(),
                        });
                    }
                });
        });
}

fn send_button(ui: &mut Ui, size: Vec2, sendable: bool) -> bool {
    let colours = palette(ui);
    let sense = if sendable {
        egui::Sense::click()
    } else {
        egui::Sense::hover()
    };
    let (rect, response) = ui.allocate_exact_size(size, sense);
    response
        .widget_info(|| egui::WidgetInfo::labeled(egui::accesskit::Role::Button, sendable, "Send"));
    let (fill, front) = if !sendable {
        (colours.hover, colours.border_strong)
    } else if response.hovered() {
        (colours.accent_hover, colours.on_accent)
    } else {
        (colours.accent, colours.on_accent)
    };
    ui.painter()
        .rect_filled(rect, CornerRadius::same(radius::CARD), fill);
    Icon::Send.paint(ui.painter(), rect, rect.height() / 2.0, front);
    focus_ring(ui, &response, radius::CARD);
    response.on_hover_text("Send (Enter)").clicked()
}

/// How long the text is, as soon as that may matter.
fn length_ui(ui: &mut Ui, text: &str) {
    if text.len() < LENGTH_SHOWN_FROM {
        return;
    }
    let colours = palette(ui);
    let colour = if text.len() > BODY_BYTES_MAX {
        colours.bad
    } else {
        colours.muted
    };
    let length = format!(
        "{} of {} bytes",
        grouped(text.len() as u64),
        grouped(BODY_BYTES_MAX as u64)
    );
    ui.add_space(space::TINY);
    ui.label(RichText::new(length).small().color(colour));
}

fn is_sendable(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= BODY_BYTES_MAX
}

/// Takes an Enter that is meant to send out of the input, before the field breaks the line with it.
///
/// `consume_key` would also take Shift+Enter, which breaks the line. And an Enter in a frame with
/// an event of an input method ends the composition of a word: it does not send.
fn take_send_key(ui: &Ui) -> bool {
    ui.input_mut(|input| {
        let composing = input
            .events
            .iter()
            .any(|event| matches!(event, Event::Ime(_)));
        if composing {
            return false;
        }
        let before = input.events.len();
        input.events.retain(|event| !is_send_key(event));
        input.events.len() != before
    })
}

fn is_send_key(event: &Event) -> bool {
    matches!(
        event,
        Event::Key {
            key: Key::Enter,
            pressed: true,
            modifiers,
            ..
        } if !modifiers.shift && !modifiers.alt
    )
}

#[cfg(test)]
mod tests {
    use super::{is_send_key, is_sendable};

    use egui::{Event, Key, Modifiers};

    fn enter(modifiers: Modifiers) -> Event {
        Event::Key {
            key: Key::Enter,
            physical_key: None,
            pressed: true,
            repeat: false,
            modifiers,
        }
    }

    #[test]
    fn enter_sends_and_shift_enter_does_not() {
        assert!(is_send_key(&enter(Modifiers::NONE)));
        assert!(is_send_key(&enter(Modifiers::COMMAND)));
        assert!(!is_send_key(&enter(Modifiers::SHIFT)));
        assert!(!is_send_key(&Event::Text("a".to_owned())));
    }

    #[test]
    fn white_space_alone_is_not_sent() {
        assert!(!is_sendable(" \n\t "));
        assert!(is_sendable(" a "));
        assert!(!is_sendable(&"a".repeat(16_385)));
    }
}
