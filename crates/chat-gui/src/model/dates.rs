//! Days that a person can go to in a chat, as typed or chosen.
//!
//! Deliberately absent: the conversation; see the reducer's `dates.rs`.

use jiff::civil::Date;

use crate::model::names::Name;

/// A longer text is no date; so much of it is kept to be repaired.
pub const DATE_CHARACTERS_MAX: usize = 24;
/// The first year that messages may be of, and the last one whose end can be computed.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=9998;

/// Where in time a person wants to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DateChoice {
    /// The oldest message.
    Beginning,
    /// So many days before today.
    DaysAgo(u16),
    /// A day as typed.
    Typed(String),
}

/// A day that the person has gone to, while older messages are loaded for it.
#[derive(Debug)]
pub(super) struct SoughtDay {
    /// In which chat; if another one is open by then, nothing is scrolled.
    pub(super) peer: Name,
    /// `None` for the beginning.
    pub(super) day: Option<Date>,
}

/// The day that is written as `2026-11-30`; `None` if it is written otherwise, or if there is no
/// such day.
pub fn parse_day(text: &str) -> Option<Date> {
    let mut parts = text.trim().split('-');
    let mut number = |digits: usize| -> Option<i16> {
        let part = parts.next()?;
        let fits = (1..=digits).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| part.parse().ok())?
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    if parts.next().is_some() || !YEARS.contains(&year) {
        return None;
    }
    let small = |number: i16| i8::try_from(number).ok();
    Date::new(year, small(month)?, small(day)?).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::parse_day;

    #[test]
    fn days_are_written_year_first() {
        for (text, expected) in [
            ("2026-11-30", Some(date(2026, 11, 30))),
            (" 2026-3-1 ", Some(date(2026, 3, 1))),
            ("2024-02-29", Some(date(2024, 2, 29))),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("0026-01-01", None),
            ("9999-12-31", None),
            ("30.11.2026", None),
            ("11/30/2026", None),
            ("2026-11", None),
            ("2026-11-30-1", None),
            ("+2026-11-30", None),
            ("2026-11-３０", None),
            ("today", None),
            ("", None),
        ] {
            assert_eq!(parse_day(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_day_or_none(text in "\\PC{0,12}|[0-9-]{0,12}") {
            if let Some(day) = parse_day(&text) {
                prop_assert_eq!(parse_day(&day.to_string()), Some(day));
            }
        }
    }
}
