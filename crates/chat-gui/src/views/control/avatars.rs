//! What is painted beside a name: initials on a colour, and a number in a pill.
//! Deliberately absent: anything that knows the model.

use egui::{Align2, Color32, CornerRadius, Rect, Ui, Vec2};

use crate::theme::{self, palette};

/// Initials on a colour that always is the same for the same name.
pub fn avatar(ui: &Ui, rect: Rect, name: &str) {
    let colours = palette(ui);
    let hue = colours.hues[hue_of(name, colours.hues.len())];
    paint_avatar(ui, rect, name, (colours.on_hue, hue));
}

/// The same without its colour, for an earlier account of the name: it is another person.
pub fn avatar_of_earlier(ui: &Ui, rect: Rect, name: &str) {
    let colours = palette(ui);
    paint_avatar(ui, rect, name, (colours.muted, colours.hover));
}

fn paint_avatar(ui: &Ui, rect: Rect, name: &str, (front, behind): (Color32, Color32)) {
    ui.painter()
        .circle_filled(rect.center(), rect.width() / 2.0, behind);
    let initials: String = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .take(1)
        .flat_map(char::to_uppercase)
        .collect();
    let mut font = theme::strong().resolve(ui.style());
    font.size = rect.width() * 0.42;
    ui.painter()
        .text(rect.center(), Align2::CENTER_CENTER, initials, font, front);
}

/// The same for the same name everywhere: FNV-1a, whose upper bits are the well-mixed ones.
fn hue_of(name: &str, hues: usize) -> usize {
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    usize::try_from(hash >> 33).unwrap_or(0) % hues
}

/// The corner of a pill: as round as its height allows.
const CORNER: u8 = 255;

/// A number in a filled pill, painted so that its right end is at `right`; returns its width.
pub fn badge(ui: &Ui, right: egui::Pos2, number: usize, quiet: bool) -> f32 {
    let colours = palette(ui);
    let (front, behind) = if quiet {
        (colours.muted, colours.hover)
    } else {
        (colours.on_accent, colours.accent)
    };
    // A longer one would hide what it is on.
    let text = if number > 99 {
        "99+".to_owned()
    } else {
        number.to_string()
    };
    let font = theme::small_strong().resolve(ui.style());
    let galley = ui.painter().layout_no_wrap(text, font, front);
    // As high as it was at normal text size, and higher with the text.
    let height = (galley.size().y + 4.0).max(20.0);
    let size = Vec2::new((galley.size().x + 12.0).max(height), height);
    let rect = Rect::from_min_max(
        egui::pos2(right.x - size.x, right.y - size.y / 2.0),
        egui::pos2(right.x, right.y + size.y / 2.0),
    );
    ui.painter()
        .rect_filled(rect, CornerRadius::same(CORNER), behind);
    ui.painter()
        .galley(rect.center() - galley.size() / 2.0, galley, front);
    size.x
}
