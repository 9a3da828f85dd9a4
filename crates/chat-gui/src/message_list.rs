//! The list of messages: long, of rows of different heights, and quiet under the reader's eyes.
//! Only the rows in sight are laid out and drawn; where they are is [`geometry`]'s business.
//!
//! Deliberately absent: what a row looks like and what it means. The caller brings
//! [`Rows`], and gets the keys back that are about rows.

pub mod geometry;

use egui::accesskit::{Live, Role};
use egui::scroll_area::{ScrollArea, ScrollSource};
use egui::{
    EventFilter, Id, Key, Margin, Modifiers, Rect, Response, Sense, TextStyle, Ui, UiBuilder, Vec2,
    WidgetInfo,
};

use std::ops::Range;

use crate::model::ScrollTarget;
use crate::model::names::MessageId;
use geometry::{Geometry, RowId, RowKey};

/// How far from the top of the window a row is put that was jumped to, as a share of its height:
/// with something of what came before.
const JUMP_DEPTH: f64 = 0.3;

/// The identity of the unread line; no message has it, since its version digit is none.
pub const UNREAD_LINE: RowId = RowId(u128::MAX);

/// The identity of a message's row.
pub fn message_row(id: MessageId) -> RowId {
    RowId(id.0.as_u128())
}

/// What a list shows.
pub trait Rows {
    /// A number that changes whenever a row comes, goes or changes.
    fn revision(&self) -> u64;

    /// How many rows there are.
    fn count(&self) -> usize;

    /// Which row this is, and what its height depends on.
    fn key(&self, row: usize) -> RowKey;

    /// Whether the keyboard can be on this row.
    fn is_message(&self, row: usize) -> bool;

    /// Roughly how high it is; cheap, because it is called for every row.
    fn estimate(&self, row: usize, width: f32) -> f32;

    /// Exactly how high it is, in whole points.
    fn measure(&self, ui: &Ui, row: usize, width: f32) -> f32;

    /// Draws it over all of `ui`, and returns the widget that represents it to a screen reader.
    fn show(&mut self, ui: &mut Ui, row: usize, current: bool) -> Id;
}

/// What a person wants of the row that the keyboard is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKeyPress {
    /// Select it, or remove it from the selection.
    Toggle,
    /// Show all that is known about it.
    Open,
    /// Delete it.
    Delete,
    /// Copy its text.
    Copy,
    /// Open its menu.
    Menu,
}

/// What became of showing a list.
#[derive(Debug)]
pub struct Shown {
    /// The list as a whole.
    pub response: Response,
    /// The rows that are at least partly in sight.
    pub seen: Range<usize>,
    /// Whether the newest row is in sight and will stay so.
    pub at_bottom: bool,
    /// Whether the first row is nearly in sight, so that older ones should be loaded.
    pub near_top: bool,
    /// What was typed for the row that the keyboard is on, and which that is.
    pub pressed: Option<(RowKeyPress, usize)>,
}

/// A list of messages between frames.
#[derive(Debug, Default)]
pub struct MessageList {
    geometry: Geometry,
    revision: Option<u64>,
    /// The height of a line of text, on which all heights depend.
    line: f32,
    jump: Option<ScrollTarget>,
    /// The row that the keyboard is on, while the list has it.
    current: Option<RowId>,
}

impl MessageList {
    /// Scrolls there in the next frame.
    pub fn go_to(&mut self, target: ScrollTarget) {
        self.jump = Some(target);
        if let ScrollTarget::Message(id) = target {
            self.current = Some(message_row(id));
        }
    }

    /// Whether the newest row is in sight and will stay so.
    pub fn is_at_bottom(&self) -> bool {
        self.geometry.is_at_bottom()
    }

    /// How far below the window's top a row begins, in points; `None` if there is no such row.
    pub fn place_of(&mut self, id: RowId) -> Option<f64> {
        let row = self.geometry.find(id)?;
        Some(self.geometry.top_of(row) - self.geometry.offset())
    }

