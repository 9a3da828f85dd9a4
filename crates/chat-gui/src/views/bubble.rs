//! A message as a bubble: how it is laid out, how high it is, and how it is painted.
//!
//! Deliberately absent: where it is on the screen and which message it is.

use egui::{
    Color32, CornerRadius, FontSelection, Galley, Rect, Stroke, StrokeKind, TextStyle, Ui, Vec2,
    vec2,
};

use std::sync::Arc;

use crate::model::emoji;
use crate::model::holder::Holder;
use crate::model::message::{Message, MessageState};
use crate::model::time::Zone;
use crate::model::timeline::Series;
use crate::theme::{self, Palette, palette, radius};
use crate::views::control::text::one_line;
use crate::views::icon::Icon;
use crate::views::message_text::{FEW_EMOJI, MessageText, TextColours};
use crate::views::quote::{LaidQuote, Quote};

/// Room on the left of every row, for the circle that selects.
pub const GUTTER: f32 = 44.0;
/// Room on the right of every row.
pub const RIGHT_EDGE: f32 = 24.0;
/// The widest that text in a bubble gets: beyond it the eye loses the line.
const TEXT_WIDTH_MAX: f32 = 520.0;
/// The share of the row that a bubble may take, so that it shows whose it is.
const WIDTH_SHARE: f32 = 0.78;
/// Around the text.
const PADDING: Vec2 = vec2(14.0, 9.0);
/// Between bubbles of a series, and before a new one.
const GAP_JOINED: f32 = 3.0;
const GAP_APART: f32 = 12.0;
/// Between the text and the time.
const FOOTER_GAP: f32 = 12.0;
/// The tick or clock beside the time, at normal text size.
const STATE_ICON: f32 = 14.0;
/// Between it and the time.
const STATE_ICON_GAP: f32 = 4.0;
/// Above a series with an earlier account of the name: that it is.
const CAPTION_HEIGHT: f32 = 20.0;
/// Roughly how high a quote is, at normal text size.
const QUOTE_ESTIMATE: f32 = 38.0;
/// Below a bubble: why it was not sent, and what to do.
pub const TROUBLE_HEIGHT: f32 = 40.0;
/// Below a bubble: why it is queued.
pub const DELAY_HEIGHT: f32 = 20.0;

/// A bubble, laid out.
#[derive(Debug)]
pub struct Bubble {
    /// The text.
    pub text: MessageText,
    footer: Arc<Galley>,
    /// Above it.
    caption: Option<Arc<Galley>>,
    /// The time is on the text's last line.
    footer_beside: bool,
    /// Of the tick or clock.
    icon_size: f32,
    /// Of the bubble itself.
    pub size: Vec2,
    /// Above it.
    gap: f32,
    /// Below it, for buttons or an explanation.
    below: f32,
    own: bool,
    look: Look,
    /// Above the text: what the message replies to.
    quote: Option<LaidQuote>,
}

/// What a bubble looks like beside what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Its place among its neighbours.
    pub series: Series,
    /// Which account of the name it is with.
    pub holder: Holder,
}

/// What is drawn below a bubble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Below {
    /// Nothing.
    Nothing,
    /// Why it is queued.
    Delay,
    /// Why it was rejected, and what to do.
    Trouble,
}

/// What is drawn below the bubble of this message.
pub fn below(message: &Message) -> Below {
    match &message.state {
        MessageState::NotSent { .. } => Below::Trouble,
        MessageState::Pending(pending) if pending.delayed.is_some() => Below::Delay,
        _ => Below::Nothing,
    }
}

/// A number that changes when the height may change: see [`crate::message_list::geometry::RowKey`].
pub fn shape(message: &Message, look: Look) -> u32 {
    let below = match below(message) {
        Below::Nothing => 0,
        Below::Delay => 1,
        Below::Trouble => 2,
    };
    let icon = u32::from(message.is_own());
    let earlier = u32::from(look.holder == Holder::Earlier);
    let quotes = u32::from(message.reply_to.is_some());
    below * 32 + quotes * 16 + earlier * 8 + icon * 4 + u32::from(starts_series(look.series)) * 2
}

/// Roughly how high a row of this message is.
pub fn estimate(message: &Message, look: Look, width: f32, scale: f32) -> f32 {
    let text_width = text_width(width).max(40.0);
    // An average letter of Inter is half as wide as the type is high.
    let letters_in_line = (text_width / (7.0 * scale)).max(4.0);
    let letters = message.body.len() as f32;
    let lines = if emoji::are_few_alone(&message.body) {
        FEW_EMOJI
    } else {
        (letters / letters_in_line).ceil().max(1.0)
    };
    let quote = if message.reply_to.is_some() {
        QUOTE_ESTIMATE * scale
    } else {
        0.0
    };
    let text = lines * 17.0 * scale + quote;
    above(look, scale) + PADDING.y * 2.0 + text + below_height(message, scale)
}

