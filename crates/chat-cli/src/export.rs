//! `chat export`: everything that the servers have of one account, as a file of JSON, for the person whose it is.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use chat_client::{ChatClient, DirectionFilter, InboxQuery, Session};
use serde_json::json;

use crate::arguments::Export;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::thousands;
use crate::progress::Shown;

/// The format of the file; it grows by fields.
const FORMAT: u32 = 1;

/// As many as a page has at most.
const PAGE: u32 = 500;

pub(crate) async fn run(context: &Context, wanted: &Export) -> Result<ExitCode, Failure> {
    let session = context.session().await?;
    let client = context.client()?;
    let cluster_id = client.cluster_id().await?;
    if wanted.file == Path::new("-") {
        write_all(&client, &session, &cluster_id, io::stdout().lock()).await?;
        return Ok(ExitCode::SUCCESS);
    }
    // Only its owner can read it, and nothing that is there is replaced.
    let file = private_file::open_options()
        .create_new(true)
        .open(&wanted.file);
    let file = file.map_err(|error| {
        Failure::Usage(format!("cannot create {}: {error}", wanted.file.display()))
    })?;
    let written = write_file(&client, &session, &cluster_id, file).await;
    if written.is_err() {
        // A part of an export must not be taken for a whole one.
        drop(std::fs::remove_file(&wanted.file));
    }
    let messages = written?;
    context.printer.print(
        || {
            let what = match messages {
                1 => "1 message".to_owned(),
                _ => format!("{} messages", thousands(messages)),
            };
            format!(
                "{what} of {} are in {}.",
                session.username(),
                wanted.file.display()
            )
        },
        &json!({"file": wanted.file, "messages": messages}),
    )?;
    Ok(ExitCode::SUCCESS)
}

async fn write_file(
    client: &ChatClient,
    session: &Session,
    cluster_id: &str,
    file: File,
) -> Result<u64, Failure> {
    let synced = file.try_clone().map_err(Failure::from_write)?;
    let messages = write_all(client, session, cluster_id, file).await?;
    synced.sync_all().map_err(Failure::from_write)?;
    Ok(messages)
}

/// Writes page by page, so that a large box needs little memory. Returns how many messages there were. What
/// arrives meanwhile is in it, if it arrives before the last page.
async fn write_all(
    client: &ChatClient,
    session: &Session,
    cluster_id: &str,
    output: impl Write,
) -> Result<u64, Failure> {
    let mut output = BufWriter::new(output);
    let head = json!({
        "format": FORMAT,
        "cluster_id": cluster_id,
        "username": session.username(),
        "exported_at": seconds_since_1970(),
    });
    let head = head.to_string();
    let open = head.strip_suffix('}').expect("an object ends with a brace");
    write!(output, "{open},\"messages\":[").map_err(Failure::from_write)?;
    let mut shown = Shown::on_terminal();
    let mut count = 0_u64;
    let mut query = InboxQuery {
        limit: Some(PAGE),
        directions: DirectionFilter::All,
        oldest_first: true,
        ..InboxQuery::default()
    };
    loop {
        let page = client.inbox(session, &query).await?;
        for message in &page.messages {
            let separator = if count == 0 { "\n" } else { ",\n" };
            write!(output, "{separator}").map_err(Failure::from_write)?;
            let written = serde_json::to_writer(&mut output, message);
            written.map_err(|error| Failure::from_write(error.into()))?;
            count += 1;
        }
        shown.draw(&format!("exporting … {} messages", thousands(count)));
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    shown.erase();
    writeln!(output, "\n],\"count\":{count}}}").map_err(Failure::from_write)?;
    output.flush().map_err(Failure::from_write)?;
    Ok(count)
}

fn seconds_since_1970() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
