//! Steady load: senders that retry, and on every node a reader that checks what it reads.
//!
//! Every sender has a separate account and connections. Patient ones repeat a message until it
//! is acknowledged; hasty ones give it up at their first deadline, so that unknown outcomes occur.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chat_client::{ChatClient, ClientError, InboxQuery, Message, OutgoingMessage, Session};
use chat_consensus::NodeId;
use tokio::task::JoinSet;

use crate::processes::cluster::Cluster;
use crate::processes::history::{Acknowledged, History, Letter, PAGE_LIMIT};
use crate::processes::inbox_history::{InboxHistory, InboxView};
use crate::processes::waiting::{WAIT_TIMEOUT, until};

/// How long a patient sender's client tries before the sender calls it again.
const PATIENT_DEADLINE: Duration = Duration::from_secs(5);
/// Shorter than the shortest time after which a silent leader is replaced.
const HASTY_DEADLINE: Duration = Duration::from_millis(250);
/// A read that a node cannot answer is begun anew after this long, and must then show what others
/// have seen meanwhile.
const READ_DEADLINE: Duration = Duration::from_secs(1);
/// How many senders and recipients.
#[derive(Clone, Copy, Debug)]
pub struct LoadMix {
    /// Senders that repeat a message until it is acknowledged.
    pub patient_senders: usize,
    /// Senders that give a message up.
    pub hasty_senders: usize,
    /// Accounts that all of them send to.
    pub recipients: usize,
}

/// Load that goes on until it is stopped.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    recipients: Vec<Session>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    stopping: AtomicBool,
    acknowledged: AtomicU64,
    /// In microseconds, of messages of patient senders that were acknowledged.
    longest_send: AtomicU64,
    history: Mutex<History>,
    inbox_history: InboxHistory,
    /// How many reads of each node were checked.
    reads: BTreeMap<NodeId, AtomicU64>,
    failure: Mutex<Option<String>>,
}

struct Sender {
    client: ChatClient,
    session: Session,
    recipients: Vec<String>,
    is_hasty: bool,
    shared: Arc<Shared>,
}

/// Reads one inbox through one node.
struct Reader {
    node: NodeId,
    client: ChatClient,
    session: Session,
    view: InboxView,
    shared: Arc<Shared>,
}

impl Load {
    /// The password of every account.
    pub const PASSWORD: &str = "correct horse";

    /// Creates the accounts, and begins.
    ///
    /// # Panics
    ///
    /// When an account cannot be created.
    pub async fn start(cluster: &Cluster, mix: LoadMix) -> Self {
        let ids = cluster.ids();
        let shared = Arc::new(Shared {
            stopping: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            longest_send: AtomicU64::new(0),
            history: Mutex::default(),
            inbox_history: InboxHistory::default(),
            reads: ids.iter().map(|id| (*id, AtomicU64::new(0))).collect(),
            failure: Mutex::default(),
        });
        let mut recipients = Vec::new();
        for number in 0..mix.recipients {
            recipients.push(account(cluster, &format!("recipient-{number}")).await);
        }
        let mut tasks = JoinSet::new();
        for number in 0..mix.patient_senders + mix.hasty_senders {
            let is_hasty = number >= mix.patient_senders;
            let mut names: Vec<String> = recipients
                .iter()
                .map(|to| to.username().to_owned())
                .collect();
            names.rotate_left(number % mix.recipients);
            let sender = Sender {
                client: cluster.client().with_deadline(if is_hasty {
                    HASTY_DEADLINE
                } else {
                    PATIENT_DEADLINE
                }),
                session: account(cluster, &format!("sender-{number}")).await,
                recipients: names,
                is_hasty,
                shared: Arc::clone(&shared),
            };
            tasks.spawn(sender.run());
        }
        for node in ids {
            let client = cluster.client_of(node).with_deadline(READ_DEADLINE);
            let reader = |session: &Session| Reader {
                node,
                client: client.clone(),
                session: session.clone(),
                view: InboxView::default(),
                shared: Arc::clone(&shared),
            };
            tasks.spawn(read_in_turn(recipients.iter().map(reader).collect()));
        }
        Self {
            shared,
            recipients,
            tasks,
        }
    }

    /// The accounts that all senders send to.
    pub fn recipients(&self) -> &[Session] {
        &self.recipients
    }