impl Bubble {
    /// Lays a message out in a row of the given width.
    pub fn lay_out(
        ui: &Ui,
        message: &Message,
        look: Look,
        quote: Option<&Quote>,
        zone: &Zone,
        width: f32,
    ) -> Self {
        let colours = palette(ui);
        let scale = theme::scale(ui);
        let own = message.is_own();
        let (text_colours, muted) = colours_of(colours, own, look.holder);
        let text_width = text_width(width);
        let text = MessageText::lay_out(ui, &message.body, text_colours, text_width);
        let body = &text.galley;
        let time = zone.hours_and_minutes(message.at);
        let footer_font = FontSelection::Style(TextStyle::Small).resolve(ui.style());
        let footer = ui.painter().layout_no_wrap(time, footer_font, muted);

        let caption = has_caption(look).then(|| {
            let text = if own {
                "To an earlier account with this name"
            } else {
                "An earlier account with this name"
            };
            let room = width - GUTTER - RIGHT_EDGE;
            one_line(ui, text, theme::small_strong(), colours.muted, room)
        });

        let icon_size = STATE_ICON * scale.max(1.0);
        let icon = if own { icon_size + STATE_ICON_GAP } else { 0.0 };
        let footer_width = footer.size().x + icon;
        let last_row = body.rows.last().map_or(0.0, |row| row.rect().right());
        let footer_beside = last_row + FOOTER_GAP + footer_width <= text_width;
        let inner = if footer_beside {
            vec2(
                body.size().x.max(last_row + FOOTER_GAP + footer_width),
                body.size().y,
            )
        } else {
            vec2(
                body.size().x.max(footer_width),
                body.size().y + footer.size().y + 2.0,
            )
        };
        let quote = quote.map(|quote| quote.lay_out(ui, muted, text_width));
        let above_text = quote.as_ref().map_or(Vec2::ZERO, LaidQuote::size);
        let inner = vec2(inner.x.max(above_text.x), inner.y + above_text.y);
        Self {
            size: (inner + PADDING * 2.0).ceil(),
            gap: above(look, scale),
            below: below_height(message, scale),
            text,
            footer,
            caption,
            footer_beside,
            icon_size,
            own,
            look,
            quote,
        }
    }

    /// How high its row is.
    pub fn row_height(&self) -> f32 {
        (self.gap + self.size.y + self.below).ceil()
    }

    /// Where the bubble is in its row.
    pub fn rect(&self, row: Rect) -> Rect {
        let top = row.top() + self.gap;
        let left = if self.own {
            row.right() - RIGHT_EDGE - self.size.x
        } else {
            row.left() + GUTTER
        };
        Rect::from_min_size(egui::pos2(left, top), self.size)
    }

    /// Where the text is in the bubble.
    pub fn text_rect(&self, bubble: Rect) -> Rect {
        let above = self.quote.as_ref().map_or(0.0, |quote| quote.size().y);
        let place = bubble.min + PADDING + vec2(0.0, above);
        Rect::from_min_size(place, self.text.galley.size())
    }

    /// Paints what the message replies to; returns where that is.
    pub fn paint_quote(&self, ui: &Ui, bubble: Rect) -> Option<Rect> {
        let quote = self.quote.as_ref()?;
        Some(quote.paint(ui, bubble.min + PADDING))
    }

    /// Paints all but the text.
    pub fn paint(&self, ui: &Ui, bubble: Rect, icon: Option<Icon>) {
        let colours = palette(ui);
        let (_, muted) = colours_of(colours, self.own, self.look.holder);
        match self.look.holder {
            Holder::Present => {
                let fill = if self.own {
                    colours.bubble_mine
                } else {
                    colours.bubble_theirs
                };
                ui.painter().rect_filled(bubble, self.corners(), fill);
            }
            Holder::Earlier => {
                let outline = Stroke::new(1.0, colours.border_strong);
                let inside = StrokeKind::Inside;
                ui.painter()
                    .rect_stroke(bubble, self.corners(), outline, inside);
            }
        }
        self.paint_caption(ui, bubble);

        let footer = self.footer_rect(bubble);
        ui.painter()
            .galley(footer.min, Arc::clone(&self.footer), muted);
        if let Some(icon) = icon {
            let square = Rect::from_center_size(
                egui::pos2(footer.right() - self.icon_size / 2.0, footer.center().y),
                Vec2::splat(self.icon_size),
            );
            icon.paint(ui.painter(), square, self.icon_size, muted);
        }
    }

