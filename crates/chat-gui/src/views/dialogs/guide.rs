//! The guide to the keys.
//!
//! Deliberately absent: a second list; it shows the table that the keys are taken from.

use egui::{CornerRadius, Frame, Grid, Margin, RichText, ScrollArea, Stroke, Ui};

use crate::shortcuts::{OF_CONTROLS, Part, SHORTCUTS};
use crate::theme::{self, palette, space};
use crate::views::control::text::heading;

/// In the order of reading.
const PARTS: [(&str, Part); 4] = [
    ("Chats", Part::Conversations),
    ("Messages", Part::Messages),
    ("Window", Part::Window),
    ("Pages", Part::Pages),
];

/// The narrowest column, in points at normal text size, that has a key and its text side by side.
const COLUMN_WIDTH: f32 = 320.0;

/// All keys, in two columns if they fit.
pub fn guide_ui(ui: &mut Ui) {
    let height = (ui.ctx().content_rect().height() - 190.0).max(160.0);
    let columns = ui.available_width() / (COLUMN_WIDTH * theme::scale(ui));
    ScrollArea::vertical().max_height(height).show(ui, |ui| {
        if columns < 2.0 {
            ui.set_width(ui.available_width());
            for (title, part) in PARTS {
                part_ui(ui, title, part, columns >= 1.0);
                ui.add_space(space::MEDIUM);
            }
            return;
        }
        ui.columns_const(|[left, right]: &mut [Ui; 2]| {
            for (place, (title, part)) in PARTS.into_iter().enumerate() {
                let column = if place % 2 == 0 {
                    &mut *left
                } else {
                    &mut *right
                };
                part_ui(column, title, part, true);
                column.add_space(space::MEDIUM);
            }
        });
    });
}

/// One part; `beside` is whether there is room for a text beside its key.
fn part_ui(ui: &mut Ui, title: &str, part: Part, beside: bool) {
    heading(ui, title, theme::small_strong());
    let rows = rows(ui, part);
    if !beside {
        for (keys, text) in rows {
            ui.label(text);
            ui.horizontal_wrapped(|ui| keys_ui(ui, &keys));
            ui.add_space(space::TINY);
        }
        return;
    }
    Grid::new(title)
        .num_columns(2)
        .spacing(egui::vec2(space::MEDIUM, 6.0))
        .min_col_width(130.0 * theme::scale(ui))
        .show(ui, |ui| {
            for (keys, text) in rows {
                ui.horizontal(|ui| keys_ui(ui, &keys));
                ui.label(text);
                ui.end_row();
            }
        });
}

/// The keys of a part and what they do.
fn rows(ui: &Ui, part: Part) -> Vec<(String, &'static str)> {
    let of_window = SHORTCUTS
        .iter()
        .filter(|shortcut| shortcut.part == part && !shortcut.text.is_empty())
        .map(|shortcut| {
            let keys = ui.ctx().format_shortcut(&shortcut.keys);
            (readable(&keys), shortcut.text)
        });
    let of_controls = OF_CONTROLS
        .iter()
        .filter(|(of, ..)| *of == part)
        .map(|(_, keys, text)| ((*keys).to_owned(), *text));
    of_window.chain(of_controls).collect()
}

/// egui's names of keys in the words that are printed on them.
fn readable(keys: &str) -> String {
    keys.replace("Escape", "Esc")
        .replace("Comma", ",")
        .replace('⏷', "Down")
        .replace('⏶', "Up")
}

fn keys_ui(ui: &mut Ui, keys: &str) {
    let colours = palette(ui);
    ui.spacing_mut().item_spacing.x = 3.0;
    for (place, key) in parts(keys).into_iter().enumerate() {
        if place > 0 {
            ui.label(RichText::new("+").small().color(colours.muted));
        }
        Frame::new()
            .fill(colours.sunken)
            .stroke(Stroke::new(1.0, colours.border_strong))
            .corner_radius(CornerRadius::same(5))
            .inner_margin(Margin::symmetric(6, 1))
            .show(ui, |ui| ui.label(RichText::new(key).small()));
    }
}

/// The single keys of a combination; a plus sign may be one of them.
fn parts(keys: &str) -> Vec<&str> {
    match keys.strip_suffix("++") {
        Some(before) => {
            let mut parts: Vec<&str> = before.split('+').collect();
            parts.push("+");
            parts
        }
        None => keys.split('+').collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn plus_sign_is_parsed_as_a_key() {
        assert_eq!(parts("Ctrl+Shift+F"), ["Ctrl", "Shift", "F"]);
        assert_eq!(parts("Ctrl++"), ["Ctrl", "+"]);
        assert_eq!(parts("Enter"), ["Enter"]);
    }
}
