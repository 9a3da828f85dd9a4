//! Clients that fill inboxes, delete from them, and send beside everything else.

use std::io::{BufRead, BufReader};
use std::process::ChildStdout;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chat_client::{ChatClient, ClientError, OutgoingMessage, Session as Account};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at};
use uuid::Uuid;

use crate::life::report::Waits;
use crate::session::Session;

/// Bodies of messages that people write.
pub(super) const BODY_BYTES: usize = 100;
/// More than one, so that they do not all write to one inbox, and so many that none of them reaches
/// the limit of its rate.
const ACCOUNTS: usize = 16;
/// Each finds the leader and keeps a connection to it.
const CONNECTIONS: usize = 8;
/// Sends under way at the same time while inboxes are filled.
pub(super) const SENDERS: usize = 128;
/// Clients that send beside everything else.
pub(super) const FOREGROUND_SENDERS: u32 = 16;
/// A request may name twice as many.
const DELETED_AT_ONCE: usize = 500;
/// A cluster that fills this slowly measures nothing.
const SENDS_PER_SECOND_MIN: u64 = 300;
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
const PASSWORD: &str = "a password of the benchmark";

/// Accounts and connections to a cluster.
#[derive(Debug)]
pub(super) struct Load {
    runtime: Runtime,
    connections: Vec<ChatClient>,
    accounts: Vec<Account>,
}

/// Ids of messages, by the account that received them.
pub(super) type Received = Vec<Vec<Uuid>>;

/// A send that was acknowledged: when, and how long its client waited.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    at: Instant,
    waited: Duration,
}

/// Sends at a fixed rate until this is dropped.
#[derive(Debug)]
pub(super) struct Foreground {
    stopping: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
}

impl Load {
    /// Connects and signs up.
    pub(super) fn start(session: &Session) -> Result<Self> {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build();
        let runtime = runtime.context("starting the clients")?;
        // A client belongs to the runtime in which it is made.
        let entered = runtime.enter();
        let client = || ChatClient::new(session.client_addresses()?).context("making a client");
        let connections: Vec<ChatClient> =
            (0..CONNECTIONS).map(|_| client()).collect::<Result<_>>()?;
        drop(entered);
        let run = Uuid::new_v4().simple().to_string();
        let sign_up = async {
            let mut accounts = Vec::new();
            for number in 0..ACCOUNTS {
                let name = format!("life-{}-{number}", &run[..8]);
                accounts.push(connections[0].sign_up(&name, PASSWORD).await?);
            }
            Ok::<_, ClientError>(accounts)
        };
        let accounts = runtime.block_on(sign_up).context("signing up")?;
        Ok(Self {
            runtime,
            connections,
            accounts,
        })
    }

    /// One of the accounts.
    pub(super) fn account(&self) -> &Account {
        &self.accounts[0]
    }

    /// A client of some nodes.
    pub(super) fn client(&self, addresses: Vec<String>) -> Result<ChatClient> {
        let _entered = self.runtime.enter();
        ChatClient::new(addresses).context("making a client")
    }

