//! Every colour of the window, once for light and once for dark.
//!
//! Deliberately absent: where a colour is used. Its name is what it is for, and a test holds
//! each pair that is drawn together to the contrast that WCAG AA requires.

use egui::Color32;

/// One set of colours; see [`LIGHT`] and [`DARK`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// Behind the conversation and the pages.
    pub window: Color32,
    /// Behind the list of conversations and the bars.
    pub sidebar: Color32,
    /// Behind cards, dialogs and menus, which lie on top of the rest.
    pub raised: Color32,
    /// Behind text that can be edited.
    pub sunken: Color32,
    /// Behind something the pointer is on.
    pub hover: Color32,
    /// Lines that only separate.
    pub border: Color32,
    /// Outlines that show where a control is.
    pub border_strong: Color32,
    /// Text.
    pub text: Color32,
    /// Text that matters less.
    pub muted: Color32,
    /// Fill of what the person should press, of badges and of what is chosen.
    pub accent: Color32,
    /// The same under the pointer.
    pub accent_hover: Color32,
    /// Text on either.
    pub on_accent: Color32,
    /// Behind the chosen row.
    pub accent_soft: Color32,
    /// Coloured text, and the ring around what has the keyboard.
    pub accent_text: Color32,
    /// The person's own bubbles.
    pub bubble_mine: Color32,
    /// Text in them.
    pub on_mine: Color32,
    /// Time and state in them.
    pub mine_muted: Color32,
    /// Links in them.
    pub mine_link: Color32,
    /// The other's bubbles.
    pub bubble_theirs: Color32,
    /// Text in them.
    pub on_theirs: Color32,
    /// Time in them.
    pub theirs_muted: Color32,
    /// Links in them, and on the window.
    pub theirs_link: Color32,
    /// All is well.
    pub good: Color32,
    /// Behind text about it.
    pub good_soft: Color32,
    /// Something is not as it should be, temporarily.
    pub warn: Color32,
    /// Behind text about it.
    pub warn_soft: Color32,
    /// Something failed, or is about to be lost.
    pub bad: Color32,
    /// Behind text about it.
    pub bad_soft: Color32,
    /// Fill of a button that destroys something.
    pub danger: Color32,
    /// Text on it.
    pub on_danger: Color32,
    /// Behind the found words in a search.
    pub found: Color32,
    /// Text on it.
    pub on_found: Color32,
    /// Terms in turn on the timeline, and people's initials.
    pub hues: [Color32; 6],
    /// Text on them.
    pub on_hue: Color32,
    /// Laid over the window behind a dialog.
    pub backdrop: Color32,
    /// Under what floats.
    pub shadow: Color32,
}

/// By day.
pub const LIGHT: Palette = Palette {
    window: rgb(0xFF_FF_FF),
    sidebar: rgb(0xF4_F5_FA),
    raised: rgb(0xFF_FF_FF),
    sunken: rgb(0xF7_F8_FB),
    hover: rgb(0xEA_EC_F4),
    border: rgb(0xDF_E2_EC),
    border_strong: rgb(0x7F_87_9B),
    text: rgb(0x17_1A_26),
    muted: rgb(0x56_5D_72),
    accent: rgb(0x4A_4F_D6),
    accent_hover: rgb(0x3D_42_C2),
    on_accent: rgb(0xFF_FF_FF),
    accent_soft: rgb(0xE4_E6_FD),
    accent_text: rgb(0x41_46_C4),
    bubble_mine: rgb(0x4A_4F_D6),
    on_mine: rgb(0xFF_FF_FF),
    mine_muted: rgb(0xE0_E2_FC),
    mine_link: rgb(0xD2_F1_FF),
    bubble_theirs: rgb(0xED_EF_F5),
    on_theirs: rgb(0x17_1A_26),
    theirs_muted: rgb(0x56_5D_72),
    theirs_link: rgb(0x1E_55_C8),
    good: rgb(0x12_6B_44),
    good_soft: rgb(0xDF_F4_E9),
    warn: rgb(0x82_54_00),
    warn_soft: rgb(0xFD_F0_D3),
    bad: rgb(0xB7_26_30),
    bad_soft: rgb(0xFD_E7_E7),
    danger: rgb(0xC2_2F_38),
    on_danger: rgb(0xFF_FF_FF),
    found: rgb(0xFF_DE_7A),
    on_found: rgb(0x17_1A_26),
    hues: [
        rgb(0x4A_4F_D6),
        rgb(0x0E_76_80),
        rgb(0xA3_4A_12),
        rgb(0x8B_2F_8F),
        rgb(0x2F_74_33),
        rgb(0xB0_2A_5B),
    ],
    on_hue: rgb(0xFF_FF_FF),
    backdrop: Color32::from_rgba_premultiplied(6, 7, 12, 110),
    shadow: Color32::from_rgba_premultiplied(4, 5, 10, 36),
};

