//! From what is known of the connection to the servers to the sentence of the banner: whether
//! changes arrive, whether there is a leader, whether messages can be sent, and how long they could
//! not.

use std::time::Duration;

use crate::model::Model;
use crate::model::availability::Availability;
use crate::model::cluster::NodeCard;
use crate::model::command::Command;
use crate::model::connection::{BANNER_DELAY, Connection, Recovery, Signs};
use crate::model::event::Link;
use crate::model::failure::Failure;
use crate::model::feed::FeedEvent;
use crate::model::names::{MessageId, Term};
use crate::model::time::Moment;

/// How long the end of an interruption is shown.
const RECOVERY_TIME: Duration = Duration::from_secs(8);
/// An attempt that took longer counts as an interruption.
const SLOW: Duration = Duration::from_millis(500);
/// Times that count change this often.
const COUNTING_STEP: u64 = 1_000;

impl Model {
    pub(super) fn take_link(&mut self, link: Link) {
        if self.account.is_none() {
            return;
        }
        let now = self.now.moment;
        let memory = &mut self.memory.account.link;
        match &link {
            Link::Up { .. } => {
                memory.was_up = true;
                memory.next_try = None;
            }
            Link::Broken(_) => memory.next_try = None,
            Link::Waiting { next_try, .. } => memory.next_try = Some(now.plus(*next_try)),
        }
        memory.link = Some(link);
    }

    /// Brings what is shown of the connection up to date.
    pub(super) fn update_connection_state(&mut self, commands: &mut Vec<Command>) {
        if self.account.is_none() {
            self.connection = Connection::Idle;
            self.recovery = None;
            return;
        }
        let now = self.now.moment;
        let availability = self.cluster.availability();
        self.end_delays(availability);
        let since = self.connection_since();
        let connection = self.assess(availability, since);
        let memory = &self.memory.account.link;
        let is_blocked = matches!(availability, Availability::NoLeader | Availability::Offline)
            || self.delayed().is_some()
            || matches!(memory.link, Some(Link::Waiting { .. }));
        let is_up = connection.is_online();
        let is_first = !memory.was_up;
        let is_back = is_up && !self.connection.is_online();
        self.connection = connection;
        if is_back {
            self.repeat_people_search(commands);
        }
        if is_first {
            return;
        }
        let waits = self.outbox.iter().any(|line| line.waiting);
        let lost_at = self.failover_begun_at();
        let blocked_since = &mut self.memory.account.link.blocked_since;
        if is_blocked {
            blocked_since.get_or_insert(lost_at.unwrap_or(since).min(now));
        } else if is_up && !waits {
            self.sending_is_possible();
        }
    }

    /// Why the first queued message was delayed; `None` once nothing is queued.
    fn delayed(&self) -> Option<&Failure> {
        let waits = self.outbox.iter().any(|line| line.waiting);
        let delayed = self.memory.account.link.delayed.as_ref();
        delayed.filter(|_| waits)
    }

    fn assess(&self, availability: Availability, since: Moment) -> Connection {
        let memory = &self.memory.account.link;
        let nodes = self.cluster.nodes.iter();
        let addresses: Vec<String> = nodes.map(|node| node.address.clone()).collect();
        let watched = match &memory.link {
            Some(Link::Up { address }) => self.card_at(address).and_then(|card| card.id),
            _ => None,
        };
        Connection::from_signs(&Signs {
            availability,
            addresses: &addresses,
            link: memory.link.as_ref(),
            watched,
            was_up: memory.was_up,
            delayed: self.delayed(),
            since,
            next_try: memory.next_try.unwrap_or(self.now.moment),
        })
    }

    /// The reasons for which messages were delayed have passed once a node leads again: the backend
    /// tries them again at once.
    fn end_delays(&mut self, availability: Availability) {
        let is_led = matches!(availability, Availability::Led { .. });
        let link = &mut self.memory.account.link;
        let was_led = std::mem::replace(&mut link.was_led, is_led);
        if !is_led || was_led {
            return;
        }
        link.delayed = link.delayed.take().filter(|why| !why.may_pass());
        let waiting = self.outbox.iter().filter(|line| line.waiting);
        for id in waiting.map(|line| line.id).collect::<Vec<_>>() {
            self.change_pending(id, |pending| pending.delayed = None);
        }
    }

    /// Since when it is not as it should be; now, if it was until now.
    fn connection_since(&self) -> Moment {
        self.connection.since().unwrap_or(self.now.moment)
    }

    fn card_at(&self, address: &str) -> Option<&NodeCard> {
        let mut nodes = self.cluster.nodes.iter();
        nodes.find(|card| card.address == address)
    }

    /// A message has just been acknowledged by the leader of this term.
    pub(super) fn sending_works(&mut self, id: MessageId, term: Term) {
        let now = self.now.moment;
        let link = &mut self.memory.account.link;
        link.delayed = None;
        link.acknowledged = Some((term, now));
        self.cluster.acknowledged = Some((term, now));
        let link = &mut self.memory.account.link;
        let begun = link
            .attempt
            .take()
            .filter(|(attempted, _)| *attempted == id);
        let slow = begun.filter(|(_, begun)| now.since(*begun) > SLOW);
        let begun = slow.map(|(_, begun)| begun);
        let lost_at = self.failover_is_over(Some(term));
        self.recovered(begun, lost_at);
    }

    fn sending_is_possible(&mut self) {
        let lost_at = self.failover_is_over(None);
        // There may be a leader that has not committed anything yet: the interruption goes on.
        if self.failover_begun_at().is_none() {
            self.recovered(None, lost_at);
        }
    }

    /// Reports an interruption, if one is known to have ended now: by an event about the link,
    /// by an attempt that took too long, or by a fail-over.
    fn recovered(&mut self, attempt: Option<Moment>, lost_at: Option<Moment>) {
        let now = self.now.moment;
        let blocked_since = self.memory.account.link.blocked_since.take();
        let signs = [blocked_since, lost_at, attempt];
        let Some(since) = signs.into_iter().flatten().min() else {
            return;
        };
        let recovery = Recovery {
            lasted: now.since(since),
            without_leader: lost_at.is_some(),
            at: now,
        };
        // The card of the fail-over, the feed and the banner have the same figure.
        if lost_at.is_some()
            && let Some(failover) = self.cluster.failovers.front_mut()
        {
            failover.end(since, now);
        }
        self.add_to_feed(FeedEvent::SendingAgain(recovery.lasted), None);
        self.recovery = Some(recovery);
        self.check_ledger_soon();
    }

    pub(super) fn end_recovery(&mut self) {
        let now = self.now.moment;
        self.recovery = self
            .recovery
            .filter(|recovery| now < recovery.at.plus(RECOVERY_TIME));
    }

    /// What this device keeps could not be read or written: from now on it is not known whether
    /// something is lost.
    pub(super) fn local_storage_failed(&mut self, why: &Failure) {
        self.memory.account.storage_failed = true;
        self.show_failure(why);
    }

    /// When something that is shown of the connection changes by itself.
    pub(super) fn connection_deadline(&self) -> Option<Moment> {
        let recovery = self.recovery.map(|one| one.at.plus(RECOVERY_TIME));
        let now = self.now.moment;
        let interruption = self.connection.since().and_then(|since| {
            let shown = since.plus(BANNER_DELAY);
            if now < shown {
                return Some(shown);
            }
            // Only dialogs count time.
            let next_step = Moment(now.0 - now.0 % COUNTING_STEP + COUNTING_STEP);
            self.dialog.is_some().then_some(next_step)
        });
        [recovery, interruption].into_iter().flatten().min()
    }
}