    /// Shows the rows over all space that is left in `ui`. `name` is for screen readers.
    pub fn show(&mut self, ui: &mut Ui, name: &str, rows: &mut impl Rows) -> Shown {
        let place = ui.available_rect_before_wrap();
        let list = ui.make_persistent_id("messages");
        let response = ui.interact(place, list, Sense::focusable_noninteractive());
        response.widget_info(|| WidgetInfo::labeled(Role::Log, true, name));

        self.measure_rows(ui, rows, place.size());
        let pressed = self.keys(ui, &response, rows);
        self.jump_there(rows);
        self.settle(ui, rows);

        let pixel = 1.0 / ui.pixels_per_point();
        let wanted = self.geometry.offset();
        let (total, offset) = (self.geometry.total(), wanted);
        let sent = as_points(offset);
        // The end of the list moves within a frame; egui would take the way there for overshooting.
        ui.spacing_mut().scroll.kinetic.rubber_band = false;
        let area = ScrollArea::vertical()
            .id_salt("messages")
            .auto_shrink(false)
            .animated(false)
            .content_margin(Margin::ZERO)
            .scroll_source(ScrollSource::MOUSE_WHEEL | ScrollSource::SCROLL_BAR)
            .vertical_scroll_offset(sent);
        let output = area.show_viewport(ui, |ui, _| {
            ui.allocate_space(Vec2::new(place.width(), as_points(total)));
            self.rows_ui(ui, place, pixel, list, rows)
        });
        let seen = output.inner;

        let now = output.state.clamped_offset().y;
        if now.to_bits() != sent.to_bits() {
            self.geometry.scroll_by(f64::from(now) - f64::from(sent));
        }
        self.announce(ui, list, rows);
        Shown {
            response,
            seen,
            at_bottom: self.geometry.is_at_bottom(),
            near_top: self.geometry.offset() < f64::from(place.height()),
            pressed,
        }
    }

    /// Takes the rows and the size of the window as they are now.
    fn measure_rows(&mut self, ui: &Ui, rows: &impl Rows, size: Vec2) {
        let estimate = |row: usize, width: f32| rows.estimate(row, width);
        let line = ui.text_style_height(&TextStyle::Body);
        if line.to_bits() != self.line.to_bits() {
            self.line = line;
            self.geometry.forget_heights(estimate);
        }
        if self.revision != Some(rows.revision()) {
            self.revision = Some(rows.revision());
            self.geometry
                .sync(rows.count(), |row| rows.key(row), estimate);
        }
        self.geometry.set_window(size.x, size.y, estimate);
    }

    fn settle(&mut self, ui: &Ui, rows: &impl Rows) {
        let measure = |row: usize, width: f32| rows.measure(ui, row, width);
        self.geometry.settle(measure);
        self.geometry.notice_bottom();
        self.geometry.settle(measure);
    }

    fn jump_there(&mut self, rows: &impl Rows) {
        let Some(target) = self.jump.take() else {
            return;
        };
        let found = match target {
            ScrollTarget::Newest => None,
            ScrollTarget::Unread => self.geometry.find(UNREAD_LINE),
            ScrollTarget::Message(id) => self.geometry.find(message_row(id)),
        };
        match found {
            Some(row) if row < rows.count() => {
                let depth = self.geometry.window_height() * JUMP_DEPTH;
                self.geometry.scroll_to_row(row, depth);
            }
            _ => self.geometry.scroll_to_bottom(),
        }
    }

    /// Draws the rows in sight, and returns which they are.
    fn rows_ui(
        &mut self,
        ui: &mut Ui,
        place: Rect,
        pixel: f32,
        list: Id,
        rows: &mut impl Rows,
    ) -> Range<usize> {
        let seen = self.geometry.visible();
        let offset = self.geometry.offset();
        // A list that does not fill the window is placed at its lower end, where one writes.
        let lower = (f64::from(place.height()) - self.geometry.total()).max(0.0);
        let has_focus = ui.memory(|memory| memory.has_focus(list));
        for row in seen.clone() {
            let Some(id) = self.geometry.id_of(row) else {
                continue;
            };
            let top = as_points(self.geometry.top_of(row) - offset + lower);
            let end = as_points(self.geometry.top_of(row + 1) - offset + lower);
            let snap = |y: f32| (y / pixel).round() * pixel;
            let rect = Rect::from_x_y_ranges(
                place.x_range(),
                snap(place.top() + top)..=snap(place.top() + end),
            );
            let mut child = ui.new_child(
                UiBuilder::new()
                    .id_salt(id.0)
                    .max_rect(rect)
                    .accessibility_parent(list),
            );
            let current = has_focus && self.current == Some(id);
            let shown = rows.show(&mut child, row, current);
            if current {
                ui.ctx().accesskit_node_builder(list, |node| {
                    node.set_active_descendant(shown.accesskit_id());
                });
            }
        }
        seen
    }

