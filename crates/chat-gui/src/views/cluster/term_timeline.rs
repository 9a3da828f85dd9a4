//! The last ten minutes as a timeline: a band for each term, in its colour, and a tick for each
//! event.
//!
//! Deliberately absent: the words; the feed has them, and a tick leads to its entry.

use egui::accesskit::Role;
use egui::{Align2, Color32, CornerRadius, Rect, Sense, Stroke, TextStyle, Ui, Vec2, WidgetInfo};

use crate::model::Model;
use crate::model::names::NodeId;
use crate::model::term_timeline::{TERM_TIMELINE_LENGTH, TermBand, Tick, TickKind};
use crate::model::time::{Moment, duration_words};
use crate::theme::{self, Palette, palette, space};
use crate::views::cluster::term_colour::term_colour;
use crate::views::control::surfaces::beside_or_below;
use crate::views::control::text::{caption, card_title, one_line};
use crate::views::state::ViewState;

/// How high the timeline is.
const HEIGHT: f32 = 44.0;
/// Room below it for the scale.
const SCALE_HEIGHT: f32 = 18.0;
/// The narrowest that a time without a leader is drawn.
const LEADERLESS_WIDTH_MIN: f32 = 5.0;
/// A card narrower than this, in points at normal text size, has less text.
const TITLE_BESIDE_FROM: f32 = 320.0;
/// How far a tick reaches into the timeline: the words on the bands stay readable.
const TICK_DEPTH: f32 = 9.0;
/// How near the pointer must be to a tick.
const NEAR: f32 = 6.0;

/// The timeline with its scale and what its colours mean.
pub fn term_timeline_ui(ui: &mut Ui, model: &Model, state: &mut ViewState) {
    ui.set_width(ui.available_width());
    beside_or_below(ui, TITLE_BESIDE_FROM, |ui| {
        card_title(ui, "Terms");
        caption(ui, "the last ten minutes; a band for each leader");
    });
    let size = Vec2::new(
        ui.available_width(),
        HEIGHT + SCALE_HEIGHT * theme::scale(ui),
    );
    let (whole, response) = ui.allocate_exact_size(size, Sense::hover());
    let label = in_words(model);
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &label));
    let timeline = Rect::from_min_size(whole.min, Vec2::new(size.x, HEIGHT));
    let colours = palette(ui);
    ui.painter()
        .rect_filled(timeline, CornerRadius::same(6), colours.hover);
    let scale = Scale {
        timeline,
        now: model.now.moment,
    };
    bands(ui, model, &scale);
    state.feed_entry = ticks(ui, model, &scale, state.feed_entry);
    let all: &[u16] = if theme::is_narrow(ui, TITLE_BESIDE_FROM) {
        &[10, 0]
    } else {
        &[10, 8, 6, 4, 2, 0]
    };
    for &minutes in all {
        let share = 1.0 - f32::from(minutes) / 10.0;
        let x = timeline.left() + share * timeline.width();
        let (align, text) = match minutes {
            10 => (Align2::LEFT_TOP, "10 min ago".to_owned()),
            0 => (Align2::RIGHT_TOP, "now".to_owned()),
            _ => (Align2::CENTER_TOP, format!("{minutes}")),
        };
        let font = TextStyle::Small.resolve(ui.style());
        let place = egui::pos2(x, timeline.bottom() + 4.0);
        ui.painter().text(place, align, text, font, colours.muted);
    }
    legend(ui);
}

/// From moments to places on the timeline.
struct Scale {
    timeline: Rect,
    now: Moment,
}

impl Scale {
    fn x(&self, at: Moment) -> f32 {
        let ago = self.now.since(at).as_secs_f32();
        let share = 1.0 - ago / TERM_TIMELINE_LENGTH.as_secs_f32();
        self.timeline.left() + share.clamp(0.0, 1.0) * self.timeline.width()
    }

    fn shows(&self, at: Moment) -> bool {
        self.now.since(at) <= TERM_TIMELINE_LENGTH
    }
}

fn bands(ui: &Ui, model: &Model, scale: &Scale) {
    let colours = palette(ui);
    let bands = &model.cluster.term_timeline.bands;
    for (place, band) in bands.iter().enumerate() {
        let end = bands.get(place + 1).map_or(scale.now, |next| next.from);
        if !scale.shows(end) {
            continue;
        }
        let (from, to) = (scale.x(band.from), scale.x(end));
        let rect = Rect::from_x_y_ranges(from..=to, scale.timeline.y_range());
        let Some(leader) = band.leader else {
            // A second is less than two points wide, and is what one looks for here.
            let from = from
                .min(to - LEADERLESS_WIDTH_MIN)
                .max(scale.timeline.left());
            hatch(
                ui,
                Rect::from_x_y_ranges(from..=to, rect.y_range()),
                colours.bad,
            );
            continue;
        };
        ui.painter().rect_filled(
            rect.shrink2(egui::vec2(0.5, 0.0)),
            CornerRadius::same(3),
            term_colour(colours, band.term),
        );
        label(ui, rect, band, leader, colours);
    }
}

/// Slanted lines: there is no leader. A pattern, so that colour is not the only difference.
fn hatch(ui: &Ui, rect: Rect, colour: Color32) {
    let painter = ui.painter_at(rect);
    let stroke = Stroke::new(1.5, colour);
    let mut x = rect.left() - rect.height();
    while x < rect.right() {
        painter.line_segment(
            [
                egui::pos2(x, rect.bottom()),
                egui::pos2(x + rect.height(), rect.top()),
            ],
            stroke,
        );
        x += 6.0;
    }
    painter.vline(rect.left(), rect.y_range(), stroke);
}

