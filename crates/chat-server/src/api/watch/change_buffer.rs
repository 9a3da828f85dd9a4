//! The latest changes of all accounts' messages, kept in memory for open watches and for clients that reconnect.
//!
//! Applying fills it and never waits for a reader: a watch that is too slow finds that changes were
//! dropped. Nothing here is on a disk; after a restart it begins with what is applied then.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chat_store::{Change, Event, LogIndex};
use tokio::sync::watch;

use crate::net::connection_limit::Source;

/// How many changes are kept…
const CHANGES_MAX: usize = 32_768;
/// …and how many bytes of them: at most this and one change more.
const BYTES_MAX: usize = 32 << 20;
/// How many watches a node serves. Each costs some kilobytes while nothing happens.
const WATCHES_MAX: usize = 4_096;
/// How many of them from one source: many people behind one address.
const WATCHES_OF_SOURCE_MAX: usize = WATCHES_MAX / 4;
/// How many of them whose session this node has not seen yet: of clients that have just signed up or
/// come from a node that is ahead, and of clients that invent tokens.
const WATCHES_UNPROVEN_MAX: usize = 256;
/// Beyond so many, an account gets only its first watch.
const WATCHES_FREE_MAX: usize = WATCHES_MAX / 4 * 3;
/// How many of one account: some devices, each with some windows.
const WATCHES_OF_ACCOUNT_MAX: usize = 16;
/// How many changes a watch takes at once.
const BATCH_CHANGES_MAX: usize = 64;

/// The changes that are kept, and the watches that wait for more.
#[derive(Debug)]
pub(crate) struct ChangeBuffer {
    changes_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Every change up to this entry was added.
    applied: LogIndex,
    /// Every change after this entry is still kept.
    floor: LogIndex,
    bytes: usize,
    /// The account of each kept change, the oldest first; a change of two accounts is there twice.
    order: VecDeque<Arc<str>>,
    accounts: HashMap<Arc<str>, Account>,
    /// Whether the session of each open watch has ended, by the hash of its token.
    sessions: HashMap<[u8; 32], watch::Sender<bool>>,
    watches: usize,
    /// Of `watches`.
    unproven: usize,
    /// Of `watches`.
    sources: HashMap<Source, usize>,
    /// How often the buffer began again. Watches from before have lost changes, whatever they have
    /// received.
    restarts: u64,
}

/// Exists as long as a change of the account is kept or a watch of it is open.
#[derive(Debug)]
struct Account {
    /// `changes` has every change after this entry.
    lost_through: LogIndex,
    changes: VecDeque<Arc<Event>>,
    /// Each watch has a receiver.
    changed: watch::Sender<()>,
}

/// A watch's slot, held from before its session is checked until the watch ends, so that the end of the
/// session is never missed.
#[derive(Debug)]
pub(crate) struct WatchSlot {
    change_buffer: Arc<ChangeBuffer>,
    source: Source,
    proven: bool,
    token_hash: [u8; 32],
    ended: watch::Receiver<bool>,
    /// How often the buffer had begun again before.
    restarts: u64,
}

/// A watch's subscription to the changes of its account.
#[derive(Debug)]
pub(crate) struct Subscription {
    slot: WatchSlot,
    username: Arc<str>,
    changed: watch::Receiver<()>,
}

/// Too many watches are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyWatches;

/// The changes of an account after some entry.
#[derive(Debug)]
pub(crate) enum Batch {
    /// In the order of the log. There is none between the last one and `through`.
    Changes {
        changes: VecDeque<Arc<Event>>,
        through: LogIndex,
    },
    /// Some were dropped from the buffer, or it began again.
    Lost,
}

impl ChangeBuffer {
    /// An empty buffer, which begins after the last entry that is applied already.
    pub(crate) fn new(applied: LogIndex) -> Self {
        Self::with_room(applied, CHANGES_MAX)
    }

    fn with_room(applied: LogIndex, changes_max: usize) -> Self {
        Self {
            changes_max,
            inner: Mutex::new(Inner {
                applied,
                floor: applied,
                bytes: 0,
                order: VecDeque::new(),
                accounts: HashMap::new(),
                sessions: HashMap::new(),
                watches: 0,
                unproven: 0,
                sources: HashMap::new(),
                restarts: 0,
            }),
        }
    }

    /// Adds changes in the order of the log; everything up to `applied` is applied.
    pub(crate) fn put(&self, events: Vec<Event>, applied: LogIndex) {
        let mut inner = self.lock();
        for event in events {
            inner.put(event);
        }
        inner.applied = applied;
        while inner.order.len() > self.changes_max || inner.bytes > BYTES_MAX {
            inner.drop_oldest();
        }
    }

