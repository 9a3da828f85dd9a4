//! Text for people: times, numbers, and text that other people wrote.

use std::borrow::Cow;

/// Replaces control characters in text of other people: it must not move the cursor, change colours,
/// or reverse the order of the text beside it. Left-to-right and right-to-left marks are kept: some
/// languages need them, and they affect only their neighbours.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    let harmful = |character: char| match character {
        '\n' | '\t' => false,
        // Embeddings, overrides and isolates.
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => true,
        _ => character.is_control(),
    };
    if text.contains(harmful) {
        Cow::Owned(text.replace(harmful, "\u{FFFD}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A text as one word of a shell. Names are chosen by other people.
pub(crate) fn shell_quoted(text: &str) -> String {
    format!("'{}'", harmless(text).replace('\'', r"'\''"))
}

/// `2026-11-22 16:04:05 UTC`.
pub(crate) fn time(timestamp: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "realistic times fit, others saturate"
    )]
    let seconds = timestamp as i64;
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(day);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day of the Gregorian calendar, from days since 1970. Years are counted from
/// March, so that the leap day is the last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + next, month, day)
}

/// `2 unread messages`.
pub(crate) fn count_unread(unread: u64) -> String {
    match unread {
        0 => "no unread messages".to_owned(),
        1 => "1 unread message".to_owned(),
        many => format!("{} unread messages", thousands(many)),
    }
}

/// `1,204`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1.2 MB`.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut amount = number as f64;
    let mut unit = 0;
    while amount >= 999.5 && unit + 1 < UNITS.len() {
        amount /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{number} B"),
        _ => format!("{amount:.1} {}", UNITS[unit]),
    }
}

/// `38 ms`, `41 s`, `4m12s`, `3h05m`, `2d04h`.
pub(crate) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, duration, harmless, shell_quoted, thousands, time};

    #[test]
    fn times_are_calendar_times() {
        assert_eq!(time(0.0), "1970-01-01 00:00:00 UTC");
        assert_eq!(time(951_782_400.9), "2000-02-29 00:00:00 UTC");
        assert_eq!(time(1_795_363_445.0), "2026-11-22 16:04:05 UTC");
        assert_eq!(time(-1.0), "1969-12-31 23:59:59 UTC");
        assert_eq!(time(4_107_542_399.0), "2100-02-28 23:59:59 UTC");
    }

    #[test]
    fn numbers_have_units_and_separators() {
        assert_eq!(
            [0, 999, 1204, 1_234_567].map(thousands),
            ["0", "999", "1,204", "1,234,567"]
        );
        assert_eq!(
            [0, 999, 1200, 1_234_567, 999_999].map(bytes),
            ["0 B", "999 B", "1.2 kB", "1.2 MB", "1.0 MB"]
        );
        let lengths = [38, 41_000, 252_000, 11_100_000, 187_200_000].map(duration);
        assert_eq!(lengths, ["38 ms", "41 s", "4m12s", "3h05m", "2d04h"]);
    }

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(harmless("a\n\tb"), "a\n\tb");
        assert_eq!(harmless("\u{1b}[31mred\u{7}"), "\u{FFFD}[31mred\u{FFFD}");
        // The override would reverse the rest of the line.
        assert_eq!(harmless("a\u{202E}b\u{2066}"), "a\u{FFFD}b\u{FFFD}");
        assert_eq!(harmless("\u{200F}שלום"), "\u{200F}שלום");
    }

    #[test]
    fn quoted_text_is_one_word_of_a_shell() {
        assert_eq!(shell_quoted("bob"), "'bob'");
        assert_eq!(shell_quoted("x'; curl y|sh"), r"'x'\''; curl y|sh'");
    }
}
