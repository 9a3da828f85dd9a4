//! `chat watch`: the events of the inbox as they happen, until the command is interrupted.

use std::collections::BTreeMap;
use std::process::ExitCode;

use chat_client::{ClientError, Cursor, Message, WatchEvent, WatchUpdate};
use serde::Serialize;
use uuid::Uuid;

use crate::arguments::Watch;
use crate::context::Context;
use crate::failure::Failure;
use crate::messages::{block, count, other};
use crate::stderr::warn;

/// A line of JSON. What is serialised is a stable interface.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    cursor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<&'a [Uuid]>,
}

pub(crate) async fn run(context: &Context, options: &Watch) -> Result<ExitCode, Failure> {
    let session = context.session().await?;
    let cursor = options.after.clone().map(Cursor::new);
    let client = context.client()?;
    let mut watch = client.watch_with(&session, cursor, options.direction.into());
    let mut messages = 0;
    let mut senders = Senders::default();
    while options.limit.is_none_or(|limit| messages < limit) {
        let update = match watch.next().await {
            Ok(update) => update,
            Err(error @ ClientError::Unavailable { .. }) => {
                warn(&format!("chat: {error}; still trying"));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if let WatchEvent::Message(_) = update.event {
            messages += 1;
        }
        let line = line(&update);
        context
            .printer
            .print(|| describe(&update.event, &mut senders), &line)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn line(update: &WatchUpdate) -> Line<'_> {
    let (event, message, ids) = match &update.event {
        WatchEvent::Message(message) => ("message", Some(message), None),
        WatchEvent::Read(ids) => ("read", None, Some(ids.as_slice())),
        WatchEvent::Deleted(ids) => ("deleted", None, Some(ids.as_slice())),
        WatchEvent::CaughtUp => ("caught_up", None, None),
        WatchEvent::Resync => ("resync", None, None),
        _ => ("unknown", None, None),
    };
    Line {
        event,
        cursor: update.cursor.as_str(),
        message,
        ids,
    }
}

/// The account of each name that wrote or received the last message in this watch.
#[derive(Default)]
struct Senders(BTreeMap<String, u64>);

impl Senders {
    /// A note about the other person of the next message, if another account had the last message under the
    /// same name.
    fn note(&mut self, message: &Message) -> Option<&'static str> {
        let (other, since) = other(message);
        let since = since?;
        let before = self.0.insert(other.to_owned(), since);
        let is_other = before.is_some_and(|before| before != since);
        is_other.then_some("a different account with this name than before")
    }
}

/// The event for people; empty if it does not concern them.
fn describe(event: &WatchEvent, senders: &mut Senders) -> String {
    match event {
        WatchEvent::Message(message) => block(message, senders.note(message)),
        WatchEvent::Read(ids) => format!("({} read)\n", count(ids.len())),
        WatchEvent::Deleted(ids) => format!("({} deleted)\n", count(ids.len())),
        WatchEvent::Resync => {
            "(some changes were missed; `chat inbox` shows all messages)\n".to_owned()
        }
        _ => String::new(),
    }
}
