//! The commands of a person: sign up, log in, send, read.

use std::process::ExitCode;

use chat_client::{InboxPage, InboxQuery};
use serde_json::json;

use crate::accounts::Accounts;
use crate::arguments::{Format, Inbox, Person};
use crate::failure::Failure;
use crate::nodes::Nodes;
use crate::output::{self, harmless};
use crate::password;

pub(crate) async fn sign_up(
    nodes: &Nodes,
    person: &Person,
    format: Format,
) -> Result<ExitCode, Failure> {
    let accounts = Accounts::open()?;
    let password = password::ask_new(person)?;
    let session = nodes.client()?.sign_up(&person.name, &password).await?;
    accounts.keep(&session)?;
    match format {
        Format::Table => println!("Welcome, {}. You are logged in.", harmless(&person.name)),
        Format::Json => output::print_json(&json!({"username": person.name})),
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn login(
    nodes: &Nodes,
    person: &Person,
    format: Format,
) -> Result<ExitCode, Failure> {
    let accounts = Accounts::open()?;
    let password = password::ask(person)?;
    let logged_in = nodes.client()?.login(&person.name, &password).await?;
    accounts.keep(&logged_in.session)?;
    let unread = logged_in.unread;
    match format {
        Format::Table => println!(
            "Logged in as {}: {}.",
            harmless(&person.name),
            count(unread)
        ),
        Format::Json => output::print_json(&json!({"username": person.name, "unread": unread})),
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn send(
    nodes: &Nodes,
    account: Option<&str>,
    to: &str,
    text: &str,
    format: Format,
) -> Result<ExitCode, Failure> {
    let session = Accounts::open()?.session(account)?;
    let sent = nodes.client()?.send(&session, to, text).await?;
    match format {
        Format::Table => println!(
            "Sent to {} as {}.",
            harmless(to),
            harmless(session.username())
        ),
        Format::Json => output::print_json(&sent),
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn inbox(
    nodes: &Nodes,
    account: Option<&str>,
    wanted: &Inbox,
    format: Format,
) -> Result<ExitCode, Failure> {
    let session = Accounts::open()?.session(account)?;
    let query = InboxQuery {
        limit: Some(wanted.limit),
        unread_only: wanted.unread,
        ..InboxQuery::default()
    };
    let page = nodes.client()?.inbox(&session, &query).await?;
    match format {
        Format::Table => print!("{}", describe(session.username(), &page)),
        Format::Json => output::print_json(&page),
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(username: &str, page: &InboxPage) -> String {
    let mut text = format!("{}: {}\n", harmless(username), count(page.unread));
    for message in &page.messages {
        let mark = if message.read { ' ' } else { '*' };
        let time = output::time(message.timestamp);
        // Further lines of a body stand below its first.
        let body = harmless(&message.body).replace('\n', "\n    ");
        text += &format!("{mark} [{time}] {}: {body}\n", harmless(&message.sender));
    }
    if page.next.is_some() {
        text += "  … there are more; -n N shows up to N\n";
    }
    text
}

fn count(unread: u64) -> String {
    match unread {
        0 => "no unread messages".to_owned(),
        1 => "1 unread message".to_owned(),
        many => format!("{} unread messages", output::thousands(many)),
    }
}

#[cfg(test)]
mod tests {
    use chat_client::InboxPage;
    use expect_test::expect;
    use serde_json::json;

    #[test]
    fn an_inbox_is_readable() {
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
            * [2026-11-22 16:04:05] alice: hi
                there
              [2026-11-22 16:04:05] alice: �[2J
              … there are more; -n N shows up to N
        "#]]
        .assert_eq(&super::describe("bob", &page));
    }
}