    /// How many messages were acknowledged until now.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::SeqCst)
    }

    /// The longest time from a patient sender's first attempt to the acknowledgement, of what was
    /// acknowledged since the last call.
    pub fn take_longest_send(&self) -> Duration {
        Duration::from_micros(self.shared.longest_send.swap(0, Ordering::SeqCst))
    }

    /// How many reads of this node were checked until now.
    pub fn reads(&self, node: NodeId) -> u64 {
        self.shared.reads[&node].load(Ordering::SeqCst)
    }

    /// Waits until so many messages more are acknowledged.
    ///
    /// # Panics
    ///
    /// When that takes too long, or anything that was seen is wrong.
    pub async fn acknowledge(&self, more: u64) {
        let goal = self.acknowledged() + more;
        self.until("more is acknowledged", || self.acknowledged() >= goal)
            .await;
    }

    /// Waits until a node has answered a read that was sent from now on.
    ///
    /// # Panics
    ///
    /// When that takes too long, or anything that was seen is wrong.
    pub async fn read_through(&self, node: NodeId) {
        // The next one may have begun before.
        let goal = self.reads(node) + 2;
        self.until("a node answers reads", || self.reads(node) >= goal)
            .await;
    }

    /// Reads every inbox from a node, which may reply later; each reply must show what has been seen
    /// until now.
    pub fn read_every_inbox(&self, cluster: &Cluster, node: NodeId) -> JoinSet<Result<(), String>> {
        let mut reading = JoinSet::new();
        for session in &self.recipients {
            let (client, session) = (cluster.client_of(node), session.clone());
            let view = InboxView::default();
            let floor = self.shared.inbox_history.floor(session.username(), &view);
            reading.spawn(async move {
                let page = client.inbox(&session, &InboxQuery::default()).await;
                let page = page.map_err(|error| format!("{error:?}"))?;
                let newest = page.messages.first();
                floor.check(
                    newest.map_or(0, |message| message.commit.index),
                    page.unread,
                )
            });
        }
        reading
    }

    /// Ends the load; nothing is under way any more.
    ///
    /// # Panics
    ///
    /// When anything that was seen is wrong.
    pub async fn stop(mut self) -> History {
        self.shared.stopping.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("senders and readers do not panic");
        }
        self.check();
        std::mem::take(&mut *lock(&self.shared.history))
    }

    async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        until(what, async || {
            self.check();
            if condition() {
                Ok(())
            } else {
                Err(format!("{} are acknowledged", self.acknowledged()))
            }
        })
        .await;
    }

    fn check(&self) {
        if let Some(failure) = &*lock(&self.shared.failure) {
            panic!("{failure}");
        }
    }
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// The first failure is the one that is reported; the load ends.
    fn fail(&self, failure: String) {
        lock(&self.failure).get_or_insert(failure);
        self.stopping.store(true, Ordering::SeqCst);
    }
}

impl Sender {
    async fn run(self) {
        for number in 0_u64.. {
            if self.shared.is_stopping() {
                return;
            }
            let sender = self.session.username();
            let place = usize::try_from(number).expect("no test sends so many");
            let recipient = &self.recipients[place % self.recipients.len()];
            let letter = Letter {
                sender: sender.to_owned(),
                message: OutgoingMessage::new(recipient, format!("message {number} of {sender}")),
            };
            if let Err(failure) = self.send(letter).await {
                self.shared.fail(failure);
            }
        }
    }

    fn note_duration(&self, took: Duration) {
        if !self.is_hasty {
            let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.shared.longest_send.fetch_max(took, Ordering::SeqCst);
        }
    }

    async fn send(&self, letter: Letter) -> Result<(), String> {
        let begun = std::time::Instant::now();
        loop {
            let error = match self
                .client
                .send_message(&self.session, &letter.message)
                .await
            {
                Ok(sent) => {
                    self.note_duration(begun.elapsed());
                    let inbox_history = &self.shared.inbox_history;
                    inbox_history.acknowledged(&letter.message.recipient, &sent);
                    let mut history = lock(&self.shared.history);
                    history.acknowledged.push(Acknowledged { letter, sent });
                    self.shared.acknowledged.fetch_add(1, Ordering::SeqCst);
                    return Ok(());
                }
                Err(error) => error,
            };
            let mut history = lock(&self.shared.history);
            match error {
                ClientError::OutcomeUnknown { .. } if self.is_hasty => {
                    history.unknown.push(letter);
                    return Ok(());
                }
                ClientError::Unavailable { .. } if self.is_hasty => {
                    history.not_sent.push(letter);
                    return Ok(());
                }
                ClientError::OutcomeUnknown { .. } | ClientError::Unavailable { .. }
                    if begun.elapsed() < WAIT_TIMEOUT => {}
                error => return Err(format!("{letter:?} ended in {error:?}")),
            }
        }
    }
}

async fn read_in_turn(mut readers: Vec<Reader>) {
    loop {
        for reader in &mut readers {
            if reader.shared.is_stopping() {
                return;
            }
            if let Err(failure) = reader.read().await {
                let (node, inbox) = (reader.node, reader.session.username());
                let failure = format!("reading the inbox of {inbox} from {node:?}: {failure}");
                reader.shared.fail(failure);
            }
        }
    }
}

impl Reader {
    async fn read(&mut self) -> Result<(), String> {
        let recipient = self.session.username();
        let floor = self.shared.inbox_history.floor(recipient, &self.view);
        let (messages, count) = match self.read_back_to(self.view.newest()).await {
            Ok(read) => read,
            // The node, or the majority, is away.
            Err(ClientError::Unavailable { .. }) => return Ok(()),
            Err(error) => return Err(format!("{error:?}")),
        };
        self.view.accept(&messages, count, &floor)?;
        let inbox_history = &self.shared.inbox_history;
        inbox_history.read(recipient, self.view.newest(), self.view.count());
        self.shared.reads[&self.node].fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// The newest messages, newest first, up to one that has this commit or an earlier one; and how
    /// many there are in all, which is how many are unread.
    async fn read_back_to(&self, known: u64) -> Result<(Vec<Message>, u64), ClientError> {
        let mut query = InboxQuery {
            limit: Some(PAGE_LIMIT),
            ..InboxQuery::default()
        };
        let first = self.client.inbox(&self.session, &query).await?;
        let (mut messages, mut next) = (first.messages, first.next);
        while let Some(after) = next.take()
            && messages
                .last()
                .is_some_and(|last| last.commit.index > known)
        {
            query.after = Some(after);
            let page = self.client.inbox(&self.session, &query).await?;
            messages.extend(page.messages);
            next = page.next;
        }
        Ok((messages, first.unread))
    }
}

async fn account(cluster: &Cluster, name: &str) -> Session {
    let created = cluster.client().sign_up(name, Load::PASSWORD).await;
    created.unwrap_or_else(|error| panic!("{name} cannot sign up: {error}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The thread that panicked has failed the test.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
