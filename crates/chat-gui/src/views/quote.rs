//! What a message replies to: beside the composer while it is written, and in the bubble above the
//! text. Always two lines, so that a row does not change its height when the quoted message arrives or
//! is deleted.
//!
//! Deliberately absent: the bubble around it, and finding the quoted message.

use std::sync::Arc;

use egui::accesskit::Role;
use egui::{Color32, CornerRadius, Galley, Rect, Sense, TextStyle, Ui, Vec2, WidgetInfo, vec2};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::message::Message;
use crate::model::names::{MessageId, Name};
use crate::theme::{self, palette, space};
use crate::views::control::buttons::icon_button;
use crate::views::control::surfaces::row_of;
use crate::views::control::text::{ONE_LINE_CHARACTERS, one_line};
use crate::views::icon::Icon;

/// The bar on the left of a quote, and the gap between it and the words.
const BAR: f32 = 3.0;
const BAR_GAP: f32 = 9.0;
/// Between the two lines.
const LINE_GAP: f32 = 1.0;
/// Between a quote and the text of its bubble.
const BELOW: f32 = 7.0;

/// What is quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Who wrote it; what to say if that is not known.
    pub who: String,
    /// The beginning of its text.
    pub text: String,
    /// Which message, if it is here.
    pub id: Option<MessageId>,
}

/// A quote, laid out.
#[derive(Debug)]
pub struct LaidQuote {
    who: Arc<Galley>,
    text: Arc<Galley>,
    colour: Color32,
}

impl Quote {
    /// What a message with `peer` replies to; `None` if it replies to none.
    pub fn of(model: &Model, peer: &Name, reply_to: Option<MessageId>) -> Option<Self> {
        let id = reply_to?;
        let Some(message) = model.quoted(peer, id) else {
            return Some(Self {
                who: "Reply".to_owned(),
                text: "The message is not on this device.".to_owned(),
                id: None,
            });
        };
        Some(Self {
            who: writer(message),
            text: message.body.chars().take(ONE_LINE_CHARACTERS).collect(),
            id: Some(id),
        })
    }

    /// Lays it out in at most `width` points.
    pub fn lay_out(&self, ui: &Ui, colour: Color32, width: f32) -> LaidQuote {
        let room = width - BAR - BAR_GAP;
        LaidQuote {
            who: one_line(ui, &self.who, theme::small_strong(), colour, room),
            text: one_line(ui, &self.text, TextStyle::Small, colour, room),
            colour,
        }
    }
}

impl LaidQuote {
    /// Its size, with the gap below it.
    pub fn size(&self) -> Vec2 {
        let width = self.who.size().x.max(self.text.size().x);
        vec2(BAR + BAR_GAP + width, self.height() + BELOW)
    }

    fn height(&self) -> f32 {
        self.who.size().y + LINE_GAP + self.text.size().y
    }

    /// Paints it with its upper left corner at `place`; returns where it is.
    pub fn paint(&self, ui: &Ui, place: egui::Pos2) -> Rect {
        let rect = Rect::from_min_size(place, vec2(self.size().x, self.height()));
        let bar = Rect::from_min_size(rect.min, vec2(BAR, rect.height()));
        ui.painter()
            .rect_filled(bar, CornerRadius::same(1), self.colour);
        let words = rect.min + vec2(BAR + BAR_GAP, 0.0);
        ui.painter()
            .galley(words, Arc::clone(&self.who), self.colour);
        let below = words + vec2(0.0, self.who.size().y + LINE_GAP);
        ui.painter()
            .galley(below, Arc::clone(&self.text), self.colour);
        rect
    }
}

/// What the next message replies to, above the composer, with a button that takes it away.
pub fn reply_ui(ui: &mut Ui, model: &Model, peer: &Name, actions: &mut Vec<UserAction>) {
    let draft = model.conversations.get(peer).map(|one| &one.draft);
    let reply_to = draft.and_then(|draft| draft.reply_to);
    let Some(quote) = Quote::of(model, peer, reply_to) else {
        return;
    };
    let button = theme::control_height(ui);
    row_of(ui, button, |ui| {
        let width = ui.available_width() - button - space::SMALL;
        let laid_out = quote.lay_out(ui, palette(ui).muted, width);
        let size = vec2(width, laid_out.height());
        let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
        let label = format!("Replying to {}: {}", quote.who, quote.text);
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &label));
        laid_out.paint(ui, rect.min);
        if icon_button(ui, Icon::Close, "Cancel reply").clicked() {
            actions.push(UserAction::CancelReply(peer.clone()));
        }
    });
    ui.add_space(space::TINY);
}

fn writer(message: &Message) -> String {
    if message.is_own() {
        "You".to_owned()
    } else {
        message.peer.to_string()
    }
}
