//! One client of a measurement: it sends a request, waits for the reply, and counts.

use std::time::Instant;

use chat_client::{ChatClient, ClientError, InboxQuery, Session};
use hdrhistogram::Histogram;

/// The requests of a measurement.
pub(super) enum Load {
    /// Messages to other accounts.
    Send {
        connections: Vec<ChatClient>,
        sessions: Vec<Session>,
        body: String,
    },
    /// One page of the own inbox.
    Read {
        connections: Vec<ChatClient>,
        sessions: Vec<Session>,
        query: InboxQuery,
    },
}

/// The results of a measurement.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) done: u64,
    pub(super) failed: u64,
    /// Those of `failed` whose outcome is unknown.
    pub(super) unknown: u64,
    pub(super) first_error: Option<String>,
    /// Of those in `done`, in microseconds.
    pub(super) latencies: Histogram<u64>,
}

pub(super) struct Worker {
    client: ChatClient,
    session: Session,
    work: Work,
}

enum Work {
    Send { recipient: String, body: String },
    Read(InboxQuery),
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            done: 0,
            failed: 0,
            unknown: 0,
            first_error: None,
            latencies: Histogram::new(3).expect("three digits are possible"),
        }
    }
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.done += other.done;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.first_error = self.first_error.take().or(other.first_error);
        self.latencies += other.latencies;
    }

    fn count(&mut self, started: Instant, result: Result<(), ClientError>) {
        match result {
            Ok(()) => {
                self.done += 1;
                let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.latencies += micros;
            }
            Err(error) => {
                self.failed += 1;
                if matches!(error, ClientError::OutcomeUnknown { .. }) {
                    self.unknown += 1;
                }
                self.first_error.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

impl Load {
    pub(super) fn worker(&self, number: usize) -> Worker {
        let (Self::Send {
            connections,
            sessions,
            ..
        }
        | Self::Read {
            connections,
            sessions,
            ..
        }) = self;
        let work = match self {
            Self::Send { body, .. } => Work::Send {
                recipient: sessions[(number + 1) % sessions.len()]
                    .username()
                    .to_owned(),
                body: body.clone(),
            },
            Self::Read { query, .. } => Work::Read(query.clone()),
        };
        Worker {
            client: connections[number % connections.len()].clone(),
            session: sessions[number % sessions.len()].clone(),
            work,
        }
    }
}

impl Worker {
    pub(super) async fn run_until(self, until: Instant) -> Tally {
        let mut tally = Tally::default();
        loop {
            let started = Instant::now();
            if started >= until {
                return tally;
            }
            let result = match &self.work {
                Work::Send { recipient, body } => self
                    .client
                    .send(&self.session, recipient, body)
                    .await
                    .map(drop),
                Work::Read(query) => self.client.inbox(&self.session, query).await.map(drop),
            };
            tally.count(started, result);
        }
    }
}
