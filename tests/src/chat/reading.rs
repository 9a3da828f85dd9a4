//! What a node shows to a client: read page by page from its own tables, and checked.
//!
//! Every list is read in all the ways that a server offers; the results must agree.

use chat_consensus::LogIndex;
use chat_store::{DirectionFilter, InboxQuery, Message, ReadTransaction, Session};

use crate::chat::ledger::{Ledger, refused};
use crate::chat::tables::OpenTables;
use crate::checker::{Violation, ensure};

/// Small pages, so that there are several.
const PAGE_MESSAGES: usize = 7;
const PAGE_NAMES: usize = 2;

/// A snapshot of what is published, which must show everything up to `index` (R14).
pub(super) async fn begin_read(
    open: &mut OpenTables,
    index: LogIndex,
) -> Result<ReadTransaction, Violation> {
    let begun = open.reader.begin().await;
    let mut snapshot = begun.map_err(|error| refused(&error))?;
    let seen = last_at_or_below(&mut snapshot).await?;
    ensure(seen >= index, "stale-read", || {
        format!("a read of {index} shows the tables as of {seen}")
    })?;
    Ok(snapshot)
}

/// The index up to which the snapshot shows entries.
pub(super) async fn last_at_or_below(
    snapshot: &mut ReadTransaction,
) -> Result<LogIndex, Violation> {
    let seen = snapshot.applied_index().await;
    seen.map_err(|error| refused(&error))
}

/// Reads and checks the names of all accounts.
pub(super) async fn names(
    snapshot: &mut ReadTransaction,
    ledger: &Ledger,
    seen: LogIndex,
) -> Result<(), Violation> {
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let page = snapshot.usernames("*", PAGE_NAMES, after.as_deref()).await;
        let page = page.map_err(|error| refused(&error))?;
        names.extend(page.usernames);
        let goes_on = page.next.is_none() || page.next > after;
        ensure(goes_on, "chat-names", || {
            format!("a page after {after:?} continues after {:?}", page.next)
        })?;
        after = page.next;
        if after.is_none() {
            return ledger.names_seen(seen, &names);
        }
    }
}

/// Reads and checks all messages of a session's account, received and sent, oldest first.
pub(super) async fn inbox(
    snapshot: &mut ReadTransaction,
    ledger: &mut Ledger,
    token: &[u8; 32],
    seen: LogIndex,
) -> Result<Vec<Message>, Violation> {
    let owner = snapshot.session(token).await;
    let owner = owner.map_err(|error| refused(&error))?;
    ledger.session_seen(token, seen, owner.as_ref())?;
    let Some(owner) = owner else {
        return Ok(Vec::new());
    };
    let from_oldest = InboxQuery {
        limit: PAGE_MESSAGES,
        oldest_first: true,
        ..InboxQuery::default()
    };
    let oldest = pages(snapshot, &owner, from_oldest).await?;
    ledger.inbox_seen(&owner, seen, &oldest)?;
    let from_newest = InboxQuery {
        oldest_first: false,
        ..from_oldest
    };
    let mut newest = pages(snapshot, &owner, from_newest).await?;
    newest.reverse();
    ensure(oldest == newest, "chat-order", || {
        format!("{owner:?} is shown {oldest:?}, and {newest:?} from the other end")
    })?;
    unread(snapshot, &owner, from_oldest, &oldest).await?;
    let all = both_boxes(snapshot, ledger, &owner, seen, oldest).await?;
    let ids = ledger.newest_ids(seen);
    let located = snapshot.located_messages(&owner, &ids).await;
    let located = located.map_err(|error| refused(&error))?;
    ledger.located(&owner, seen, &located)?;
    Ok(all)
}

/// Reads and checks the copies, and that both boxes together are the merged ones.
async fn both_boxes(
    snapshot: &mut ReadTransaction,
    ledger: &mut Ledger,
    owner: &Session,
    seen: LogIndex,
    received: Vec<Message>,
) -> Result<Vec<Message>, Violation> {
    let in_direction = |directions| InboxQuery {
        limit: PAGE_MESSAGES,
        oldest_first: true,
        directions,
        ..InboxQuery::default()
    };
    let copies = pages(snapshot, owner, in_direction(DirectionFilter::Sent)).await?;
    ledger.copies_seen(owner, seen, &copies)?;
    let mut merged = received;
    merged.extend(copies);
    merged.sort_by_key(|message| message.commit.index);
    let all = pages(snapshot, owner, in_direction(DirectionFilter::All)).await?;
    ensure(all == merged, "chat-copy", || {
        format!("{owner:?} is shown {all:?}, and the boxes together have {merged:?}")
    })?;
    let newest_first = InboxQuery {
        oldest_first: false,
        ..in_direction(DirectionFilter::All)
    };
    let mut newest = pages(snapshot, owner, newest_first).await?;
    newest.reverse();
    ensure(all == newest, "chat-order", || {
        format!("{owner:?} is shown {all:?}, and {newest:?} from the other end")
    })?;
    Ok(all)
}

/// The unread messages are those of all messages that were not read.
async fn unread(
    snapshot: &mut ReadTransaction,
    owner: &Session,
    query: InboxQuery,
    all: &[Message],
) -> Result<(), Violation> {
    let query = InboxQuery {
        unread_only: true,
        ..query
    };
    let unread = pages(snapshot, owner, query).await?;
    let expected = all.iter().filter(|message| !message.read);
    ensure(unread.iter().eq(expected), "chat-order", || {
        format!("the unread messages of {owner:?} are {unread:?} of {all:?}")
    })?;
    let count = snapshot.unread_count(owner).await;
    let count = count.map_err(|error| refused(&error))?;
    ensure(count == unread.len() as u64, "chat-order", || {
        format!("the unread count of {owner:?} is {count}, and the unread messages are {unread:?}")
    })
}

async fn pages(
    snapshot: &mut ReadTransaction,
    owner: &Session,
    mut query: InboxQuery,
) -> Result<Vec<Message>, Violation> {
    let mut messages = Vec::new();
    loop {
        let page = snapshot.inbox(owner, query).await;
        let page = page.map_err(|error| refused(&error))?;
        messages.extend(page.messages);
        ensure(
            page.next.is_none() || page.next != query.after,
            "chat-order",
            || format!("a page after {:?} continues there", query.after),
        )?;
        query.after = page.next;
        if query.after.is_none() {
            return Ok(messages);
        }
    }
}