    /// What a screen reader announces by itself: what arrives while the newest is in sight, and not
    /// what comes into sight by scrolling.
    fn announce(&self, ui: &Ui, list: Id, rows: &impl Rows) {
        let live = if self.geometry.is_at_bottom() && rows.count() > 0 {
            Live::Polite
        } else {
            Live::Off
        };
        ui.ctx()
            .accesskit_node_builder(list, |node| node.set_live(live));
    }

    /// Moves the current row by the arrow keys, and returns what else was typed for it.
    fn keys(
        &mut self,
        ui: &Ui,
        response: &Response,
        rows: &impl Rows,
    ) -> Option<(RowKeyPress, usize)> {
        if !response.has_focus() {
            return None;
        }
        ui.memory_mut(|memory| {
            let filter = EventFilter {
                vertical_arrows: true,
                ..EventFilter::default()
            };
            memory.set_focus_lock_filter(response.id, filter);
        });
        let last = (0..rows.count()).rev().find(|&row| rows.is_message(row))?;
        let current = self
            .current
            .and_then(|id| self.geometry.find(id))
            .filter(|&row| rows.is_message(row));
        let Some(current) = current else {
            self.current = self.geometry.id_of(last);
            self.geometry.reveal(last);
            return None;
        };
        let typed = |key: Key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        let page = self.geometry.visible().len().max(2) - 1;
        let step = |from: usize, by: isize| from.saturating_add_signed(by).min(last);
        let wanted = if typed(Key::ArrowUp) {
            (0..current).rev().find(|&row| rows.is_message(row))
        } else if typed(Key::ArrowDown) {
            (current + 1..rows.count()).find(|&row| rows.is_message(row))
        } else if typed(Key::PageUp) {
            Some(step(current, -page.cast_signed()))
        } else if typed(Key::PageDown) {
            Some(step(current, page.cast_signed()))
        } else if typed(Key::Home) {
            (0..rows.count()).find(|&row| rows.is_message(row))
        } else if typed(Key::End) {
            Some(last)
        } else {
            None
        };
        if let Some(row) = wanted {
            let row = (row..=last).find(|&row| rows.is_message(row))?;
            self.current = self.geometry.id_of(row);
            self.geometry.reveal(row);
        }
        let press = row_key(ui)?;
        Some((press, current))
    }
}

fn row_key(ui: &Ui) -> Option<RowKeyPress> {
    let copied = ui.input_mut(|input| {
        let before = input.events.len();
        input.events.retain(|event| *event != egui::Event::Copy);
        input.events.len() != before
    });
    if copied {
        return Some(RowKeyPress::Copy);
    }
    let keys = [
        (Modifiers::NONE, Key::Space, RowKeyPress::Toggle),
        (Modifiers::NONE, Key::Enter, RowKeyPress::Open),
        (Modifiers::NONE, Key::Delete, RowKeyPress::Delete),
        (Modifiers::NONE, Key::Menu, RowKeyPress::Menu),
        (Modifiers::SHIFT, Key::F10, RowKeyPress::Menu),
    ];
    ui.input_mut(|input| {
        keys.into_iter()
            .find(|(modifiers, key, _)| input.consume_key(*modifiers, *key))
            .map(|(.., press)| press)
    })
}

/// A distance for egui. Near the end of millions of points a single float is off by half a point,
/// which is why places on the screen are computed before they come here.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is lost is less than a pixel, see above"
)]
fn as_points(distance: f64) -> f32 {
    distance as f32
}
