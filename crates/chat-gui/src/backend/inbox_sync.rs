//! Keeps the box of one account up to date, on this device and in the window: follows the watch, and
//! fetches the box where there is nothing to follow. Every change is stored before the window shows
//! it. One task does all of it, so that a page is never older than events that were sent before it.

use std::future::ready;
use std::time::Duration;

use chat_client::{
    ClientError, Cursor, DirectionFilter, InboxQuery, Watch, WatchEvent, WatchState, WatchUpdate,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::backend::contact::ContactReceiver;
use crate::backend::inbox_fetch::InboxFetch;
use crate::backend::session::context::{SessionClosed, SessionContext};
use crate::backend::translate;
use crate::local_store::inbox_copy::{CopyPosition, InboxChange};
use crate::model::event::{BackendEvent, Link};
use crate::model::failure::Failure;
use crate::model::names::MessageId;

/// How long the client searches for a node before the window reports that there is none.
const SEARCH: Duration = Duration::from_secs(3);
/// The pause then; it doubles with each further search…
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// …up to this.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Events that are stored in one write, if so many have arrived.
const BATCH_MAX: usize = 256;

/// A request to the task that keeps the inbox up to date.
#[derive(Debug)]
pub(super) enum SyncRequest {
    /// The next older page.
    LoadOlder,
    /// The whole inbox again.
    Refresh,
    /// Read so many of the oldest unread messages.
    ReadNext(u16),
    /// Do not wait any longer.
    TryNow,
}

/// Keeps one inbox up to date.
pub(super) struct InboxSync {
    number: u64,
    context: SessionContext,
    contact: ContactReceiver,
    fetch: InboxFetch,
    /// Where the watch begins.
    cursor: Option<Cursor>,
    /// Whether the inbox has to be fetched once the watch reports every change.
    must_fetch: bool,
    /// Whether everything was reported that has happened since the copy was written.
    is_current: bool,
    /// The node that sends us changes, if that was the last report about the link.
    last_reported_node: Option<String>,
}

impl InboxSync {
    /// Starts with the copy on this device.
    pub(super) fn new(number: u64, mut context: SessionContext, copy: CopyPosition) -> Self {
        context.client = context.client.with_deadline(SEARCH);
        Self {
            number,
            contact: context.contact.subscribe(),
            fetch: InboxFetch::new(context.clone(), &copy),
            context,
            must_fetch: copy.cursor.is_none(),
            cursor: copy.cursor.map(Cursor::new),
            is_current: false,
            last_reported_node: None,
        }
    }

    /// Runs until the session is over or the channel of requests is closed.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<SyncRequest>) {
        if self.follow(&mut requests).await.is_err() {
            tracing::debug!("the inbox is no longer followed");
        }
    }

    async fn follow(
        &mut self,
        requests: &mut mpsc::Receiver<SyncRequest>,
    ) -> Result<(), SessionClosed> {
        let (client, session) = (self.context.client.clone(), self.context.session.clone());
        let mut watch = client.watch_with(&session, self.cursor.clone(), DirectionFilter::All);
        let mut pause = PAUSE_MIN;
        loop {
            self.contact.forget();
            let error = match self.next(&mut watch, requests).await? {
                Ok(first) => {
                    pause = PAUSE_MIN;
                    let (batch, failure) = with_those_here(first, &mut watch).await;
                    self.take(batch).await;
                    match failure {
                        Some(error) => error,
                        None => continue,
                    }
                }
                Err(error) => error,
            };
            if is_cursor_rejected(&error) && self.cursor.take().is_some() {
                // The servers cannot say what has changed since: the inbox is fetched again.
                watch = client.watch_with(&session, None, DirectionFilter::All);
                self.must_fetch = true;
                continue;
            }
            self.wait(&error, pause, requests).await?;
            pause = PAUSE_MAX.min(pause * 2);
        }
    }

    /// The next event of the watch. Requests are handled meanwhile, and pages are fetched while no
    /// event has arrived. The watch searches at its own pace: its future is not dropped before it has
    /// an answer.
    async fn next(
        &mut self,
        watch: &mut Watch,
        requests: &mut mpsc::Receiver<SyncRequest>,
    ) -> Result<Result<WatchUpdate, ClientError>, SessionClosed> {
        let mut state = watch.state();
        state.mark_changed();
        let next = watch.next();
        tokio::pin!(next);
        loop {
            let due = self.fetch.due();
            tokio::select! {
                biased;
                update = &mut next => {
                    self.report_link(&mut state).await;
                    return Ok(update);
                }
                // The sender lives as long as the watch, which is borrowed here.
                _ = state.changed() => self.report_link(&mut state).await,
                request = requests.recv() => match request {
                    None => return Err(SessionClosed),
                    Some(request) => self.handle(request).await?,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.fetch_page().await?;
                }
            }
        }
    }

    async fn fetch_page(&mut self) -> Result<(), SessionClosed> {
        match self.fetch.page().await {
            Ok(()) => Ok(()),
            Err(SessionClosed) => self.close_session().await,
        }
    }

    async fn report_link(&mut self, state: &mut watch::Receiver<WatchState>) {
        let state = state.borrow_and_update().clone();
        match state {
            WatchState::Connected { address }
                if self.last_reported_node.as_ref() != Some(&address) =>
            {
                self.last_reported_node = Some(address.clone());
                self.context.contact.succeeded();
                self.context
                    .send(BackendEvent::Link(Link::Up { address }))
                    .await;
            }
            WatchState::Reconnecting { .. } if self.last_reported_node.is_some() => {
                self.last_reported_node = None;
                let why = Failure::Interrupted;
                self.context
                    .send(BackendEvent::Link(Link::Broken(why)))
                    .await;
            }
            WatchState::Connected { .. } | WatchState::Reconnecting { .. } => {}
        }
    }

    /// Stores events and the cursor behind them, then shows them.
    async fn take(&mut self, batch: Vec<WatchUpdate>) {
        let ids = |ids: Vec<uuid::Uuid>| ids.into_iter().map(MessageId).collect();
        let mut changes = Vec::new();
        let mut last = None;
        for WatchUpdate { event, cursor } in batch {
            match event {
                WatchEvent::Message(message) => {
                    changes.push(InboxChange::Arrived(translate::stored(message)));
                }
                WatchEvent::Read(read) => changes.push(InboxChange::Read(ids(read))),
                WatchEvent::Deleted(gone) => changes.push(InboxChange::Deleted(ids(gone))),
                WatchEvent::CaughtUp if self.must_fetch => self.begin_fetch().await,
                WatchEvent::CaughtUp => {
                    self.keep(std::mem::take(&mut changes), &cursor).await;
                    if !std::mem::replace(&mut self.is_current, true) && !self.fetch.is_under_way()
                    {
                        self.context.send(BackendEvent::CaughtUp).await;
                    }
                }
                WatchEvent::Resync => {
                    // What came before the gap may be deleted in it.
                    if let Some(last) = &last {
                        self.keep(std::mem::take(&mut changes), last).await;
                    }
                    self.begin_fetch().await;
                }
                _ => {}
            }
            last = Some(cursor);
        }
        if let Some(last) = last {
            self.keep(changes, &last).await;
        }
    }

    /// The copy counts as complete again after the last page; until then the next start fetches the
    /// inbox, whatever the cursor is.
    async fn begin_fetch(&mut self) {
        self.must_fetch = false;
        self.fetch.begin().await;
    }

    async fn keep(&mut self, changes: Vec<InboxChange>, cursor: &Cursor) {
        if !self.fetch.is_write_missing() {
            let mut store = self.context.store().await;
            let kept = store
                .follow(&self.context.account, &changes, cursor.as_str())
                .await;
            drop(store);
            if kept.is_err() {
                self.fetch.write_failed();
            }
            self.context.events.report_storage_error(kept).await;
        }
        for change in changes {
            self.context.send(shown(change)).await;
        }
    }

    /// No node could be reached.
    async fn wait(
        &mut self,
        error: &ClientError,
        pause: Duration,
        requests: &mut mpsc::Receiver<SyncRequest>,
    ) -> Result<(), SessionClosed> {
        if translate::is_session_over(error) {
            return self.close_session().await;
        }
        self.last_reported_node = None;
        let why = translate::failure(error, &self.context.addresses());
        let waiting = Link::Waiting {
            why: why.clone(),
            next_try: pause,
        };
        self.context.send(BackendEvent::Link(waiting)).await;
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = sleep_until(until) => break,
                () = self.contact.changed() => break,
                request = requests.recv() => match request {
                    None => return Err(SessionClosed),
                    Some(SyncRequest::TryNow) => break,
                    Some(request) => self.handle(request).await?,
                },
            }
        }
        self.context
            .send(BackendEvent::Link(Link::Broken(why)))
            .await;
        Ok(())
    }

    async fn close_session(&self) -> Result<(), SessionClosed> {
        self.context.report_session_closed(self.number).await;
        Err(SessionClosed)
    }

    async fn handle(&mut self, request: SyncRequest) -> Result<(), SessionClosed> {
        match request {
            SyncRequest::TryNow => self.fetch.try_now(),
            SyncRequest::Refresh => self.fetch.begin().await,
            SyncRequest::LoadOlder => self.fetch.load_older().await,
            SyncRequest::ReadNext(count) => return self.read_next(count).await,
        }
        Ok(())
    }

    async fn read_next(&mut self, count: u16) -> Result<(), SessionClosed> {
        let query = InboxQuery {
            limit: Some(u32::from(count)),
            unread_only: true,
            oldest_first: true,
            ..InboxQuery::default()
        };
        let outcome = async {
            let page = self
                .context
                .client
                .inbox(&self.context.session, &query)
                .await?;
            let ids: Vec<_> = page.messages.iter().map(|message| message.id).collect();
            if !ids.is_empty() {
                self.context
                    .client
                    .mark_read(&self.context.session, &ids)
                    .await?;
            }
            Ok(page.messages)
        };
        match outcome.await {
            Ok(messages) => {
                let read = messages.into_iter().map(|message| {
                    let mut message = translate::stored(message);
                    message.read = true;
                    message
                });
                let event = BackendEvent::ReadNext(read.collect());
                self.context.send(event).await;
                Ok(())
            }
            Err(error) if translate::is_session_over(&error) => self.close_session().await,
            Err(error) => {
                let why = translate::failure(&error, &self.context.addresses());
                self.context.send(BackendEvent::InboxFailed(why)).await;
                Ok(())
            }
        }
    }
}

/// An event and those behind it that are here already: nothing is waited for.
async fn with_those_here(
    first: WatchUpdate,
    watch: &mut Watch,
) -> (Vec<WatchUpdate>, Option<ClientError>) {
    let mut batch = vec![first];
    while batch.len() < BATCH_MAX {
        tokio::select! {
            biased;
            next = watch.next() => match next {
                Ok(update) => batch.push(update),
                Err(error) => return (batch, Some(error)),
            },
            () = ready(()) => break,
        }
    }
    (batch, None)
}

/// Whether the servers do not accept the cursor, so that another attempt would fail in the same way.
fn is_cursor_rejected(error: &ClientError) -> bool {
    error.violation("cursor").is_some()
}

fn shown(change: InboxChange) -> BackendEvent {
    match change {
        InboxChange::Arrived(message) => BackendEvent::Arrived(message),
        InboxChange::Read(ids) => BackendEvent::Read(ids),
        InboxChange::Deleted(ids) => BackendEvent::Deleted(ids),
    }
}