    /// The tables were replaced by those of a snapshot at `applied`: what changed before it is not
    /// known here. All watches end as if they had been too slow. A client that continues with its
    /// cursor is before the floor, here, and must fetch everything.
    pub(crate) fn begin_again(&self, applied: LogIndex) {
        let mut inner = self.lock();
        inner.restarts += 1;
        inner.applied = applied;
        inner.floor = applied;
        inner.bytes = 0;
        inner.order.clear();
        inner.accounts.retain(|_name, account| {
            account.changes.clear();
            account.lost_through = applied;
            account.changed.send_replace(());
            account.changed.receiver_count() > 0
        });
    }

    /// Takes a slot for a watch of the session with this token, which is known here.
    pub(crate) fn acquire_slot(
        self: &Arc<Self>,
        token_hash: [u8; 32],
        source: Source,
    ) -> Result<WatchSlot, TooManyWatches> {
        self.acquire(token_hash, source, true)
    }

    /// Takes a slot for a watch of a session that may exist on other nodes. Until
    /// [`WatchSlot::subscribe`] it counts against a lower limit.
    pub(crate) fn acquire_unproven_slot(
        self: &Arc<Self>,
        token_hash: [u8; 32],
        source: Source,
    ) -> Result<WatchSlot, TooManyWatches> {
        self.acquire(token_hash, source, false)
    }

    fn acquire(
        self: &Arc<Self>,
        token_hash: [u8; 32],
        source: Source,
        proven: bool,
    ) -> Result<WatchSlot, TooManyWatches> {
        let mut inner = self.lock();
        let of_source = inner.sources.get(&source).copied().unwrap_or(0);
        if inner.watches >= WATCHES_MAX
            || of_source >= WATCHES_OF_SOURCE_MAX
            || (!proven && inner.unproven >= WATCHES_UNPROVEN_MAX)
        {
            return Err(TooManyWatches);
        }
        inner.watches += 1;
        inner.unproven += usize::from(!proven);
        *inner.sources.entry(source).or_default() += 1;
        let session = inner.sessions.entry(token_hash);
        let ended = session
            .or_insert_with(|| watch::Sender::new(false))
            .subscribe();
        let restarts = inner.restarts;
        drop(inner);
        Ok(WatchSlot {
            change_buffer: Arc::clone(self),
            source,
            proven,
            token_hash,
            ended,
            restarts,
        })
    }

    /// Every change after it is still kept.
    pub(crate) fn floor(&self) -> LogIndex {
        self.lock().floor
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Only a broken invariant panics while it is held, and the replica stops then.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn put(&mut self, event: Event) {
        if let Change::SessionEnded { token_hash } = &event.change
            && let Some(session) = self.sessions.get(token_hash)
        {
            session.send_replace(true);
        }
        let event = Arc::new(event);
        for username in accounts_of(&event.change).into_iter().flatten() {
            self.put_for(username, &event);
        }
    }

    fn put_for(&mut self, username: &str, event: &Arc<Event>) {
        let name = match self.accounts.get_key_value(username) {
            Some((name, _)) => Arc::clone(name),
            None => self.add_account(username),
        };
        let account = self
            .accounts
            .get_mut(&name)
            .expect("the account existed or was added");
        self.bytes += size(event);
        account.changes.push_back(Arc::clone(event));
        if account.changed.receiver_count() > 0 {
            account.changed.send_replace(());
        }
        self.order.push_back(name);
    }

    fn add_account(&mut self, username: &str) -> Arc<str> {
        let name: Arc<str> = username.into();
        let account = Account {
            lost_through: self.floor,
            changes: VecDeque::new(),
            changed: watch::Sender::new(()),
        };
        self.accounts.insert(Arc::clone(&name), account);
        name
    }

    fn drop_oldest(&mut self) {
        let name = self.order.pop_front().expect("there is one too many");
        let account = self.accounts.get_mut(&name);
        let account = account.expect("an account exists while a change of it is kept");
        let dropped = account.changes.pop_front();
        let dropped = dropped.expect("the order names each change once");
        account.lost_through = dropped.commit.index;
        self.floor = dropped.commit.index;
        self.bytes -= size(&dropped);
        self.drop_if_idle(&name);
    }

    fn drop_if_idle(&mut self, name: &str) {
        let idle = self.accounts.get(name).is_some_and(|account| {
            account.changes.is_empty() && account.changed.receiver_count() == 0
        });
        if idle {
            self.accounts.remove(name);
        }
    }
}

impl WatchSlot {
    /// The session belongs to this account: subscribes to its changes.
    pub(crate) fn subscribe(mut self, username: &str) -> Result<Subscription, TooManyWatches> {
        let mut inner = self.change_buffer.lock();
        if !std::mem::replace(&mut self.proven, true) {
            inner.unproven -= 1;
        }
        let free = inner.watches <= WATCHES_FREE_MAX;
        let name = match inner.accounts.get_key_value(username) {
            Some((name, _)) => Arc::clone(name),
            None => inner.add_account(username),
        };
        let account = &inner.accounts[&name];
        let max = if free { WATCHES_OF_ACCOUNT_MAX } else { 1 };
        if account.changed.receiver_count() >= max {
            return Err(TooManyWatches);
        }
        let changed = account.changed.subscribe();
        drop(inner);
        Ok(Subscription {
            slot: self,
            username: name,
            changed,
        })
    }
}

impl Drop for WatchSlot {
    fn drop(&mut self) {
        let mut inner = self.change_buffer.lock();
        inner.watches -= 1;
        inner.unproven -= usize::from(!self.proven);
        if let Some(count) = inner.sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                inner.sources.remove(&self.source);
            }
        }
        // The receiver of this slot is still counted.
        let last = inner
            .sessions
            .get(&self.token_hash)
            .is_some_and(|session| session.receiver_count() == 1);
        if last {
            inner.sessions.remove(&self.token_hash);
        }
    }
}