/// Term and leader, if they fit.
fn label(ui: &Ui, rect: Rect, band: &TermBand, leader: NodeId, colours: &Palette) {
    let font = theme::small_strong().resolve(ui.style());
    let long = format!("Term {} · node {}", band.term, leader.0);
    let short = band.term.to_string();
    for text in [long, short] {
        let galley = ui
            .painter()
            .layout_no_wrap(text, font.clone(), colours.on_hue);
        if galley.size().x + 12.0 <= rect.width() {
            let place = egui::pos2(
                rect.left() + 8.0_f32.min((rect.width() - galley.size().x) / 2.0),
                rect.center().y - galley.size().y / 2.0,
            );
            ui.painter().galley(place, galley, colours.on_hue);
            return;
        }
    }
}

/// Draws the ticks; the feed's entry of the one under the pointer.
fn ticks(ui: &Ui, model: &Model, scale: &Scale, pointed: Option<u64>) -> Option<u64> {
    let colours = palette(ui);
    let pointer = ui
        .input(|input| input.pointer.hover_pos())
        .filter(|at| scale.timeline.expand(4.0).contains(*at));
    let mut nearest: Option<(f32, &Tick)> = None;
    for tick in model
        .cluster
        .term_timeline
        .ticks
        .iter()
        .filter(|tick| scale.shows(tick.at))
    {
        let x = scale.x(tick.at);
        let chosen = pointed == Some(tick.feed);
        let colour = tick_colour(tick.kind, colours);
        let width = if chosen { 3.0 } else { 1.5 };
        let depth = if chosen { HEIGHT } else { TICK_DEPTH };
        let y = || scale.timeline.top() - 3.0..=scale.timeline.top() + depth;
        let halo = Stroke::new(width + 2.0, colours.raised);
        ui.painter().vline(x, y(), halo);
        ui.painter().vline(x, y(), Stroke::new(width, colour));
        mark(
            ui,
            egui::pos2(x, scale.timeline.top() - 4.0),
            tick.kind,
            colour,
        );
        if let Some(at) = pointer {
            let far = (at.x - x).abs();
            if far <= NEAR && nearest.is_none_or(|(before, _)| far < before) {
                nearest = Some((far, tick));
            }
        }
    }
    nearest.map(|(_, tick)| tick.feed)
}

/// A shape for each kind of event.
fn mark(ui: &Ui, at: egui::Pos2, kind: TickKind, colour: Color32) {
    match kind {
        TickKind::Elected => {
            ui.painter().circle_filled(at, 4.0, colour);
        }
        TickKind::Election => {
            let stroke = Stroke::new(1.5, colour);
            ui.painter().circle_stroke(at, 3.5, stroke);
        }
        TickKind::NodeLost | TickKind::NodeBack | TickKind::FaultAction => {
            let rect = Rect::from_center_size(at, Vec2::splat(6.0));
            ui.painter().rect_filled(rect, CornerRadius::ZERO, colour);
        }
    }
}

fn tick_colour(kind: TickKind, colours: &Palette) -> Color32 {
    match kind {
        TickKind::Election => colours.warn,
        TickKind::Elected => colours.text,
        TickKind::NodeLost => colours.bad,
        TickKind::NodeBack => colours.good,
        TickKind::FaultAction => colours.accent_text,
    }
}

fn legend(ui: &mut Ui) {
    let kinds = [
        (TickKind::FaultAction, "your action"),
        (TickKind::NodeLost, "node lost"),
        (TickKind::NodeBack, "node back"),
        (TickKind::Election, "starts an election"),
        (TickKind::Elected, "elected"),
    ];
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = space::TINY + 2.0;
        for (kind, text) in kinds {
            let rect = legend_entry(ui, 10.0, text);
            mark(ui, rect.center(), kind, tick_colour(kind, palette(ui)));
        }
        let rect = legend_entry(ui, 18.0, "no leader");
        hatch(ui, rect, palette(ui).bad);
    });
}

/// A word with room for its mark on the left, which is returned; the two are never apart.
fn legend_entry(ui: &mut Ui, width: f32, text: &str) -> Rect {
    let muted = palette(ui).muted;
    let word = one_line(ui, text, TextStyle::Small, muted, f32::INFINITY);
    let left = width + space::TINY + 2.0;
    let size = Vec2::new(left + word.size().x + space::TINY, word.size().y);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, text));
    let place = rect.left_top() + Vec2::new(left, 0.0);
    ui.painter().galley(place, word, muted);
    let middle = egui::pos2(rect.left() + width / 2.0, rect.center().y);
    Rect::from_center_size(middle, Vec2::new(width, 10.0))
}

/// The timeline as text, for screen readers.
fn in_words(model: &Model) -> String {
    let bands = &model.cluster.term_timeline.bands;
    let now = model.now.moment;
    let parts: Vec<String> = bands
        .iter()
        .rev()
        .take(5)
        .map(|band| {
            let ago = duration_words(now.since(band.from));
            match band.leader {
                Some(leader) => format!("term {}, led by {leader}, since {ago}", band.term),
                None => format!("term {}, without a leader, since {ago}", band.term),
            }
        })
        .collect();
    if parts.is_empty() {
        return "Terms of the last ten minutes: none seen yet".to_owned();
    }
    format!("Terms, the newest first: {}", parts.join("; "))
}
