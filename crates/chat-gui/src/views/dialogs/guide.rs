//! The guide to the keys.
//!
//! Deliberately absent: a second list; it shows the table that the keys are taken from.

use egui::{CornerRadius, Frame, Grid, Margin, RichText, ScrollArea, Stroke, Ui};

use crate::shortcuts::{OF_CONTROLS, Part, SHORTCUTS};
use crate::theme::{self, palette, space};
use crate::views::control::text::heading;

/// All keys, in two columns.
pub fn guide_ui(ui: &mut Ui) {
    let height = (ui.ctx().content_rect().height() - 190.0).max(160.0);
    ScrollArea::vertical().max_height(height).show(ui, |ui| {
        ui.columns_const(|[left, right]: &mut [Ui; 2]| {
            part_ui(left, "Conversations", Part::Conversations);
            left.add_space(space::MEDIUM);
            part_ui(left, "Window", Part::Window);
            part_ui(right, "Messages", Part::Messages);
            right.add_space(space::MEDIUM);
            part_ui(right, "Pages", Part::Pages);
        });
    });
}

fn part_ui(ui: &mut Ui, title: &str, part: Part) {
    heading(ui, title, theme::small_strong());
    Grid::new(title)
        .num_columns(2)
        .spacing(egui::vec2(space::MEDIUM, 6.0))
        .min_col_width(130.0)
        .show(ui, |ui| {
            let of_window = SHORTCUTS
                .iter()
                .filter(|shortcut| shortcut.part == part && !shortcut.text.is_empty());
            for shortcut in of_window {
                let keys = ui.ctx().format_shortcut(&shortcut.keys);
                row_ui(ui, &readable(&keys), shortcut.text);
            }
            for (_, keys, text) in OF_CONTROLS.iter().filter(|(of, ..)| *of == part) {
                row_ui(ui, keys, text);
            }
        });
}

/// egui's names of keys in the words that are printed on them.
fn readable(keys: &str) -> String {
    keys.replace("Escape", "Esc")
        .replace("Comma", ",")
        .replace('⏷', "Down")
        .replace('⏶', "Up")
}

fn row_ui(ui: &mut Ui, keys: &str, text: &str) {
    let colours = palette(ui);
    ui.horizontal(|ui| {
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
    });
    ui.label(text);
    ui.end_row();
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
