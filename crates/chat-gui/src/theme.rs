//! How everything looks: colours, sizes, distances and typefaces, for light and for dark.
//!
//! Deliberately absent: any view. A view takes its numbers from here and has none of its own
//! but those that only it needs.

pub mod fonts;
pub mod palette;
pub mod system_emoji;

pub use palette::Palette;
pub use system_emoji::SystemEmoji;

use egui::style::{ScrollStyle, Selection, WidgetVisuals, Widgets};
use egui::{
    Context, CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, Style, TextStyle, Theme,
    ThemePreference, Ui, Vec2, Visuals,
};

use crate::model::preferences::{Preferences, ThemeChoice};

/// Distances, in points. Each is twice the one before or nearly so; there are no others.
pub mod space {
    /// Between things that are one.
    pub const TINY: f32 = 4.0;
    /// Between things that belong together.
    pub const SMALL: f32 = 8.0;
    /// Within a card or a row.
    pub const MEDIUM: f32 = 12.0;
    /// Between groups, and from the edge of a page.
    pub const LARGE: f32 = 20.0;
    /// Between parts of a page.
    pub const HUGE: f32 = 32.0;
}

/// Corners, in points.
pub mod radius {
    /// Buttons, inputs, rows.
    pub const CONTROL: u8 = 8;
    /// Cards, dialogs, notices.
    pub const CARD: u8 = 12;
    /// Bubbles.
    pub const BUBBLE: u8 = 16;
    /// The corner of a bubble that touches its neighbour of the same series.
    pub const BUBBLE_JOINED: u8 = 5;
}

/// The height of buttons and one-line inputs at normal text size, so that they line up.
const CONTROL_HEIGHT: f32 = 34.0;
/// Controls grow with the text up to this factor: their edges need no more room then.
const CONTROL_SCALE_MAX: f32 = 1.5;

/// The height of a row that has only text in it.
const ROW_HEIGHT: f32 = 18.0;

/// The width of the ring around what has the keyboard.
pub const FOCUS_RING: f32 = 2.0;

/// Text sizes at factor one, in points.
mod size {
    pub(super) const SMALL: f32 = 12.0;
    pub(super) const BODY: f32 = 14.0;
    pub(super) const MONOSPACE: f32 = 12.5;
    pub(super) const TITLE: f32 = 16.0;
    pub(super) const HEADING: f32 = 22.0;
}

/// The names of the styles that egui has no own ones for.
const STRONG: &str = "strong";
const SMALL_STRONG: &str = "small strong";
const TITLE: &str = "title";

/// Text of names and of what must not be overlooked.
pub fn strong() -> TextStyle {
    TextStyle::Name(STRONG.into())
}

/// Small text of badges and of headings above a list.
pub fn small_strong() -> TextStyle {
    TextStyle::Name(SMALL_STRONG.into())
}

/// The title of a card, a dialog or a conversation.
pub fn title() -> TextStyle {
    TextStyle::Name(TITLE.into())
}

/// The factor of the text's size in force where `ui` draws.
pub fn scale(ui: &Ui) -> f32 {
    TextStyle::Body.resolve(ui.style()).size / size::BODY
}

/// The height of buttons and one-line inputs where `ui` draws.
pub fn control_height(ui: &Ui) -> f32 {
    CONTROL_HEIGHT * scale(ui).clamp(1.0, CONTROL_SCALE_MAX)
}

/// Whether less than `points`, at normal text size, is left from left to right in `ui`.
pub fn is_narrow(ui: &Ui, points: f32) -> bool {
    ui.available_width() < points * scale(ui)
}

/// The colours in force where `ui` draws.
pub fn palette(ui: &Ui) -> &'static Palette {
    if ui.visuals().dark_mode {
        &palette::DARK
    } else {
        &palette::LIGHT
    }
}

/// Installs fonts and both themes; once, when the window is made. All is the same on every
/// machine then; see [`use_system_emoji`].
pub fn install(context: &Context) {
    context.set_fonts(fonts::definitions(None));
    // Ctrl and plus make text larger, which the model remembers; egui would zoom everything.
    context.options_mut(|options| options.zoom_with_keyboard = false);
    set_text_scale(context, 1.0);
}

/// Draws emoji in the system's colours, if it has them.
pub fn use_system_emoji(context: &Context, emoji: SystemEmoji) {
    if let Some(font) = emoji.found() {
        context.set_fonts(fonts::definitions(Some(font)));
    }
}

/// Puts the person's choice of colours and text size into force.
///
/// What is drawn already in this frame keeps its looks; the next one follows at once.
pub fn follow(context: &Context, preferences: &Preferences) {
    context.set_theme(match preferences.theme {
        ThemeChoice::System => ThemePreference::System,
        ThemeChoice::Light => ThemePreference::Light,
        ThemeChoice::Dark => ThemePreference::Dark,
    });
    set_text_scale(context, preferences.text_size.factor());
    context.request_repaint();
}