    /// Runs something with the clients' runtime.
    pub(super) fn block_on<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// Sends so many messages, all of which are acknowledged.
    pub(super) fn send(&self, count: u64, body_bytes: usize) -> Result<Received> {
        let limit = SEND_TIMEOUT + Duration::from_secs(count / SENDS_PER_SECOND_MIN);
        let until = Instant::now() + limit;
        let next = Arc::new(AtomicU64::new(0));
        let body = Arc::new("x".repeat(body_bytes));
        let mut sending = JoinSet::new();
        for sender in 0..SENDERS {
            let client = self.connections[sender % CONNECTIONS].clone();
            let account = self.accounts[sender % ACCOUNTS].clone();
            let to = (sender + 1) % ACCOUNTS;
            let recipient = self.accounts[to].username().to_owned();
            let (next, body) = (Arc::clone(&next), Arc::clone(&body));
            let send = async move {
                let mut sent = Vec::new();
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    let message = OutgoingMessage::new(&recipient, body.as_str());
                    send_until(&client, &account, &message, until).await?;
                    sent.push(message.id);
                }
                Ok::<_, ClientError>((to, sent))
            };
            sending.spawn_on(send, self.runtime.handle());
        }
        let mut received: Received = vec![Vec::new(); ACCOUNTS];
        for ended in self.runtime.block_on(sending.join_all()) {
            let (to, sent) = ended.context("filling the inboxes")?;
            received[to].extend(sent);
        }
        Ok(received)
    }

    /// Deletes these messages.
    pub(super) fn delete(&self, received: &Received) -> Result<()> {
        let mut deleting = JoinSet::new();
        for (number, ids) in received.iter().enumerate() {
            let client = self.connections[number % CONNECTIONS].clone();
            let (account, ids) = (self.accounts[number].clone(), ids.clone());
            let delete = async move {
                for some in ids.chunks(DELETED_AT_ONCE) {
                    client.delete_messages(&account, some).await?;
                }
                Ok::<_, ClientError>(())
            };
            deleting.spawn_on(delete, self.runtime.handle());
        }
        for ended in self.runtime.block_on(deleting.join_all()) {
            ended.context("deleting messages")?;
        }
        Ok(())
    }

    /// Begins to send so many messages a second, from several clients.
    pub(super) fn foreground(&self, rate: u32, body_bytes: usize) -> Foreground {
        let foreground = Foreground {
            stopping: Arc::new(AtomicBool::new(false)),
            acknowledged: Arc::default(),
        };
        for sender in 0..FOREGROUND_SENDERS {
            let place = sender as usize;
            let client = self.connections[place % CONNECTIONS].clone();
            let account = self.accounts[place % ACCOUNTS].clone();
            let stopping = Arc::clone(&foreground.stopping);
            let acknowledged = Arc::clone(&foreground.acknowledged);
            let body = "x".repeat(body_bytes);
            let pause = Duration::from_secs(1) * FOREGROUND_SENDERS / rate;
            // Users do not send at the same moment: a sync that is slow would delay all of them at once.
            let first = Instant::now() + pause * sender / FOREGROUND_SENDERS;
            self.runtime.spawn(async move {
                let mut pace = interval_at(first.into(), pause);
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while !stopping.load(Ordering::Relaxed) {
                    pace.tick().await;
                    let message = OutgoingMessage::new(account.username(), body.as_str());
                    let begun = Instant::now();
                    let until = begun + SEND_TIMEOUT;
                    // A send that fails counts with all that it has waited.
                    drop(send_until(&client, &account, &message, until).await);
                    let one = Acknowledged {
                        at: Instant::now(),
                        waited: begun.elapsed(),
                    };
                    let mut all = acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                    all.push(one);
                }
            });
        }
        foreground
    }
}

impl Foreground {
    /// Sends of another program, which prints the microseconds of each one when it ends.
    pub(super) fn of_lines(lines: ChildStdout) -> Self {
        let foreground = Self {
            stopping: Arc::new(AtomicBool::new(false)),
            acknowledged: Arc::default(),
        };
        let acknowledged = Arc::clone(&foreground.acknowledged);
        thread::spawn(move || {
            let lines = BufReader::new(lines).lines().map_while(Result::ok);
            for micros in lines.filter_map(|line| line.parse().ok()) {
                let one = Acknowledged {
                    at: Instant::now(),
                    waited: Duration::from_micros(micros),
                };
                let mut all = acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(one);
            }
        });
        foreground
    }

    /// What was acknowledged from then on; an error if nothing was.
    pub(super) fn since(&self, begun: Instant) -> Result<Waits> {
        let all = self.acknowledged.lock();
        let all = all.unwrap_or_else(PoisonError::into_inner);
        let since = all.iter().filter(|one| one.at >= begun);
        let waits: Vec<Duration> = since.map(|one| one.waited).collect();
        if waits.is_empty() {
            bail!("no send was acknowledged in {:?}", begun.elapsed());
        }
        Ok(Waits::of(waits))
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

/// The same message until it is acknowledged, or the time is over.
async fn send_until(
    client: &ChatClient,
    account: &Account,
    message: &OutgoingMessage,
    until: Instant,
) -> Result<(), ClientError> {
    loop {
        match client.send_message(account, message).await {
            Ok(_) => return Ok(()),
            Err(ClientError::Unavailable { .. } | ClientError::OutcomeUnknown { .. })
                if Instant::now() < until => {}
            Err(error) => return Err(error),
        }
    }
}
