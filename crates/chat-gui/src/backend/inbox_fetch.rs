//! Fetches the box page by page, the newest first, as far as this device keeps it; and older pages
//! when the person scrolls there. A page that fails is tried again after a pause.
//!
//! Deliberately absent: the watch, between whose events `inbox_sync` asks for the next page.

use std::time::Duration;

use chat_client::{ClientError, DirectionFilter, InboxQuery};
use tokio::time::Instant;

use crate::backend::session::context::{SessionClosed, SessionContext};
use crate::backend::translate;
use crate::local_store::inbox_copy::{CopyPosition, PageEnd};
use crate::model::event::{BackendEvent, InboxPage};
use crate::model::names::LogIndex;

/// The pause before a page is requested again.
const PAUSE: Duration = Duration::from_millis(500);
/// The pause after a page was rejected: the reason will not have passed at once.
const REJECTED_PAUSE: Duration = Duration::from_secs(10);
/// The pause after a page could not be written: the disk is full, or worse.
const UNWRITTEN_PAUSE: Duration = Duration::from_secs(60);
/// Messages of a page; the servers' own limit.
const PAGE: u32 = 500;
/// Messages that are fetched for a person who keeps fewer on this device.
const FETCHED_MIN: usize = 10_000;

/// Fetches one inbox.
pub(super) struct InboxFetch {
    context: SessionContext,
    /// Where the page behind the ones that came begins.
    older: Option<String>,
    /// Whether there is such a page, also if it is not known where it begins.
    more: bool,
    next: Option<NextPage>,
    /// Whether a change or a page could not be written. Until the copy is marked as incomplete, no later
    /// cursor may be kept and no fetch may complete it; what is missing then comes with the pages.
    is_write_missing: bool,
}

/// The page to be fetched.
#[derive(Clone, Debug)]
struct NextPage {
    /// Whether the whole box is fetched again, instead of one more page.
    begins: bool,
    after: Option<String>,
    /// Messages to be fetched, with this page.
    left: usize,
    /// Not before.
    at: Instant,
}

impl InboxFetch {
    /// Nothing is fetched yet.
    pub(super) fn new(context: SessionContext, copy: &CopyPosition) -> Self {
        Self {
            context,
            older: copy.older.clone(),
            more: copy.more,
            next: None,
            is_write_missing: false,
        }
    }

    /// When the next page is to be fetched; `None` when none is.
    pub(super) fn due(&self) -> Option<Instant> {
        self.next.as_ref().map(|next| next.at)
    }

    /// Whether pages are being fetched.
    pub(super) fn is_under_way(&self) -> bool {
        self.next.as_ref().is_some_and(|next| !next.begins)
    }

    /// The person does not want to wait.
    pub(super) fn try_now(&mut self) {
        if let Some(next) = &mut self.next {
            next.at = Instant::now();
        }
    }

    /// The whole box is fetched from here on. The store and the window know it before the first page is
    /// requested: what they have by now is on the pages, or was deleted.
    pub(super) async fn begin(&mut self) {
        let (begun, kept_max) = {
            let mut store = self.context.store().await;
            let begun = store.begin_fetch(&self.context.account).await;
            (begun, store.received_max())
        };
        self.is_write_missing = begun.is_err();
        self.context.events.report_storage_error(begun).await;
        self.context.send(BackendEvent::FetchBegan).await;
        self.next = Some(NextPage {
            begins: false,
            after: None,
            left: kept_max.max(FETCHED_MIN),
            at: Instant::now(),
        });
    }

    /// One more page behind those that came, unless pages are being fetched anyhow.
    pub(super) async fn load_older(&mut self) {
        match (&self.next, self.older.clone(), self.more) {
            (None, Some(older), true) => {
                self.next = Some(NextPage {
                    begins: false,
                    after: Some(older),
                    left: 1,
                    at: Instant::now(),
                });
            }
            // It is not known where the page begins: after the newest ones, somewhere.
            (None, None, true) => self.begin().await,
            _ => {}
        }
    }

    /// Fetches, stores and shows the next page.
    pub(super) async fn page(&mut self) -> Result<(), SessionClosed> {
        let Some(wanted) = self.next.clone() else {
            return Ok(());
        };
        if wanted.begins {
            self.begin().await;
            return Ok(());
        }
        let query = InboxQuery {
            limit: Some(PAGE),
            after: wanted.after.clone(),
            directions: DirectionFilter::All,
            ..InboxQuery::default()
        };
        let (client, session) = (&self.context.client, &self.context.session);
        let page = match client.inbox(session, &query).await {
            Ok(page) => page,
            Err(error) => return self.failed(&error).await,
        };
        let left = wanted.left.saturating_sub(page.messages.len());
        let more = page.next.is_some();
        let end = PageEnd {
            older: page.next.clone(),
            unread: page.unread,
            is_last: left == 0 || !more,
        };
        let oldest = page.messages.last().map(|message| message.commit.index);
        // A page without messages that is not the last one shows nothing about the others.
        let reaches = if more { oldest.unwrap_or(u64::MAX) } else { 0 };
        let messages: Vec<_> = page.messages.into_iter().map(translate::stored).collect();
        let stored_end = PageEnd {
            is_last: end.is_last && !self.is_write_missing,
            ..end.clone()
        };
        let kept = {
            let mut store = self.context.store().await;
            store
                .keep_page(&self.context.account, messages.clone(), &stored_end)
                .await
        };
        let is_kept = kept.is_ok();
        let messages = match kept {
            Ok(messages) => messages,
            Err(error) => {
                self.context.events.report_storage_error(Err(error)).await;
                messages
            }
        };
        self.older = page.next.clone();
        self.more = more;
        self.next = (!end.is_last).then(|| NextPage {
            begins: false,
            after: page.next,
            left,
            at: Instant::now(),
        });
        let page = InboxPage {
            unread: end.unread,
            reaches: LogIndex(reaches),
            more,
            is_last: end.is_last,
            messages,
        };
        self.context.send(BackendEvent::Inbox(page)).await;
        if !is_kept || (end.is_last && self.is_write_missing) {
            self.write_failed();
        }
        Ok(())
    }

    /// Whether something could not be written, so that nothing further may be.
    pub(super) fn is_write_missing(&self) -> bool {
        self.is_write_missing
    }

    /// A change or a page could not be written: the box is fetched again later.
    pub(super) fn write_failed(&mut self) {
        self.is_write_missing = true;
        self.next = Some(NextPage {
            begins: true,
            after: None,
            left: 0,
            at: Instant::now() + UNWRITTEN_PAUSE,
        });
    }

    async fn failed(&mut self, error: &ClientError) -> Result<(), SessionClosed> {
        if translate::is_session_over(error) {
            return Err(SessionClosed);
        }
        let why = translate::failure(error, &self.context.addresses());
        let pause = if why.may_pass() {
            PAUSE
        } else {
            REJECTED_PAUSE
        };
        if let Some(next) = &mut self.next {
            next.at = Instant::now() + pause;
        }
        if !why.may_pass() {
            self.context.send(BackendEvent::InboxFailed(why)).await;
        }
        Ok(())
    }
}