/// By night.
pub const DARK: Palette = Palette {
    window: rgb(0x14_16_1F),
    sidebar: rgb(0x1A_1D_28),
    raised: rgb(0x1F_23_30),
    sunken: rgb(0x0F_11_19),
    hover: rgb(0x26_2B_3A),
    border: rgb(0x2C_31_41),
    border_strong: rgb(0x6E_76_90),
    text: rgb(0xE9_EB_F3),
    muted: rgb(0xA3_AA_C0),
    accent: rgb(0x5A_60_E0),
    accent_hover: rgb(0x4E_53_CE),
    on_accent: rgb(0xFF_FF_FF),
    accent_soft: rgb(0x2A_2E_55),
    accent_text: rgb(0xA6_AC_FF),
    bubble_mine: rgb(0x4A_4F_CC),
    on_mine: rgb(0xFF_FF_FF),
    mine_muted: rgb(0xE0_E2_FC),
    mine_link: rgb(0xD2_F1_FF),
    bubble_theirs: rgb(0x26_2A_38),
    on_theirs: rgb(0xE9_EB_F3),
    theirs_muted: rgb(0xAB_B2_C7),
    theirs_link: rgb(0x8C_BF_FF),
    good: rgb(0x5F_D3_9B),
    good_soft: rgb(0x15_35_2A),
    warn: rgb(0xF0_BE_5C),
    warn_soft: rgb(0x3A_2E_12),
    bad: rgb(0xFF_8A_8A),
    bad_soft: rgb(0x43_20_2A),
    danger: rgb(0xC2_2F_38),
    on_danger: rgb(0xFF_FF_FF),
    found: rgb(0x7A_5C_00),
    on_found: rgb(0xFF_FF_FF),
    hues: [
        rgb(0x8F_95_FF),
        rgb(0x4F_C3_CE),
        rgb(0xF0_A0_6A),
        rgb(0xD8_8C_DC),
        rgb(0x8A_CF_8E),
        rgb(0xF2_88_AE),
    ],
    on_hue: rgb(0x12_14_1C),
    backdrop: Color32::from_rgba_premultiplied(3, 3, 6, 160),
    shadow: Color32::from_rgba_premultiplied(0, 0, 0, 110),
};

/// A colour from its six digits, as in `0x12_AB_EF`.
const fn rgb(digits: u32) -> Color32 {
    let [_, red, green, blue] = digits.to_be_bytes();
    Color32::from_rgb(red, green, blue)
}

#[cfg(test)]
mod tests {
    use super::{DARK, LIGHT, Palette};

    use egui::Color32;

    /// What WCAG AA requires of text, and of controls and meaningful graphics.
    const TEXT: f64 = 4.5;
    const GRAPHIC: f64 = 3.0;

    #[test]
    fn text_has_enough_contrast_on_every_background() {
        for (theme, palette) in [("light", LIGHT), ("dark", DARK)] {
            for (what, front, behind) in text_pairs(&palette) {
                check(theme, what, front, behind, TEXT);
            }
        }
    }

    #[test]
    fn controls_have_enough_contrast_with_their_surroundings() {
        for (theme, palette) in [("light", LIGHT), ("dark", DARK)] {
            for (what, front, behind) in graphic_pairs(&palette) {
                check(theme, what, front, behind, GRAPHIC);
            }
        }
    }

    #[test]
    fn contrast_of_black_and_white_is_21() {
        let most = contrast(Color32::BLACK, Color32::WHITE);
        assert!((most - 21.0).abs() < 0.01, "{most}");
        let none = contrast(Color32::GRAY, Color32::GRAY);
        assert!((none - 1.0).abs() < 0.01, "{none}");
    }

    fn check(theme: &str, what: &str, front: Color32, behind: Color32, least: f64) {
        let found = contrast(front, behind);
        assert!(
            found >= least,
            "{theme}: {what} has {found:.2}, needs {least}"
        );
    }

    fn text_pairs(p: &Palette) -> Vec<(&'static str, Color32, Color32)> {
        let mut pairs = vec![
            ("a button's text", p.on_accent, p.accent),
            (
                "a button's text under the pointer",
                p.on_accent,
                p.accent_hover,
            ),
            ("own text", p.on_mine, p.bubble_mine),
            ("own time", p.mine_muted, p.bubble_mine),
            ("a link in own text", p.mine_link, p.bubble_mine),
            ("their text", p.on_theirs, p.bubble_theirs),
            ("a link in their text", p.theirs_link, p.bubble_theirs),
            ("a link with an earlier account", p.theirs_link, p.window),
            ("their time", p.theirs_muted, p.bubble_theirs),
            ("good on soft", p.good, p.good_soft),
            ("warn on soft", p.warn, p.warn_soft),
            ("bad on soft", p.bad, p.bad_soft),
            ("text on good", p.text, p.good_soft),
            ("text on warn", p.text, p.warn_soft),
            ("text on bad", p.text, p.bad_soft),
            ("danger's text", p.on_danger, p.danger),
            ("found words", p.on_found, p.found),
        ];
        pairs.extend(p.hues.map(|hue| ("text on a hue", p.on_hue, hue)));
        for behind in [
            p.window,
            p.sidebar,
            p.raised,
            p.sunken,
            p.hover,
            p.accent_soft,
        ] {
            pairs.push(("text", p.text, behind));
            pairs.push(("muted text", p.muted, behind));
            pairs.push(("coloured text", p.accent_text, behind));
        }
        for behind in [p.window, p.sidebar, p.raised] {
            pairs.push(("good", p.good, behind));
            pairs.push(("warn", p.warn, behind));
            pairs.push(("bad", p.bad, behind));
        }
        pairs
    }

    fn graphic_pairs(p: &Palette) -> Vec<(&'static str, Color32, Color32)> {
        let mut pairs = Vec::new();
        for behind in [p.window, p.sidebar, p.raised, p.sunken] {
            pairs.push(("an outline", p.border_strong, behind));
            pairs.push(("a badge", p.accent, behind));
            pairs.push(("the ring of the keyboard", p.accent_text, behind));
            pairs.extend(p.hues.map(|hue| ("a term", hue, behind)));
        }
        pairs
    }

    fn contrast(one: Color32, other: Color32) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    fn luminance(colour: Color32) -> f64 {
        let linear = |channel: u8| {
            let share = f64::from(channel) / 255.0;
            if share <= 0.04045 {
                share / 12.92
            } else {
                ((share + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
    }
}
