//! Going to a day in a chat: the first loaded message of that day or later.
//!
//! Deliberately absent: loading older messages for it; that is said, and happens when the person
//! scrolls up.

use jiff::ToSpan;
use jiff::civil::Date;

use crate::model::command::Command;
use crate::model::dates::{DATE_CHARACTERS_MAX, DateChoice, parse_day};
use crate::model::names::Name;
use crate::model::navigation::Dialog;
use crate::model::{Model, ScrollTarget};

impl Model {
    pub(super) fn go_to_date(
        &mut self,
        peer: Name,
        choice: DateChoice,
        commands: &mut Vec<Command>,
    ) {
        let today = self.zone.date(self.now.wall);
        let day = match choice {
            DateChoice::Beginning => None,
            DateChoice::DaysAgo(days) => Some(today.saturating_sub(i64::from(days).days())),
            DateChoice::Typed(text) => match parse_day(&text) {
                Some(day) => Some(day),
                None => {
                    let wrong = text.chars().take(DATE_CHARACTERS_MAX).collect();
                    let wrong = Some(wrong);
                    self.dialog = Some(Dialog::GoToDate { peer, wrong });
                    return;
                }
            },
        };
        self.dialog = None;
        self.open_conversation_with(peer, commands);
        self.scroll_to_day(day);
    }

    /// Scrolls the open conversation to this day, or to its beginning.
    fn scroll_to_day(&mut self, day: Option<Date>) {
        let Some(conversation) = self.open_conversation() else {
            return;
        };
        let start = day.map(|day| self.zone.bounds(day).0);
        let mut messages = conversation.messages.iter();
        let found = messages.position(|message| start.is_none_or(|start| start <= message.at));
        let Some(found) = found else {
            let said = match day {
                Some(day) => format!("No messages on or after {}.", words(day)),
                None => "No messages yet.".to_owned(),
            };
            self.scroll_to(ScrollTarget::Newest);
            self.confirm(said);
            return;
        };
        let message = &conversation.messages[found];
        let (id, at) = (message.id, self.zone.date(message.at));
        self.scroll_to(ScrollTarget::Message(id));
        // Only before the oldest message may there be others that are not loaded.
        let misses = found == 0 && day.is_none_or(|day| day <= at);
        if misses && self.more_to_load {
            self.confirm("Older messages are only on the servers. They load as you scroll up.");
        } else if let Some(day) = day.filter(|day| *day < at) {
            self.confirm(format!(
                "No messages on {}. The next ones are of {}.",
                words(day),
                words(at)
            ));
        }
    }
}

/// Such as `30 November 2026`.
fn words(day: Date) -> String {
    day.strftime("%-d %B %Y").to_string()
}
