//! The ledger: what was acknowledged is compared with what servers answer and with what is shown.
//! Every figure counts answers of servers or messages on the screen; none is assumed.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::model::command::Command;
use crate::model::event::StoredPlace;
use crate::model::failure::Failure;
use crate::model::ledger::{LastCheck, LedgerScope};
use crate::model::message::{CopyPlace, MessageState};
use crate::model::names::{Commit, MessageId};
use crate::model::time::Moment;
use crate::model::timeline::TimelineItem;
use crate::model::{InboxFreshness, Model};

/// From the moment at which all that was missed has arrived to the check that the window makes by
/// itself: the outbox is sent first.
const CHECK_DELAY: Duration = Duration::from_secs(2);
/// From the acknowledgement of a message with a copy to the check for it, if nothing has reported the
/// copy: another device may have deleted it before the acknowledgement came.
const CONFIRM_TIME: Duration = Duration::from_secs(5);
/// From the end of a check to the next one that the window makes by itself.
const CHECK_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// The same after a check that failed.
const FAILED_PAUSE: Duration = Duration::from_secs(60);
/// The servers remember a message that no account has any more for a day. Without a copy on the servers an
/// older one is left out of the check: its recipient may have deleted it. Half of the day leaves room
/// for clocks that differ.
const AGE_MAX: Duration = Duration::from_secs(12 * 60 * 60);

impl Model {
    /// The next check that the window makes by itself: shortly after it has received everything, and
    /// from time to time while that lasts.
    pub(super) fn schedule_ledger_check(&mut self) {
        let is_ready = self.is_ready_to_check();
        let now = self.now.moment;
        let check = &mut self.memory.account.ledger_check;
        if is_ready && !check.was_ready {
            check.due = Some(now.plus(CHECK_DELAY));
        }
        check.was_ready = is_ready;
    }

    /// An interruption is over: the next check is not the one that was due some minutes later.
    pub(super) fn check_ledger_soon(&mut self) {
        self.memory.account.ledger_check.due = Some(self.now.moment.plus(CHECK_DELAY));
    }

    /// Whether this window shows what the servers have, as far as it is known.
    fn is_ready_to_check(&self) -> bool {
        self.account.is_some()
            && self.connection.is_online()
            && self.inbox_state == InboxFreshness::Current
            && !self.loading
            && !self.memory.account.is_fetching
    }

    pub(super) fn ledger_check_deadline(&self) -> Option<Moment> {
        let can_begin = self.is_ready_to_check() && self.ledger.checking.is_none();
        let check = &self.memory.account.ledger_check;
        let unconfirmed = check.unconfirmed.values().min();
        let due = unconfirmed.map(|since| since.plus(CONFIRM_TIME));
        let due = due.into_iter().chain(check.due).min();
        due.filter(|_| can_begin)
    }

    pub(super) fn run_due_ledger_check(&mut self, commands: &mut Vec<Command>) {
        if self
            .ledger_check_deadline()
            .is_some_and(|due| due <= self.now.moment)
        {
            self.check_ledger(LedgerScope::Newest, commands);
        }
    }

    pub(super) fn check_ledger(&mut self, scope: LedgerScope, commands: &mut Vec<Command>) {
        if self.account.is_none() || self.ledger.checking.is_some() {
            return;
        }
        let newest_index = self.memory.account.newest_index;
        let check = &mut self.memory.account.ledger_check;
        check.answers.clear();
        check.in_box = None;
        check.due = None;
        check.unconfirmed.clear();
        check.newest_index = newest_index;
        check.began = self.now.moment;
        check.covered = check
            .acknowledged
            .iter()
            .map(|(commit, id)| (*id, *commit))
            .collect();
        let ids = check.acknowledged.values().copied().collect();
        self.ledger.checking = Some(scope);
        self.ledger.failure = None;
        commands.push(Command::CheckLedger { ids, scope });
    }

    /// Which sent messages the servers have. A copy that they know and that is not in the box was deleted on
    /// another device, and no event has reported it. What they do not know at all is lost, and is kept here.
    pub(super) fn ledger_stored(&mut self, stored: Vec<StoredPlace>, commands: &mut Vec<Command>) {
        let answers = stored.into_iter().map(|place| (place.id, place)).collect();
        let check = &mut self.memory.account.ledger_check;
        check.answers = answers;
        let check = &self.memory.account.ledger_check;
        let mut deleted: Vec<MessageId> = check
            .covered
            .keys()
            .copied()
            .filter(|id| check.answers.get(id).is_some_and(|place| !place.in_box))
            .filter(|id| {
                let message = self.find(*id).map(|message| &message.state);
                let copy = CopyPlace::Servers;
                matches!(message, Some(MessageState::Sent { copy: at, .. }) if *at == copy)
            })
            .collect();
        deleted.sort_unstable();
        if !deleted.is_empty() {
            self.were_deleted(&deleted);
            commands.push(Command::Delete(deleted));
        }
    }

