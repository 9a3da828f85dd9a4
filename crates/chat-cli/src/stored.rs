//! `chat stored`: which messages are stored, where in the log, and on how many servers.

use std::process::ExitCode;
use std::time::Duration;

use chat_client::{NodeReport, StoredMessage, StoredOn};
use serde::Serialize;
use uuid::Uuid;

use crate::arguments::Stored;
use crate::context::Context;
use crate::failure::Failure;
use crate::output;
use crate::progress::waiting;

/// How long a server may take to report how far its log is.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// What is serialised is a stable interface.
#[derive(Serialize)]
struct Found {
    messages: Vec<StoredEntry>,
    missing: Vec<Uuid>,
}

#[derive(Serialize)]
struct StoredEntry {
    #[serde(flatten)]
    message: StoredMessage,
    servers: Option<Servers>,
}

#[derive(Serialize)]
struct Servers {
    stored: usize,
    of: usize,
}

pub(crate) async fn run(context: &Context, wanted: &Stored) -> Result<ExitCode, Failure> {
    let session = context.session().await?;
    let client = context.client()?;
    let checking = client.check_messages(&session, &wanted.ids);
    let messages = waiting("looking for the messages", checking).await?;
    let reports = client.status(STATUS_TIMEOUT.min(context.deadline)).await;
    let result = found(&wanted.ids, messages, &reports);
    context.printer.print(|| describe(&result), &result)?;
    Ok(ExitCode::SUCCESS)
}

fn found(ids: &[Uuid], messages: Vec<StoredMessage>, reports: &[NodeReport]) -> Found {
    let is_stored = |id: &&Uuid| messages.iter().any(|message| message.id == **id);
    let mut missing: Vec<Uuid> = ids.iter().filter(|id| !is_stored(id)).copied().collect();
    missing.sort_unstable();
    missing.dedup();
    let line = |message: StoredMessage| {
        let statuses = reports
            .iter()
            .filter_map(|report| report.status.as_ref().ok());
        let stored = StoredOn::from_reports(message.commit.index, statuses);
        let servers = stored.map(|stored| Servers {
            stored: stored.nodes,
            of: stored.of,
        });
        StoredEntry { message, servers }
    };
    Found {
        messages: messages.into_iter().map(line).collect(),
        missing,
    }
}

fn describe(result: &Found) -> String {
    let stored = result
        .messages
        .iter()
        .map(|StoredEntry { message, servers }| {
            let servers = match servers {
                Some(Servers { stored, of }) => format!(" on {stored} of {of} servers"),
                None => String::new(),
            };
            let written = message
                .written_at
                .map(|time| format!(", written {}", output::time(time)));
            let box_note = if message.in_box {
                ""
            } else {
                ", not in your box"
            };
            format!(
                "{}  stored {}{servers}{}, entry {} of term {}{box_note}\n",
                message.id,
                output::time(message.timestamp),
                written.unwrap_or_default(),
                message.commit.index,
                message.commit.term,
            )
        });
    let missing = result.missing.iter();
    let missing = missing.map(|id| format!("{id}  not stored, or deleted long ago\n"));
    stored.chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chat_client::{NodeReport, NodeStatus};
    use expect_test::expect;
    use serde_json::json;
    use uuid::Uuid;

    #[test]
    fn stored_and_missing_messages_are_shown() {
        let [first, second, third] = [1, 2, 3].map(Uuid::from_u128);
        let messages = json!([
            {"id": first, "direction": "sent", "in_box": true, "timestamp": 60.5,
             "written_at": 0.5, "commit": {"index": 7, "term": 2}},
            {"id": second, "direction": "received", "in_box": false, "timestamp": 61,
             "commit": {"index": 9, "term": 2}},
        ]);
        let messages = serde_json::from_value(messages).unwrap();
        let report = |node_id, applied| NodeReport {
            address: String::new(),
            node_id: Some(node_id),
            status: Ok(NodeStatus {
                node_id,
                commit_index: applied,
                applied_index: applied,
                voter_ids: vec![1, 2, 3],
                ..NodeStatus::default()
            }),
            is_foreign: false,
            round_trip: Duration::ZERO,
        };
        let reports = [report(1, 8), report(2, 7)];
        let result = super::found(&[third, first, third, second], messages, &reports);
        expect![[r#"
            00000000-0000-0000-0000-000000000001  stored 1970-01-01 00:01:00 UTC on 2 of 3 servers, written 1970-01-01 00:00:00 UTC, entry 7 of term 2
            00000000-0000-0000-0000-000000000002  stored 1970-01-01 00:01:01 UTC, entry 9 of term 2, not in your box
            00000000-0000-0000-0000-000000000003  not stored, or deleted long ago
        "#]].assert_eq(&super::describe(&result));
        expect![[r#"{"messages":[{"id":"00000000-0000-0000-0000-000000000001","direction":"sent","in_box":true,"timestamp":60.5,"written_at":0.5,"commit":{"index":7,"term":2},"servers":{"stored":2,"of":3}},{"id":"00000000-0000-0000-0000-000000000002","direction":"received","in_box":false,"timestamp":61.0,"commit":{"index":9,"term":2},"servers":null}],"missing":["00000000-0000-0000-0000-000000000003"]}"#]].assert_eq(&serde_json::to_string(&result).unwrap());
    }
}
