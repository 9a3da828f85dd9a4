//! What a conversation looks like from top to bottom: day lines, the unread line, and messages in
//! series. Knows no sizes and no fonts.

use std::time::Duration;

use jiff::civil::Date;

use crate::model::holder::Holders;
use crate::model::message::Message;
use crate::model::names::{LogIndex, MessageId};
use crate::model::time::{Timestamp, Zone};

/// Messages further apart begin a new series, with a time of their own.
const SERIES_GAP: Duration = Duration::from_secs(300);

/// One line of a conversation, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimelineItem {
    /// What follows happened on this day.
    Day(Date),
    /// What follows is with another account of the same name, which was created by this commit.
    OtherAccount(LogIndex),
    /// What follows was unread when the conversation was opened.
    Unread,
    /// A message.
    Message {
        /// Its place in `Conversation::messages`.
        index: usize,
        /// Its place among its neighbours.
        series: Series,
    },
}

/// The place of a message in a run of messages of one person, of one day, within a few minutes.
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

/// What the timeline is drawn from.
pub(super) struct Drawn<'a> {
    /// In their order.
    pub(super) messages: &'a [Message],
    /// The accounts that have had the other one's name.
    pub(super) holders: &'a Holders,
    /// The message below the unread line.
    pub(super) unread_line: Option<MessageId>,
    /// Where the person is.
    pub(super) zone: &'a Zone,
}

/// Draws everything again from message `index` on. What is above it must be as it was drawn.
pub(super) fn rebuild(timeline: &mut Vec<TimelineItem>, drawn: &Drawn<'_>, index: usize) {
    let Drawn {
        messages,
        holders,
        unread_line,
        zone,
    } = *drawn;
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
    let mut joined = first > 0 && drawn.joins(first - 1, &mut days);
    let mut before = messages[..first].iter().rev();
    let mut account = before.find_map(|message| holders.account(message));
    for (index, message) in messages.iter().enumerate().skip(first) {
        // By another clock than the servers' a day may seem to be over already; days never go back.
        let date = days.of(message.at);
        if day.is_none_or(|day| day < date) {
            timeline.push(TimelineItem::Day(date));
            day = Some(date);
        }
        if let Some(present) = holders.account(message) {
            if account.is_some_and(|before| before != present) {
                timeline.push(TimelineItem::OtherAccount(present));
            }
            account = Some(present);
        }
        if unread_line == Some(message.id) {
            timeline.push(TimelineItem::Unread);
        }
        let joins_next = index + 1 < messages.len() && drawn.joins(index, &mut days);
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

impl Drawn<'_> {
    /// Whether the message behind this one goes on with its series.
    fn joins(&self, index: usize, days: &mut Days<'_>) -> bool {
        let (before, message) = (&self.messages[index], &self.messages[index + 1]);
        before.is_own() == message.is_own()
            && self.unread_line != Some(message.id)
            && message.at.0 - before.at.0 < SERIES_GAP.as_secs_f64()
            && self.holders.are_same(before, message)
            && days.of(before.at) >= days.of(message.at)
    }
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
