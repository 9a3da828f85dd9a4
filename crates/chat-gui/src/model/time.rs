//! Time as it is passed in: moments since the window opened, and the time on the wall. Nothing here
//! reads a clock; which zone the wall is in is a value too.

use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

/// Milliseconds since the window opened; never runs backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

/// Seconds since 1970, by the clock of the sender of the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Timestamp(pub f64);

/// When something is passed in, by both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Now {
    /// For durations and deadlines.
    pub moment: Moment,
    /// For what people read.
    pub wall: Timestamp,
}

/// Where the person is, as far as the time of day goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Moment {
    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// So much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(milliseconds))
    }
}

impl Zone {
    /// A zone that was found outside the model, for example the machine's own.
    pub fn new(zone: TimeZone) -> Self {
        Self(zone)
    }

    /// For tests and pictures.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The day that something happened on, here.
    pub fn date(&self, at: Timestamp) -> Date {
        self.civil(at).date()
    }

    /// The time of day that something happened at, here.
    pub fn time(&self, at: Timestamp) -> Time {
        self.civil(at).time()
    }

    /// When a day begins and ends here.
    pub(super) fn bounds(&self, day: Date) -> (Timestamp, Timestamp) {
        let midnight = |day: Date| {
            let begun = day.to_zoned(self.0.clone()).map(|zoned| zoned.timestamp());
            begun.map_or(Timestamp(f64::NAN), |begun| {
                Timestamp(begun.as_duration().as_secs_f64())
            })
        };
        let tomorrow = day.tomorrow().unwrap_or(day);
        (midnight(day), midnight(tomorrow))
    }

    /// Such as `14:05`.
    pub fn hours_and_minutes(&self, at: Timestamp) -> String {
        let time = self.time(at);
        format!("{:02}:{:02}", time.hour(), time.minute())
    }

    /// Such as `2026-11-22 14:05:59`.
    pub fn date_and_time(&self, at: Timestamp) -> String {
        let (date, time) = (self.date(at), self.time(at));
        format!(
            "{date} {:02}:{:02}:{:02}",
            time.hour(),
            time.minute(),
            time.second()
        )
    }

    /// What a servers' clock may claim is shown as well as it can be: out of range is 1970.
    fn civil(&self, at: Timestamp) -> jiff::civil::DateTime {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what does not fit saturates, and is out of range below"
        )]
        let milliseconds = (at.0 * 1000.0) as i64;
        let timestamp = jiff::Timestamp::from_millisecond(milliseconds).unwrap_or_default();
        self.0.to_datetime(timestamp)
    }
}

/// `Today`, `Yesterday`, a weekday within the last week, or the date in full.
pub fn day_label(day: Date, today: Date) -> String {
    let ago = today.since(day).map_or(i32::MAX, |span| span.get_days());
    match ago {
        0 => "Today".to_owned(),
        1 => "Yesterday".to_owned(),
        2..=6 => day.strftime("%A").to_string(),
        _ => day.strftime("%A, %-d %B %Y").to_string(),
    }
}

/// A time in words that fit into a sentence: `420 ms`, `3.2 s`, `4 min`, `2 h`, `5 days`.
pub fn duration_words(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{:.1} s", duration.as_secs_f64()),
        60_000..3_600_000 => format!("{} min", milliseconds / 60_000),
        3_600_000..86_400_000 => format!("{} h", milliseconds / 3_600_000),
        86_400_000..172_800_000 => "1 day".to_owned(),
        _ => format!("{} days", milliseconds / 86_400_000),
    }
}

/// The same for an interruption in a sentence: `0.5 s`, and milliseconds only below a tenth.
pub fn seconds_words(duration: Duration) -> String {
    if (100..1_000).contains(&duration.as_millis()) {
        return format!("{:.1} s", duration.as_secs_f64());
    }
    duration_words(duration)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::civil::date;

    use super::{Timestamp, Zone, day_label, duration_words, seconds_words};

    #[test]
    fn days_have_relative_labels() {
        let today = date(2026, 3, 2);
        let cases = [
            (date(2026, 3, 2), "Today"),
            (date(2026, 3, 1), "Yesterday"),
            (date(2026, 2, 28), "Saturday"),
            (date(2026, 2, 23), "Monday, 23 February 2026"),
            (date(2026, 3, 3), "Tuesday, 3 March 2026"),
        ];
        for (day, label) in cases {
            assert_eq!(day_label(day, today), label);
        }
    }

    #[test]
    fn timestamp_out_of_range_becomes_1970() {
        let zone = Zone::utc();
        assert_eq!(zone.date_and_time(Timestamp(1.9)), "1970-01-01 00:00:01");
        for wrong in [f64::NAN, f64::INFINITY, -1e300, 1e300] {
            assert_eq!(zone.date(Timestamp(wrong)), date(1970, 1, 1), "{wrong}");
        }
    }

    #[test]
    fn durations_have_units_that_fit() {
        let cases = [
            (0, "0 ms"),
            (999, "999 ms"),
            (3_210, "3.2 s"),
            (61_000, "1 min"),
            (7_200_000, "2 h"),
            (90_000_000, "1 day"),
            (200_000_000, "2 days"),
        ];
        for (milliseconds, words) in cases {
            assert_eq!(duration_words(Duration::from_millis(milliseconds)), words);
        }
    }

    #[test]
    fn interruptions_are_in_seconds_from_a_tenth_on() {
        for (milliseconds, words) in [
            (99, "99 ms"),
            (100, "0.1 s"),
            (512, "0.5 s"),
            (2_000, "2.0 s"),
            (61_000, "1 min"),
        ] {
            assert_eq!(seconds_words(Duration::from_millis(milliseconds)), words);
        }
    }
}
