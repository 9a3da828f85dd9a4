//! The commands for messages: send, inbox, read, delete.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::process::ExitCode;
use std::time::SystemTime;

use chat_client::{
    ClientError, Direction, InboxPage, InboxQuery, Message, OutgoingMessage, SendOptions,
};
use serde_json::json;
use uuid::Uuid;

use crate::arguments::{Delete, Inbox, ReadMessages, Send};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{self, count_unread, harmless, shell_quoted};
use crate::progress::waiting;

/// The longest message, in bytes. Not much more is read from standard input.
const BODY_BYTES_MAX: u64 = 16_384;

pub(crate) async fn send(context: &Context, send: &Send) -> Result<ExitCode, Failure> {
    let session = context.session().await?;
    let text = match send.text.as_str() {
        "-" => standard_input()?,
        text => text.to_owned(),
    };
    let mut message = OutgoingMessage::new(&send.to, text);
    message.id = send.id.unwrap_or(message.id);
    let options = options(send);
    let client = context.client()?;
    let sending = client.send_message_with(&session, &message, &options);
    let sent = waiting("sending", sending).await;
    let sent = sent.map_err(|error| with_repeat_advice(error, message.id))?;
    context.printer.print(
        || {
            let (to, from) = (harmless(&send.to), harmless(session.username()));
            format!("Sent to {to} as {from}.")
        },
        &sent,
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Without one of the arguments there are none, so that every server understands the message.
fn options(send: &Send) -> SendOptions {
    let any = send.keep_copy || send.reply_to.is_some();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    SendOptions {
        keep_copy: send.keep_copy,
        reply_to: send.reply_to,
        written_at: now.ok().filter(|_| any).map(|now| now.as_secs_f64()),
    }
}

/// Adds to an unknown outcome how to repeat the message.
fn with_repeat_advice(error: ClientError, id: Uuid) -> ClientError {
    match error {
        ClientError::OutcomeUnknown { last } => ClientError::OutcomeUnknown {
            last: format!("{last}; repeat it with --id {id}: it is sent once"),
        },
        other => other,
    }
}

/// The whole of standard input, without the end of its last line.
fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = io::stdin()
        .lock()
        .take(BODY_BYTES_MAX + 2)
        .read_to_string(&mut text);
    read.map_err(|error| Failure::Usage(format!("cannot read the text: {error}")))?;
    let end = text
        .strip_suffix("\r\n")
        .or_else(|| text.strip_suffix('\n'));
    Ok(end.map(str::to_owned).unwrap_or(text))
}

pub(crate) async fn inbox(context: &Context, wanted: &Inbox) -> Result<ExitCode, Failure> {
    let session = context.session().await?;
    let query = InboxQuery {
        limit: Some(wanted.page.limit),
        after: wanted.page.after.clone(),
        directions: wanted.direction.into(),
        unread_only: wanted.unread,
        oldest_first: wanted.oldest_first,
    };
    let client = context.client()?;
    let page = waiting("reading the inbox", client.inbox(&session, &query)).await?;
    let describe = || describe(session.username(), &page);
    context.printer.print(describe, &page)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn read(context: &Context, wanted: &ReadMessages) -> Result<ExitCode, Failure> {
    match wanted.next {
        Some(next) => read_next(context, next).await,
        None => mark_read(context, &wanted.ids).await,
    }
}

async fn mark_read(context: &Context, ids: &[Uuid]) -> Result<ExitCode, Failure> {
    let session = context.session().await?;
    let client = context.client()?;
    waiting("marking as read", client.mark_read(&session, ids)).await?;
    context.printer.print(
        || format!("{} marked as read.", count(ids.len())),
        &json!({"read": ids}),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Shows the messages before it marks them, so that a message that was not shown stays unread.
async fn read_next(context: &Context, next: u32) -> Result<ExitCode, Failure> {
    let session = context.session().await?;
    let query = InboxQuery {
        limit: Some(next),
        unread_only: true,
        oldest_first: true,
        ..InboxQuery::default()
    };
    let client = context.client()?;
    let page = waiting("reading the inbox", client.inbox(&session, &query)).await?;
    let describe = || {
        if page.messages.is_empty() {
            "There are no unread messages.\n".to_owned()
        } else {
            blocks(&page.messages)
        }
    };
    let left = page.unread.saturating_sub(page.messages.len() as u64);
    let value = json!({"messages": page.messages, "unread": left});
    context.printer.print(describe, &value)?;
    let ids: Vec<Uuid> = page.messages.iter().map(|message| message.id).collect();
    if !ids.is_empty() {
        waiting("marking as read", client.mark_read(&session, &ids)).await?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn delete(context: &Context, wanted: &Delete) -> Result<ExitCode, Failure> {
    let session = context.session().await?;
    let ids = &wanted.ids;
    let client = context.client()?;
    waiting("deleting", client.delete_messages(&session, ids)).await?;
    context.printer.print(
        || format!("{} deleted.", count(ids.len())),
        &json!({"deleted": ids}),
    )?;
    Ok(ExitCode::SUCCESS)
}

fn describe(username: &str, page: &InboxPage) -> String {
    let mut text = format!("{}: {}\n", harmless(username), count_unread(page.unread));
    text += &blocks(&page.messages);
    if let Some(next) = &page.next {
        text += &format!(
            "… there are more; --after {} shows them\n",
            shell_quoted(next)
        );
    }
    text
}

/// The messages, with earlier accounts of the same name marked: after an account is deleted, another
/// one may use its name.
fn blocks(messages: &[Message]) -> String {
    let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
    for message in messages {
        let (other, since) = other(message);
        let newest = newest.entry(other).or_default();
        *newest = (*newest).max(since.unwrap_or_default());
    }
    let block_of = |message: &Message| {
        let (other, since) = other(message);
        let is_former = since.is_some_and(|since| since < newest[other]);
        block(
            message,
            is_former.then_some("an earlier account with this name"),
        )
    };
    messages.iter().map(block_of).collect()
}

/// The other person, and the commit that created that account.
pub(crate) fn other(message: &Message) -> (&str, Option<u64>) {
    match message.direction {
        Direction::Received => (&message.sender, message.sender_since),
        Direction::Sent => (&message.recipient, message.recipient_since),
    }
}

/// A message for people: a line with its id, time and sender, or recipient if it is a copy, then its text.
/// `note` follows the name.
pub(crate) fn block(message: &Message, note: Option<&str>) -> String {
    let mark = if message.read { ' ' } else { '*' };
    let (id, time) = (message.id, output::time(message.timestamp));
    let to = match message.direction {
        Direction::Received => "",
        Direction::Sent => "to ",
    };
    let mut person = harmless(other(message).0).into_owned();
    if let Some(note) = note {
        person += &format!("  ({note})");
    }
    let reply_to = message.reply_to.map(|id| format!("    in reply to {id}\n"));
    let body = harmless(&message.body).replace('\n', "\n    ");
    format!(
        "{mark} {id}  {time}  {to}{person}\n{}    {body}\n",
        reply_to.unwrap_or_default()
    )
}

/// `2 messages`.
pub(crate) fn count(messages: usize) -> String {
    match messages {
        1 => "1 message".to_owned(),
        many => format!("{many} messages"),
    }
}

#[cfg(test)]
mod tests {
    use chat_client::InboxPage;
    use expect_test::expect;
    use serde_json::json;

    #[test]
    fn inbox_is_shown_as_text() {
        let message = |body: &str, read: bool| {
            let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
            json!({"id": id, "sender": "alice", "recipient": "bob", "body": body,
                   "timestamp": 1_795_363_445.5, "read": read, "commit": {"index": 7, "term": 2}})
        };
        let page = json!({"messages": [message("hi\nthere", false), message("\u{1b}[2J", true)],
                          "unread": 1, "next": "7"});
        let page: InboxPage = serde_json::from_value(page).unwrap();
        expect![[r#"
            bob: 1 unread message
            * 67e55044-10b1-426f-9247-bb680e5fe0c8  2026-11-22 16:04:05 UTC  alice
                hi
                there
              67e55044-10b1-426f-9247-bb680e5fe0c8  2026-11-22 16:04:05 UTC  alice
                �[2J
            … there are more; --after '7' shows them
        "#]]
        .assert_eq(&super::describe("bob", &page));
    }

    #[test]
    fn copy_is_shown_with_its_recipient() {
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let copy = json!({"id": id, "sender": "bob", "recipient": "alice", "recipient_since": 4,
                          "direction": "sent", "body": "hi", "reply_to": id, "timestamp": 0,
                          "written_at": 0.5, "read": true, "commit": {"index": 7, "term": 2}});
        let page = json!({"messages": [copy], "unread": 0, "next": null});
        let page: InboxPage = serde_json::from_value(page).unwrap();
        expect![[r#"
            bob: no unread messages
              67e55044-10b1-426f-9247-bb680e5fe0c8  1970-01-01 00:00:00 UTC  to alice
                in reply to 67e55044-10b1-426f-9247-bb680e5fe0c8
                hi
        "#]]
        .assert_eq(&super::describe("bob", &page));
    }

    /// S-A15: the current account of a name did not write the messages of an earlier one.
    #[test]
    fn earlier_account_of_a_name_is_marked() {
        let message = |sender: &str, since: Option<u64>, body: &str| {
            json!({"id": "67e55044-10b1-426f-9247-bb680e5fe0c8", "sender": sender,
                   "sender_since": since, "recipient": "bob", "body": body, "read": true,
                   "timestamp": 0, "commit": {"index": 7, "term": 2}})
        };
        let messages = [
            message("alice", Some(9), "new"),
            message("alice", Some(3), "old"),
            message("carol", Some(3), "the only one"),
            message("dave", None, "of an older server"),
        ];
        let page = json!({"messages": messages, "unread": 0, "next": null});
        let page: InboxPage = serde_json::from_value(page).unwrap();
        let text = super::describe("bob", &page);
        let lines: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_once("UTC  ").map(|(_, sender)| sender))
            .collect();
        let former = "alice  (an earlier account with this name)";
        assert_eq!(lines, ["alice", former, "carol", "dave"]);
    }
}
