//! Keeps the inbox of one account up to date: the watch, and the pages. One task does both, so that
//! a page is never older than events that were sent before it.

use std::time::Duration;

use chat_client::{
    ClientError, InboxPage as ClientPage, InboxQuery, Watch, WatchEvent, WatchState, WatchUpdate,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::backend::session::context::SessionContext;
use crate::backend::translate;
use crate::model::event::{BackendEvent, InboxPage, Link, PagePlace};
use crate::model::failure::Failure;
use crate::model::names::MessageId;

/// How long the client searches for a node before the window reports that there is none.
const SEARCH: Duration = Duration::from_secs(3);
/// The pause then; it doubles with each further search…
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// …up to this.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// The pause before a page is requested again.
const PAGE_PAUSE: Duration = Duration::from_millis(500);
/// Messages of a page; the servers' own limit.
const PAGE: u32 = 500;

/// A request to the task that keeps the inbox up to date.
#[derive(Debug)]
pub(super) enum SyncRequest {
    /// The next older page.
    LoadOlder,
    /// The newest page again.
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
    /// Where the next older page goes on; `None` when there is none.
    older: Option<String>,
    /// Whether the first page was sent to the window.
    begun: bool,
    /// The node that sends us changes, if that was the last report about the link.
    last_reported_node: Option<String>,
}

/// The session is over, or the window is gone.
struct SessionClosed;

impl InboxSync {
    pub(super) fn new(number: u64, mut context: SessionContext) -> Self {
        context.client = context.client.with_deadline(SEARCH);
        Self {
            number,
            context,
            older: None,
            begun: false,
            last_reported_node: None,
        }
    }

    /// Runs until the session is over or the channel of requests is closed.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<SyncRequest>) {
        let mut watch = self.context.client.watch(&self.context.session, None);
        let mut pause = PAUSE_MIN;
        loop {
            let outcome = match self.next(&mut watch, &mut requests).await {
                Ok(Ok(update)) => {
                    pause = PAUSE_MIN;
                    self.forward(update.event).await
                }
                Ok(Err(error)) => {
                    let now = pause;
                    pause = PAUSE_MAX.min(pause * 2);
                    self.wait(&error, now, &mut requests).await
                }
                Err(over) => Err(over),
            };
            if let Err(SessionClosed) = outcome {
                return;
            }
        }
    }

    /// The next event of the watch; requests are handled meanwhile. The watch searches at its own
    /// pace: its future is never dropped before it has an answer.
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
            tokio::select! {
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
            }
        }
    }

    async fn report_link(&mut self, state: &mut watch::Receiver<WatchState>) {
        let state = state.borrow_and_update().clone();
        match state {
            WatchState::Connected { address }
                if self.last_reported_node.as_ref() != Some(&address) =>
            {
                self.last_reported_node = Some(address.clone());
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

    async fn forward(&mut self, event: WatchEvent) -> Result<(), SessionClosed> {
        let ids = |ids: Vec<uuid::Uuid>| ids.into_iter().map(MessageId).collect();
        match event {
            WatchEvent::Message(message) => {
                let message = translate::received(message);
                self.context.send(BackendEvent::Arrived(message)).await;
            }
            WatchEvent::Read(read) => self.context.send(BackendEvent::Read(ids(read))).await,
            WatchEvent::Deleted(gone) => {
                self.context.send(BackendEvent::Deleted(ids(gone))).await;
            }
            // The watch reports every change from here on, so the inbox can be fetched.
            WatchEvent::CaughtUp if !self.begun => self.fetch_first().await?,
            WatchEvent::Resync => self.fetch_first().await?,
            _ => {}
        }
        Ok(())
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
        let why = translate::failure(error, &self.context.addresses);
        let waiting = Link::Waiting {
            why: why.clone(),
            next_try: pause,
        };
        self.context.send(BackendEvent::Link(waiting)).await;
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = sleep_until(until) => break,
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
            SyncRequest::TryNow => Ok(()),
            SyncRequest::Refresh => self.fetch_first().await,
            SyncRequest::LoadOlder => match self.older.clone() {
                Some(older) => self.fetch(Some(older), PagePlace::Next).await,
                None if self.begun => Ok(()),
                None => self.fetch_first().await,
            },
            SyncRequest::ReadNext(count) => self.read_next(count).await,
        }
    }

    async fn fetch_first(&mut self) -> Result<(), SessionClosed> {
        self.fetch(None, PagePlace::First).await
    }

    /// Retries until there is an answer: the screen waits for it.
    async fn fetch(
        &mut self,
        after: Option<String>,
        place: PagePlace,
    ) -> Result<(), SessionClosed> {
        let query = InboxQuery {
            limit: Some(PAGE),
            after,
            ..InboxQuery::default()
        };
        let page = self.fetch_page(&query).await?;
        self.begun = true;
        let page_event = InboxPage {
            unread: page.unread,
            place,
            more: page.next.is_some(),
            messages: page.messages.into_iter().map(translate::received).collect(),
        };
        self.older = page.next;
        self.context.send(BackendEvent::Inbox(page_event)).await;
        Ok(())
    }

    async fn fetch_page(&mut self, query: &InboxQuery) -> Result<ClientPage, SessionClosed> {
        loop {
            let error = match self
                .context
                .client
                .inbox(&self.context.session, query)
                .await
            {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            if translate::is_session_over(&error) {
                self.close_session().await?;
            }
            self.last_reported_node = None;
            let why = translate::failure(&error, &self.context.addresses);
            self.context
                .send(BackendEvent::Link(Link::Broken(why)))
                .await;
            sleep(PAGE_PAUSE).await;
        }
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
                    let mut message = translate::received(message);
                    message.read = true;
                    message
                });
                let event = BackendEvent::ReadNext(read.collect());
                self.context.send(event).await;
                Ok(())
            }
            Err(error) if translate::is_session_over(&error) => self.close_session().await,
            Err(error) => {
                let why = translate::failure(&error, &self.context.addresses);
                self.context.send(BackendEvent::InboxFailed(why)).await;
                Ok(())
            }
        }
    }
}