    /// Where the time is in the bubble, with the tick or clock beside it.
    pub fn footer_rect(&self, bubble: Rect) -> Rect {
        let icon = if self.own {
            self.icon_size + STATE_ICON_GAP
        } else {
            0.0
        };
        let size = self.footer.size() + vec2(icon, 0.0);
        // Beside the text it is on the text's line; egui's lines are centred on each other.
        let top = if self.footer_beside {
            let last = self.text.galley.rows.last();
            let line = last.map_or(size.y, |row| row.rect().height());
            bubble.bottom() - PADDING.y - (line + size.y) / 2.0 + 1.0
        } else {
            bubble.bottom() - PADDING.y - size.y + 2.0
        };
        let left = bubble.right() - PADDING.x - size.x;
        Rect::from_min_size(egui::pos2(left, top), size)
    }

    /// Above the bubble, on its side.
    fn paint_caption(&self, ui: &Ui, bubble: Rect) {
        let Some(caption) = &self.caption else { return };
        let left = if self.own {
            bubble.right() - caption.size().x
        } else {
            bubble.left()
        };
        let top = bubble.top() - (CAPTION_HEIGHT * theme::scale(ui) + caption.size().y) / 2.0;
        let muted = palette(ui).muted;
        ui.painter()
            .galley(egui::pos2(left, top), Arc::clone(caption), muted);
    }

    /// Round, but where a bubble touches another one of its series.
    fn corners(&self) -> CornerRadius {
        let (above, below) = match self.look.series {
            Series::Single => (false, false),
            Series::First => (false, true),
            Series::Middle => (true, true),
            Series::Last => (true, false),
        };
        let corner = |joined: bool| {
            if joined {
                radius::BUBBLE_JOINED
            } else {
                radius::BUBBLE
            }
        };
        if self.own {
            CornerRadius {
                nw: radius::BUBBLE,
                sw: radius::BUBBLE,
                ne: corner(above),
                se: corner(below),
            }
        } else {
            CornerRadius {
                ne: radius::BUBBLE,
                se: radius::BUBBLE,
                nw: corner(above),
                sw: corner(below),
            }
        }
    }
}

/// A shape for each state, so that colour is not the only difference. `everywhere` is whether all servers
/// have the message.
pub fn state_icon(state: &MessageState, everywhere: bool) -> Option<Icon> {
    match state {
        MessageState::Received { .. } => None,
        MessageState::Pending(_) => Some(Icon::Clock),
        MessageState::Sent { .. } if everywhere => Some(Icon::Checks),
        MessageState::Sent { .. } => Some(Icon::Check),
        MessageState::NotSent { .. } => Some(Icon::Warning),
    }
}

/// What a screen reader reads for the state of a message.
pub fn state_words(state: &MessageState) -> &'static str {
    match state {
        MessageState::Received { read: true, .. } => "received",
        MessageState::Received { read: false, .. } => "received, unread",
        MessageState::Pending(_) => "being sent",
        MessageState::Sent { .. } => "sent",
        MessageState::NotSent { .. } => "not sent",
    }
}

/// The colours of the text, and of what is around it.
fn colours_of(colours: &Palette, own: bool, holder: Holder) -> (TextColours, Color32) {
    let (front, link, muted) = match (holder, own) {
        (Holder::Earlier, _) => (colours.text, colours.theirs_link, colours.muted),
        (Holder::Present, true) => (colours.on_mine, colours.mine_link, colours.mine_muted),
        (Holder::Present, false) => (colours.on_theirs, colours.theirs_link, colours.theirs_muted),
    };
    (TextColours { front, link }, muted)
}

fn text_width(row_width: f32) -> f32 {
    let room = row_width - GUTTER - RIGHT_EDGE;
    (room * WIDTH_SHARE - PADDING.x * 2.0).clamp(60.0, TEXT_WIDTH_MAX)
}

fn starts_series(series: Series) -> bool {
    matches!(series, Series::Single | Series::First)
}

fn has_caption(look: Look) -> bool {
    look.holder == Holder::Earlier && starts_series(look.series)
}

/// The room above a bubble.
fn above(look: Look, scale: f32) -> f32 {
    if has_caption(look) {
        GAP_APART + CAPTION_HEIGHT * scale
    } else if starts_series(look.series) {
        GAP_APART
    } else {
        GAP_JOINED
    }
}

/// How high what is drawn below the bubble is.
pub fn below_height(message: &Message, scale: f32) -> f32 {
    match below(message) {
        Below::Nothing => 0.0,
        Below::Delay => DELAY_HEIGHT * scale,
        Below::Trouble => TROUBLE_HEIGHT * scale,
    }
}