/// Lays out both themes again with text larger or smaller by `scale`.
pub fn set_text_scale(context: &Context, scale: f32) {
    context.set_style_of(Theme::Light, style(&palette::LIGHT, false, scale));
    context.set_style_of(Theme::Dark, style(&palette::DARK, true, scale));
}

/// egui's settings for one theme.
fn style(palette: &Palette, dark: bool, scale: f32) -> Style {
    let mut style = Style {
        visuals: visuals(palette, dark),
        animation_time: 0.08,
        ..Style::default()
    };
    let text = |size: f32| FontId::new(size * scale, FontFamily::Proportional);
    let heavy = |size: f32| FontId::new(size * scale, fonts::semibold());
    style.text_styles = [
        (TextStyle::Small, text(size::SMALL)),
        (TextStyle::Body, text(size::BODY)),
        (TextStyle::Button, text(size::BODY)),
        (TextStyle::Heading, heavy(size::HEADING)),
        (
            TextStyle::Monospace,
            FontId::new(size::MONOSPACE * scale, FontFamily::Monospace),
        ),
        (strong(), heavy(size::BODY)),
        (small_strong(), heavy(size::SMALL)),
        (title(), heavy(size::TITLE)),
    ]
    .into();

    let spacing = &mut style.spacing;
    spacing.item_spacing = Vec2::new(space::SMALL, space::SMALL);
    spacing.button_padding = Vec2::new(space::MEDIUM, 6.0);
    // Rows of text are as high as text; controls set their greater height themselves.
    spacing.interact_size = Vec2::new(40.0, ROW_HEIGHT);
    spacing.window_margin = Margin::same(20);
    spacing.menu_margin = Margin::same(6);
    spacing.icon_width = 18.0 * scale.clamp(1.0, CONTROL_SCALE_MAX);
    spacing.icon_width_inner = 10.0 * scale.clamp(1.0, CONTROL_SCALE_MAX);
    spacing.icon_spacing = space::SMALL;
    spacing.tooltip_width = 360.0;
    spacing.scroll = ScrollStyle {
        bar_width: 8.0,
        floating_width: 4.0,
        dormant_handle_opacity: 0.35,
        active_handle_opacity: 0.5,
        ..ScrollStyle::floating()
    };
    style.interaction.tooltip_delay = 0.4;
    // Labels are for reading; what can be copied (messages, errors) enables it itself.
    style.interaction.selectable_labels = false;
    style
}

fn visuals(palette: &Palette, dark: bool) -> Visuals {
    let base = if dark {
        Visuals::dark()
    } else {
        Visuals::light()
    };
    let shadow = |blur, reach| Shadow {
        offset: [0, reach],
        blur,
        spread: 0,
        color: palette.shadow,
    };
    Visuals {
        dark_mode: dark,
        weak_text_color: Some(palette.muted),
        widgets: widgets(palette),
        selection: Selection {
            bg_fill: palette.accent.gamma_multiply(0.45),
            stroke: Stroke::new(FOCUS_RING, palette.accent_text),
        },
        hyperlink_color: palette.accent_text,
        faint_bg_color: palette.sidebar,
        extreme_bg_color: palette.sunken,
        text_edit_bg_color: Some(palette.sunken),
        code_bg_color: palette.hover,
        warn_fg_color: palette.warn,
        error_fg_color: palette.bad,
        window_corner_radius: CornerRadius::same(radius::CARD),
        window_shadow: shadow(28, 8),
        window_fill: palette.raised,
        window_stroke: Stroke::new(1.0, palette.border),
        menu_corner_radius: CornerRadius::same(radius::CONTROL),
        panel_fill: palette.window,
        popup_shadow: shadow(18, 5),
        text_cursor: egui::style::TextCursorStyle {
            stroke: Stroke::new(2.0, palette.accent_text),
            // A caret that blinks draws the whole window twice a second.
            blink: false,
            ..base.text_cursor
        },
        ..base
    }
}

fn widgets(palette: &Palette) -> Widgets {
    let state = |fill, outline: Stroke, front| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: outline,
        corner_radius: CornerRadius::same(radius::CONTROL),
        fg_stroke: Stroke::new(1.5, front),
        expansion: 0.0,
    };
    let outline = Stroke::new(1.0, palette.border_strong);
    let ring = Stroke::new(FOCUS_RING, palette.accent_text);
    Widgets {
        noninteractive: state(
            palette.raised,
            Stroke::new(1.0, palette.border),
            palette.text,
        ),
        inactive: state(palette.raised, outline, palette.text),
        hovered: state(palette.hover, outline, palette.text),
        active: state(palette.hover, ring, palette.text),
        open: state(palette.hover, outline, palette.text),
    }
}
