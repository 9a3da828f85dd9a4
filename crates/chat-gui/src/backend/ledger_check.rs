//! Checks that the servers have the messages that they have acknowledged, and fetches the whole
//! inbox. A message is checked by sending it again under its own ids: what is there is not stored
//! twice, and its first answer comes back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chat_client::{ClientError, InboxQuery, OutgoingMessage};

use crate::backend::session::context::SessionContext;
use crate::backend::translate::{self, local_storage_error};
use crate::model::RECEIVED_MAX;
use crate::model::event::BackendEvent;
use crate::model::failure::Failure;
use crate::model::message::SentCopy;
use crate::model::names::MessageId;

/// The servers know for a day what was deleted since; an older message might be stored a second
/// time by the check. Half of that leaves room for clocks that differ.
const AGE_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// Messages of a page; the servers' own limit.
const PAGE: u32 = 500;

/// Runs one check, and reports its result.
pub(super) async fn run(context: SessionContext, ids: Vec<MessageId>) {
    let outcome = check(&context, ids).await;
    context
        .events
        .send(BackendEvent::LedgerEnded(outcome))
        .await;
}

async fn check(context: &SessionContext, ids: Vec<MessageId>) -> Result<(), Failure> {
    let SessionContext {
        client,
        session,
        store,
        events,
        ..
    } = context;
    let addresses = &context.addresses();
    for id in ids {
        let copy = store.lock().await.sent_copy(id).await;
        let copy = copy.map_err(|error| local_storage_error(&error))?;
        // Without a copy, as of a note to oneself, or with one that is too old, nothing can be
        // checked: the acknowledgement is left out of the check rather than believed.
        let Some(copy) = copy.filter(is_young) else {
            events.send(BackendEvent::LedgerSkipped(id)).await;
            continue;
        };
        let message = OutgoingMessage {
            id: id.0,
            request_id: copy.request_id.0,
            recipient: copy.recipient.to_string(),
            body: copy.body.to_string(),
        };
        let commit = match client.send_message(session, &message).await {
            Ok(sent) => Some(translate::commit(sent.commit)),
            Err(ClientError::Application { .. }) => None,
            Err(error) => return Err(translate::failure(&error, addresses)),
        };
        events.send(BackendEvent::LedgerEntry { id, commit }).await;
    }
    let mut inbox = Vec::new();
    let mut query = InboxQuery {
        limit: Some(PAGE),
        ..InboxQuery::default()
    };
    loop {
        let page = client.inbox(session, &query).await;
        let page = page.map_err(|error| translate::failure(&error, addresses))?;
        let entries = page.messages.iter().map(|message| {
            let commit = translate::commit(message.commit);
            (MessageId(message.id), commit)
        });
        inbox.extend(entries);
        query.after = page.next;
        if query.after.is_none() || inbox.len() >= RECEIVED_MAX {
            break;
        }
    }
    events.send(BackendEvent::LedgerInbox(inbox)).await;
    Ok(())
}

fn is_young(copy: &SentCopy) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let age = now.unwrap_or_default().as_secs_f64() - copy.at.0;
    age < AGE_MAX.as_secs_f64()
}
