//! The ledger: what was acknowledged is compared with what servers answer and with what is shown.
//! Every figure counts answers of servers or messages on the screen; none is assumed.

use std::collections::{BTreeMap, HashMap};

use crate::model::Model;
use crate::model::command::Command;
use crate::model::failure::Failure;
use crate::model::names::{Commit, MessageId};
use crate::model::timeline::TimelineItem;

impl Model {
    pub(super) fn check_ledger(&mut self, commands: &mut Vec<Command>) {
        if self.account.is_none() || self.ledger.checking.is_some() {
            return;
        }
        let newest_index = self.memory.account.newest_index;
        let check = &mut self.memory.account.ledger_check;
        check.answers.clear();
        check.inbox = None;
        check.newest_index = newest_index;
        check.covered = check
            .acknowledged
            .iter()
            .map(|(commit, id)| (*id, *commit))
            .collect();
        let ids = check.acknowledged.values().copied().collect();
        self.ledger.checking = Some(0);
        self.ledger.failure = None;
        commands.push(Command::CheckLedger(ids));
    }

    pub(super) fn ledger_entry(&mut self, id: MessageId, commit: Option<Commit>) {
        let check = &mut self.memory.account.ledger_check;
        check.answers.insert(id, commit);
        if let Some(covered) = &mut self.ledger.checking {
            *covered = check.answers.len() as u64;
        }
    }

    pub(super) fn ledger_skipped(&mut self, id: MessageId) {
        self.memory.account.ledger_check.covered.remove(&id);
    }

    pub(super) fn ledger_inbox(&mut self, inbox: Vec<(MessageId, Commit)>) {
        self.memory.account.ledger_check.inbox = Some(inbox);
    }

    pub(super) fn ledger_ended(&mut self, outcome: Result<(), Failure>) {
        if self.ledger.checking.take().is_none() {
            return;
        }
        if let Err(why) = outcome {
            self.ledger.failure = Some(why.sentence());
            return;
        }
        let shown = self.lines_by_message();
        let account = &self.memory.account;
        let check = &account.ledger_check;
        let ledger = &mut self.ledger;
        ledger.acknowledged = check.covered.len() as u64;
        (ledger.stored, ledger.shown, ledger.lost, ledger.doubled) = (0, 0, 0, 0);
        let lines = |id: &MessageId| match shown.get(id) {
            Some(lines) => *lines,
            // Hidden because it is about to be deleted, or deleted from this device.
            None if account.hidden.contains_key(id) || account.message_index.is_gone(*id) => 1,
            None => 0,
        };
        #[expect(clippy::iter_over_hash_type, reason = "counting knows no order")]
        for (id, commit) in &check.covered {
            let is_stored = check.answers.get(id) == Some(&Some(*commit));
            ledger.stored += u64::from(is_stored);
            ledger.shown += u64::from(lines(id) == 1);
            ledger.lost += u64::from(!is_stored || lines(id) == 0);
            ledger.doubled += u64::from(lines(id) > 1);
        }
        let mut times: BTreeMap<MessageId, u64> = BTreeMap::new();
        for (id, commit) in check.inbox.iter().flatten() {
            // What the watch has not delivered yet cannot be on the screen.
            if commit.index.0 <= check.newest_index {
                *times.entry(*id).or_default() += 1;
            }
        }
        ledger.inbox_stored = times.len() as u64;
        ledger.inbox_shown = 0;
        for (id, count) in times {
            ledger.inbox_shown += u64::from(lines(&id) == 1);
            ledger.lost += u64::from(lines(&id) == 0);
            ledger.doubled += u64::from(lines(&id) > 1 || count > 1);
        }
        ledger.checked_at = Some(self.now.moment);
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