    pub(super) fn ledger_box(&mut self, in_box: Vec<(MessageId, Commit)>) {
        self.memory.account.ledger_check.in_box = Some(in_box);
    }

    pub(super) fn ledger_ended(&mut self, outcome: Result<(), Failure>) {
        let Some(scope) = self.ledger.checking.take() else {
            return;
        };
        let began = self.memory.account.ledger_check.began;
        let pause = match outcome {
            // Of what an interruption has done meanwhile, this check knows nothing.
            Ok(()) if self.recovery.is_some_and(|recovery| began < recovery.at) => CHECK_DELAY,
            Ok(()) => CHECK_INTERVAL,
            Err(_) => FAILED_PAUSE,
        };
        self.memory.account.ledger_check.due = Some(self.now.moment.plus(pause));
        if let Err(why) = outcome {
            self.ledger.failure = Some(why.sentence());
            return;
        }
        self.leave_out_forgotten();
        let shown = self.lines_by_message();
        let account = &self.memory.account;
        let check = &account.ledger_check;
        let ledger = &mut self.ledger;
        ledger.acknowledged = check.covered.len() as u64;
        (ledger.stored, ledger.shown, ledger.lost, ledger.doubled) = (0, 0, 0, 0);
        let lines = |id: &MessageId| match shown.get(id) {
            Some(lines) => *lines,
            // Hidden because it is about to be deleted, or deleted.
            None if account.hidden.contains_key(id) || account.message_index.is_gone(*id) => 1,
            None => 0,
        };
        #[expect(clippy::iter_over_hash_type, reason = "counting knows no order")]
        for (id, commit) in &check.covered {
            let answer = check.answers.get(id);
            let is_stored = answer.is_some_and(|place| place.commit == *commit);
            ledger.stored += u64::from(is_stored);
            ledger.shown += u64::from(lines(id) == 1);
            ledger.lost += u64::from(!is_stored || lines(id) == 0);
            ledger.doubled += u64::from(lines(id) > 1);
        }
        let mut times: BTreeMap<MessageId, u64> = BTreeMap::new();
        for (id, commit) in check.in_box.iter().flatten() {
            // What the watch has not delivered yet cannot be on the screen, and what is older than the
            // last page is not there unless the person wants it.
            if (account.loaded_from..=check.newest_index).contains(&commit.index.0) {
                *times.entry(*id).or_default() += 1;
            }
        }
        ledger.box_stored = times.len() as u64;
        ledger.box_shown = 0;
        for (id, count) in times {
            let is_counted = check.covered.contains_key(&id);
            ledger.box_shown += u64::from(lines(&id) == 1);
            ledger.lost += u64::from(lines(&id) == 0 && !is_counted);
            ledger.doubled += u64::from((lines(&id) > 1 && !is_counted) || count > 1);
        }
        ledger.last = Some(LastCheck {
            began: check.began,
            at: self.now,
            scope,
        });
    }

    /// Leaves out of the check what the servers may have forgotten, because no account has it any more: what
    /// was deleted, and old messages of which only this device has a copy.
    fn leave_out_forgotten(&mut self) {
        let mut covered = std::mem::take(&mut self.memory.account.ledger_check.covered);
        let account = &self.memory.account;
        covered.retain(|id, _| {
            let is_forgotten = !account.ledger_check.answers.contains_key(id);
            let may_be_forgotten = account.message_index.is_gone(*id)
                || self.find(*id).is_some_and(|message| {
                    let age = self.now.wall.0 - message.at.0;
                    !message.is_in_box() && age > AGE_MAX.as_secs_f64()
                });
            !(is_forgotten && may_be_forgotten)
        });
        self.memory.account.ledger_check.covered = covered;
    }

    /// How many lines of all timelines show each message.
    fn lines_by_message(&self) -> HashMap<MessageId, u64> {
        let mut lines = HashMap::new();
        for conversation in self.conversations.values() {
            for item in &conversation.timeline {
                if let TimelineItem::Message { index, .. } = item {
                    let id = conversation.messages[*index].id;
                    *lines.entry(id).or_default() += 1;
                }
            }
        }
        lines
    }
}
