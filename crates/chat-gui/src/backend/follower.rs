//! Follows the inbox of one account: the news, and the pages. One task does both, so that a page
//! never tells less than the news before it did.

use std::time::Duration;

use chat_client::{
    ClientError, InboxPage as ClientPage, InboxQuery, Watch, WatchEvent, WatchState, WatchUpdate,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::backend::event::{BackendEvent, InboxPage, Link, PagePlace};
use crate::backend::session::Means;
use crate::backend::translate;
use crate::model::failure::Failure;
use crate::model::names::MessageId;

/// How long nodes are searched before the person is told that there is none.
const SEARCH: Duration = Duration::from_secs(3);
/// The pause then; it doubles with each further search…
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// …up to this.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// The pause before a page is asked for again.
const PAGE_PAUSE: Duration = Duration::from_millis(500);
/// Messages of a page; the servers' own limit.
const PAGE: u32 = 500;

/// What the follower is asked for.
#[derive(Debug)]
pub(super) enum Wish {
    /// The next older page.
    LoadOlder,
    /// The newest page again.
    Refresh,
    /// Read so many of the oldest unread messages.
    ReadNext(u16),
    /// Do not wait any longer.
    TryNow,
}

/// Follows one inbox.
pub(super) struct Follower {
    number: u64,
    means: Means,
    /// Where the next older page goes on; `None` when there is none.
    older: Option<String>,
    /// Whether the first page was told.
    begun: bool,
    /// The node that tells us of changes, if that was told last of the link.
    told_up: Option<String>,
}

/// The session is over, or nobody is left to be told anything.
struct Over;

impl Follower {
    pub(super) fn new(number: u64, mut means: Means) -> Self {
        means.client = means.client.with_deadline(SEARCH);
        Self {
            number,
            means,
            older: None,
            begun: false,
            told_up: None,
        }
    }

    /// Follows until the session is over or nobody wishes anything any more.
    pub(super) async fn run(mut self, mut wishes: mpsc::Receiver<Wish>) {
        let mut watch = self.means.client.watch(&self.means.session, None);
        let mut pause = PAUSE_MIN;
        loop {
            let outcome = match self.next(&mut watch, &mut wishes).await {
                Ok(Ok(update)) => {
                    pause = PAUSE_MIN;
                    self.take(update.event).await
                }
                Ok(Err(error)) => {
                    let now = pause;
                    pause = PAUSE_MAX.min(pause * 2);
                    self.wait(&error, now, &mut wishes).await
                }
                Err(over) => Err(over),
            };
            if let Err(Over) = outcome {
                return;
            }
        }
    }

    /// The next news; wishes are fulfilled meanwhile. The watch goes on searching at its own pace:
    /// its future is never dropped before it has an answer.
    async fn next(
        &mut self,
        watch: &mut Watch,
        wishes: &mut mpsc::Receiver<Wish>,
    ) -> Result<Result<WatchUpdate, ClientError>, Over> {
        let mut state = watch.state();
        state.mark_changed();
        let next = watch.next();
        tokio::pin!(next);
        loop {
            tokio::select! {
                update = &mut next => {
                    self.tell_link(&mut state).await;
                    return Ok(update);
                }
                // The sender lives as long as the watch, which is borrowed here.
                _ = state.changed() => self.tell_link(&mut state).await,
                wish = wishes.recv() => match wish {
                    None => return Err(Over),
                    Some(wish) => self.fulfil(wish).await?,
                },
            }
        }
    }

    async fn tell_link(&mut self, state: &mut watch::Receiver<WatchState>) {
        let state = state.borrow_and_update().clone();
        match state {
            WatchState::Connected { address } if self.told_up.as_ref() != Some(&address) => {
                self.told_up = Some(address.clone());
                self.means
                    .outlet
                    .tell(BackendEvent::Link(Link::Up { address }))
                    .await;
            }
            WatchState::Reconnecting { .. } if self.told_up.is_some() => {
                self.told_up = None;
                let why = Failure::Interrupted;
                self.means
                    .outlet
                    .tell(BackendEvent::Link(Link::Broken(why)))
                    .await;
            }
            WatchState::Connected { .. } | WatchState::Reconnecting { .. } => {}
        }
    }

    async fn take(&mut self, event: WatchEvent) -> Result<(), Over> {
        let ids = |ids: Vec<uuid::Uuid>| ids.into_iter().map(MessageId).collect();
        match event {
            WatchEvent::Message(message) => {
                let message = translate::received(message);
                self.means.outlet.tell(BackendEvent::Arrived(message)).await;
            }
            WatchEvent::Read(read) => self.means.outlet.tell(BackendEvent::Read(ids(read))).await,
            WatchEvent::Deleted(gone) => {
                self.means
                    .outlet
                    .tell(BackendEvent::Deleted(ids(gone)))
                    .await;
            }
            // Whatever happens from here on is told, so the inbox can be fetched.
            WatchEvent::CaughtUp if !self.begun => self.fetch_first().await?,
            WatchEvent::Resync => self.fetch_first().await?,
            _ => {}
        }
        Ok(())
    }

    /// Nobody could be asked.
    async fn wait(
        &mut self,
        error: &ClientError,
        pause: Duration,
        wishes: &mut mpsc::Receiver<Wish>,
    ) -> Result<(), Over> {
        if translate::is_session_over(error) {
            return self.session_over().await;
        }
        self.told_up = None;
        let why = translate::failure(error, &self.means.addresses);
        let waiting = Link::Waiting {
            why: why.clone(),
            next_try: pause,
        };
        self.means.outlet.tell(BackendEvent::Link(waiting)).await;
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = sleep_until(until) => break,
                wish = wishes.recv() => match wish {
                    None => return Err(Over),
                    Some(Wish::TryNow) => break,
                    Some(wish) => self.fulfil(wish).await?,
                },
            }
        }
        self.means
            .outlet
            .tell(BackendEvent::Link(Link::Broken(why)))
            .await;
        Ok(())
    }

    async fn session_over(&self) -> Result<(), Over> {
        self.means.session_is_over(self.number).await;
        Err(Over)
    }

    async fn fulfil(&mut self, wish: Wish) -> Result<(), Over> {
        match wish {
            Wish::TryNow => Ok(()),
            Wish::Refresh => self.fetch_first().await,
            Wish::LoadOlder => match self.older.clone() {
                Some(older) => self.fetch(Some(older), PagePlace::Next).await,
                None if self.begun => Ok(()),
                None => self.fetch_first().await,
            },
            Wish::ReadNext(count) => self.read_next(count).await,
        }
    }

    async fn fetch_first(&mut self) -> Result<(), Over> {
        self.fetch(None, PagePlace::First).await
    }

    /// Asks until there is an answer: the screen waits for it.
    async fn fetch(&mut self, after: Option<String>, place: PagePlace) -> Result<(), Over> {
        let query = InboxQuery {
            limit: Some(PAGE),
            after,
            ..InboxQuery::default()
        };
        let page = self.ask(&query).await?;
        self.begun = true;
        let page_event = InboxPage {
            unread: page.unread,
            place,
            more: page.next.is_some(),
            messages: page.messages.into_iter().map(translate::received).collect(),
        };
        self.older = page.next;
        self.means
            .outlet
            .tell(BackendEvent::Inbox(page_event))
            .await;
        Ok(())
    }

    async fn ask(&mut self, query: &InboxQuery) -> Result<ClientPage, Over> {
        loop {
            let error = match self.means.client.inbox(&self.means.session, query).await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            if translate::is_session_over(&error) {
                self.session_over().await?;
            }
            self.told_up = None;
            let why = translate::failure(&error, &self.means.addresses);
            self.means
                .outlet
                .tell(BackendEvent::Link(Link::Broken(why)))
                .await;
            sleep(PAGE_PAUSE).await;
        }
    }

    async fn read_next(&mut self, count: u16) -> Result<(), Over> {
        let query = InboxQuery {
            limit: Some(u32::from(count)),
            unread_only: true,
            oldest_first: true,
            ..InboxQuery::default()
        };
        let outcome = async {
            let page = self.means.client.inbox(&self.means.session, &query).await?;
            let ids: Vec<_> = page.messages.iter().map(|message| message.id).collect();
            if !ids.is_empty() {
                self.means
                    .client
                    .mark_read(&self.means.session, &ids)
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
                self.means.outlet.tell(event).await;
                Ok(())
            }
            Err(error) if translate::is_session_over(&error) => self.session_over().await,
            Err(error) => {
                let why = translate::failure(&error, &self.means.addresses);
                self.means.outlet.tell(BackendEvent::InboxFailed(why)).await;
                Ok(())
            }
        }
    }
}