impl Subscription {
    /// The account.
    pub(crate) fn username(&self) -> &str {
        &self.username
    }

    /// The account's changes after `position`, some of them if there are many.
    pub(crate) fn next_batch(&mut self, position: LogIndex) -> Batch {
        self.changed.mark_unchanged();
        let inner = self.slot.change_buffer.lock();
        let account = &inner.accounts[&self.username];
        if account.lost_through > position || inner.restarts != self.slot.restarts {
            return Batch::Lost;
        }
        let begin = account
            .changes
            .partition_point(|event| event.commit.index <= position);
        let rest = account.changes.len() - begin;
        let changes: VecDeque<_> = account
            .changes
            .range(begin..)
            .take(BATCH_CHANGES_MAX)
            .cloned()
            .collect();
        let through = match changes.back() {
            Some(last) if changes.len() < rest => last.commit.index,
            // Readers may see an entry a moment before it is put in here.
            _ => inner.applied.max(position),
        };
        Batch::Changes { changes, through }
    }

    /// Completes when there may be more than [`Self::next_batch`] returned last, or the session ends.
    pub(crate) async fn changed(&mut self) {
        // The senders exist as long as this subscription.
        tokio::select! {
            _ = self.changed.changed() => {}
            _ = self.slot.ended.wait_for(|ended| *ended) => {}
        }
    }

    /// Whether the session has ended.
    pub(crate) fn session_has_ended(&self) -> bool {
        *self.slot.ended.borrow()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // Otherwise the receiver of this subscription would still be counted.
        self.changed = watch::Sender::new(()).subscribe();
        self.slot.change_buffer.lock().drop_if_idle(&self.username);
    }
}

/// The accounts of which watches may send the change.
fn accounts_of(change: &Change) -> [Option<&str>; 2] {
    let one = match change {
        Change::MessageStored(message) => &message.recipient,
        Change::MessageCopied { message, .. } => {
            return [Some(&message.recipient), Some(&message.sender)];
        }
        Change::MessagesRead { username, .. }
        | Change::MessagesDeleted { username, .. }
        | Change::AccountDeleted { username, .. }
        | Change::PasswordChanged { username, .. } => username,
        Change::SessionEnded { .. } => return [None, None],
    };
    [Some(one), None]
}

/// About how much memory a change needs.
fn size(event: &Event) -> usize {
    /// The structures around the text.
    const REST: usize = 256;
    /// An id, and where it is.
    const ID: usize = 64;
    REST + match &event.change {
        Change::MessageStored(message) | Change::MessageCopied { message, .. } => {
            message.body.len()
        }
        Change::MessagesRead { message_ids, .. } => ID * message_ids.len(),
        Change::MessagesDeleted {
            message_ids,
            copy_ids,
            ..
        } => ID * (message_ids.len() + copy_ids.len()),
        Change::AccountDeleted { .. }
        | Change::PasswordChanged { .. }
        | Change::SessionEnded { .. } => 0,
    }
}

#[cfg(test)]
mod tests;
