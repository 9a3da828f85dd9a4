//! Asks the servers which of the sent messages they have, and what is in the box: its newest page, or
//! all of it. These are reads: nothing is sent again.

use chat_client::{DirectionFilter, InboxQuery};
use uuid::Uuid;

use crate::backend::session::context::SessionContext;
use crate::backend::translate;
use crate::model::RECEIVED_MAX;
use crate::model::event::{BackendEvent, StoredPlace};
use crate::model::failure::Failure;
use crate::model::ledger::LedgerScope;
use crate::model::names::MessageId;

/// Messages of a page; the servers' own limit.
const PAGE: u32 = 500;

/// Runs one check, and reports its result.
pub(super) async fn run(context: SessionContext, ids: Vec<MessageId>, scope: LedgerScope) {
    let outcome = check(&context, &ids, scope).await;
    context.send(BackendEvent::LedgerEnded(outcome)).await;
}

async fn check(
    context: &SessionContext,
    ids: &[MessageId],
    scope: LedgerScope,
) -> Result<(), Failure> {
    let (client, session) = (&context.client, &context.session);
    let failure = |error| translate::failure(&error, &context.addresses());
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let stored = if ids.is_empty() {
        Vec::new()
    } else {
        let stored = client.check_messages(session, &ids).await;
        stored.map_err(failure)?
    };
    let places = stored.into_iter().map(|message| StoredPlace {
        id: MessageId(message.id),
        commit: translate::commit(message.commit),
        in_box: message.in_box,
    });
    let event = BackendEvent::LedgerStored(places.collect());
    context.send(event).await;
    let mut in_box = Vec::new();
    let mut query = InboxQuery {
        limit: Some(PAGE),
        directions: DirectionFilter::All,
        ..InboxQuery::default()
    };
    loop {
        let page = client.inbox(session, &query).await.map_err(failure)?;
        let entries = page.messages.iter().map(|message| {
            let commit = translate::commit(message.commit);
            (MessageId(message.id), commit)
        });
        in_box.extend(entries);
        query.after = page.next;
        let is_enough = scope == LedgerScope::Newest || in_box.len() >= RECEIVED_MAX;
        if query.after.is_none() || is_enough {
            break;
        }
    }
    context.send(BackendEvent::LedgerBox(in_box)).await;
    Ok(())
}
