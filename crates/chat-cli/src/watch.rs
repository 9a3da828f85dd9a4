//! `chat watch`: the inbox as it changes, until somebody ends it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use chat_client::{ClientError, Cursor, Message, WatchEvent, WatchUpdate};
use serde::Serialize;
use uuid::Uuid;

use crate::arguments::Watch;
use crate::context::Context;
use crate::failure::Failure;
use crate::messages::{block, count};
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

pub(crate) async fn run(context: &Context, wanted: &Watch) -> Result<ExitCode, Failure> {
    let session = context.session().await?;
    let cursor = wanted.after.clone().map(Cursor::new);
    let mut watch = context.client()?.watch(&session, cursor);
    let mut messages = 0;
    let mut senders = Senders::default();
    while wanted.limit.is_none_or(|limit| messages < limit) {
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

/// Which account of a name has written last, as far as this watch has seen.
#[derive(Default)]
struct Senders(BTreeMap<String, u64>);

impl Senders {
    /// What is to be said about the sender of the next message.
    fn remark(&mut self, message: &Message) -> Option<&'static str> {
        let since = message.sender_since?;
        let before = self.0.insert(message.sender.clone(), since);
        let is_other = before.is_some_and(|before| before != since);
        is_other.then_some("another account of this name than before")
    }
}

/// Nothing for what people need not know.
fn describe(event: &WatchEvent, senders: &mut Senders) -> String {
    match event {
        WatchEvent::Message(message) => block(message, senders.remark(message)),
        WatchEvent::Read(ids) => format!("({} read)\n", count(ids.len())),
        WatchEvent::Deleted(ids) => format!("({} deleted)\n", count(ids.len())),
        WatchEvent::Resync => "(some changes were missed; `chat inbox` shows all)\n".to_owned(),
        _ => String::new(),
    }
}
