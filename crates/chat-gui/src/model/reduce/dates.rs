//! Going to a day in a chat: the first message of that day or later. Older messages are loaded for it,
//! page by page, until one is of an earlier day.
//!
//! Deliberately absent: loading them while the window is offline; that is said.

use jiff::ToSpan;
use jiff::civil::Date;

use crate::model::command::Command;
use crate::model::dates::{DATE_CHARACTERS_MAX, DateChoice, SoughtDay, parse_day};
use crate::model::names::Name;
use crate::model::navigation::Dialog;
use crate::model::time::Timestamp;
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
        self.open_conversation_with(peer.clone(), commands);
        self.memory.account.sought_day = None;
        if !self.is_before_loaded(day) {
            self.scroll_to_day(day);
        } else if self.connection.is_online() {
            self.scroll_to_oldest();
            self.confirm("Loading older messages…");
            self.memory.account.sought_day = Some(SoughtDay { peer, day });
            self.load_older(commands);
        } else {
            self.scroll_to_oldest();
            self.confirm("Older messages are only on the servers. They load as you scroll up.");
        }
    }

    /// A page of older messages has come, down to this time: the day that the person has gone to may be on
    /// it; otherwise the next page is requested.
    pub(super) fn seek_day(&mut self, oldest: Option<Timestamp>, commands: &mut Vec<Command>) {
        let Some(sought) = self.memory.account.sought_day.take() else {
            return;
        };
        if self.open.as_ref() != Some(&sought.peer) {
            return;
        }
        let is_reached = sought.day.zip(oldest).is_some_and(|(day, oldest)| {
            let (start, _) = self.zone.bounds(day);
            oldest < start
        });
        if is_reached || !self.is_before_loaded(sought.day) {
            self.scroll_to_day(sought.day);
        } else {
            self.memory.account.sought_day = Some(sought);
            self.load_older(commands);
        }
    }

    /// Whether messages of this day, or the beginning, may be among those that are not loaded: only before
    /// the oldest message of the open conversation there may be others.
    fn is_before_loaded(&self, day: Option<Date>) -> bool {
        let oldest = self
            .open_conversation()
            .and_then(|one| one.messages.first());
        let oldest = oldest.map(|message| self.zone.date(message.at));
        let is_before = match (day, oldest) {
            (Some(day), Some(oldest)) => day <= oldest,
            (None, _) | (_, None) => true,
        };
        is_before && self.more_to_load
    }

    fn scroll_to_oldest(&mut self) {
        let conversation = self.open_conversation();
        let oldest = conversation.and_then(|one| one.messages.first());
        let target = oldest.map(|message| message.id);
        self.scroll_to(target.map_or(ScrollTarget::Newest, ScrollTarget::Message));
    }

    /// Scrolls the open conversation to this day, or to its beginning.
    fn scroll_to_day(&mut self, day: Option<Date>) {
        let Some(conversation) = self.open_conversation() else {
            return;
        };
        let start = day.map(|day| self.zone.bounds(day).0);
        let mut messages = conversation.messages.iter();
        let found = messages.find(|message| start.is_none_or(|start| start <= message.at));
        let Some(message) = found else {
            let said = match day {
                Some(day) => format!("No messages on or after {}.", words(day)),
                None => "No messages yet.".to_owned(),
            };
            self.scroll_to(ScrollTarget::Newest);
            self.confirm(said);
            return;
        };
        let (id, at) = (message.id, self.zone.date(message.at));
        self.scroll_to(ScrollTarget::Message(id));
        if let Some(day) = day.filter(|day| *day < at) {
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
