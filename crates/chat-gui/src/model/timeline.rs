//! What a conversation looks like from top to bottom: day lines, the unread line, and messages in
//! series. Knows no sizes and no fonts.

use std::time::Duration;

use jiff::civil::Date;

use crate::model::message::Message;
use crate::model::names::MessageId;
use crate::model::time::{Timestamp, Zone};

/// Messages further apart begin a new series, with a time of their own.
const SERIES_GAP: Duration = Duration::from_secs(300);

/// One line of a conversation, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimelineItem {
    /// What follows happened on this day.
    Day(Date),
    /// What follows was unread when the conversation was opened.
    Unread,
    /// A message.
    Message {
        /// Its place in `Conversation::messages`.
        index: usize,
        /// Where it stands among its neighbours.
        series: Series,
    },
}

/// Where a message stands in a run of messages of one person, of one day, within a few minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// Alone.
    Single,
    /// Others follow.
    First,
    /// Others before and behind.
    Middle,
    /// The last of several.
    Last,
}

/// Remembers the day it has seen last: neighbours are nearly always of the same one.
struct Days<'a> {
    zone: &'a Zone,
    latest: Option<(Date, Timestamp, Timestamp)>,
}

/// Draws everything anew from message `index` on. What stands above it must be as it was drawn.
pub(super) fn rebuild(
    timeline: &mut Vec<TimelineItem>,
    messages: &[Message],
    unread_line: Option<MessageId>,
    index: usize,
    zone: &Zone,
) {
    // The message before may end its series now.
    let first = index.min(messages.len()).saturating_sub(1);
    while let Some(item) = timeline.last() {
        if matches!(item, TimelineItem::Message { index, .. } if *index < first) {
            break;
        }
        timeline.pop();
    }
    let mut days = Days { zone, latest: None };
    let mut day = first.checked_sub(1).map(|before| {
        let drawn = timeline.iter().rev().find_map(|item| match item {
            TimelineItem::Day(day) => Some(*day),
            _ => None,
        });
        drawn.unwrap_or_else(|| days.of(messages[before].at))
    });
    let mut joined = first > 0
        && joins(
            &messages[first - 1],
            &messages[first],
            unread_line,
            &mut days,
        );
    for (index, message) in messages.iter().enumerate().skip(first) {
        // By another clock than the servers' a day may seem to be over already; days never go back.
        let date = days.of(message.at);
        if day.is_none_or(|day| day < date) {
            timeline.push(TimelineItem::Day(date));
            day = Some(date);
        }
        if unread_line == Some(message.id) {
            timeline.push(TimelineItem::Unread);
        }
        let next = messages.get(index + 1);
        let joins_next = next.is_some_and(|next| joins(message, next, unread_line, &mut days));
        let series = match (joined, joins_next) {
            (false, false) => Series::Single,
            (false, true) => Series::First,
            (true, true) => Series::Middle,
            (true, false) => Series::Last,
        };
        timeline.push(TimelineItem::Message { index, series });
        joined = joins_next;
    }
}

/// Whether a message goes on with the series of the one before.
fn joins(
    before: &Message,
    message: &Message,
    unread_line: Option<MessageId>,
    days: &mut Days<'_>,
) -> bool {
    before.is_own() == message.is_own()
        && unread_line != Some(message.id)
        && message.at.0 - before.at.0 < SERIES_GAP.as_secs_f64()
        && days.of(before.at) >= days.of(message.at)
}

impl Days<'_> {
    fn of(&mut self, at: Timestamp) -> Date {
        if let Some((date, from, to)) = self.latest
            && from <= at
            && at < to
        {
            return date;
        }
        let date = self.zone.date(at);
        let (from, to) = self.zone.bounds(date);
        self.latest = Some((date, from, to));
        date
    }
}
