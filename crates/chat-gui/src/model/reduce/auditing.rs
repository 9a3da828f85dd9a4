//! The ledger: what was acknowledged is compared with what servers answer and with what is shown.
//! Nothing in it is assumed: every figure counts answers or lines on the screen.

use std::collections::{BTreeMap, HashMap};

use crate::backend::command::Command;
use crate::model::Model;
use crate::model::failure::Failure;
use crate::model::ledger::LEDGER_CHECK_MAX;
use crate::model::names::{Commit, MessageId};
use crate::model::timeline::TimelineItem;

/// What was promised, and what the running check has heard.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// By position in the log, so that the newest are the last.
    acknowledged: BTreeMap<Commit, MessageId>,
    covered: HashMap<MessageId, Commit>,
    answers: HashMap<MessageId, Option<Commit>>,
    inbox: Option<Vec<(MessageId, Commit)>>,
    /// What had been told to us when the check began: later messages may be under way.
    newest_index: u64,
}

impl Audit {
    /// The servers have promised to keep a message. Those that no check would cover are forgotten.
    pub(super) fn acknowledge(&mut self, id: MessageId, commit: Commit) {
        self.acknowledged.insert(commit, id);
        if self.acknowledged.len() > LEDGER_CHECK_MAX {
            self.acknowledged.pop_first();
        }
    }
}

impl Model {
    pub(super) fn check_ledger(&mut self, commands: &mut Vec<Command>) {
        if self.account.is_none() || self.ledger.checking.is_some() {
            return;
        }
        let newest_index = self.memory.account.newest_index;
        let audit = &mut self.memory.account.audit;
        audit.answers.clear();
        audit.inbox = None;
        audit.newest_index = newest_index;
        audit.covered = audit
            .acknowledged
            .iter()
            .map(|(commit, id)| (*id, *commit))
            .collect();
        let ids = audit.acknowledged.values().copied().collect();
        self.ledger.checking = Some(0);
        self.ledger.failure = None;
        commands.push(Command::CheckLedger(ids));
    }

    pub(super) fn audit_entry(&mut self, id: MessageId, commit: Option<Commit>) {
        let audit = &mut self.memory.account.audit;
        audit.answers.insert(id, commit);
        if let Some(covered) = &mut self.ledger.checking {
            *covered = audit.answers.len() as u64;
        }
    }

    pub(super) fn audit_skipped(&mut self, id: MessageId) {
        self.memory.account.audit.covered.remove(&id);
    }

    pub(super) fn audit_inbox(&mut self, inbox: Vec<(MessageId, Commit)>) {
        self.memory.account.audit.inbox = Some(inbox);
    }

    pub(super) fn audit_ended(&mut self, outcome: Result<(), Failure>) {
        if self.ledger.checking.take().is_none() {
            return;
        }
        if let Err(why) = outcome {
            self.ledger.failure = Some(why.sentence());
            return;
        }
        let shown = self.lines_by_message();
        let account = &self.memory.account;
        let audit = &account.audit;
        let ledger = &mut self.ledger;
        ledger.acknowledged = audit.covered.len() as u64;
        (ledger.stored, ledger.shown, ledger.lost, ledger.doubled) = (0, 0, 0, 0);
        let lines = |id: &MessageId| match shown.get(id) {
            Some(lines) => *lines,
            // Hidden because it is about to be deleted, or deleted from this device.
            None if account.hidden.contains_key(id) || account.shelf.is_gone(*id) => 1,
            None => 0,
        };
        #[expect(clippy::iter_over_hash_type, reason = "counting knows no order")]
        for (id, commit) in &audit.covered {
            let is_stored = audit.answers.get(id) == Some(&Some(*commit));
            ledger.stored += u64::from(is_stored);
            ledger.shown += u64::from(lines(id) == 1);
            ledger.lost += u64::from(!is_stored || lines(id) == 0);
            ledger.doubled += u64::from(lines(id) > 1);
        }
        let mut times: BTreeMap<MessageId, u64> = BTreeMap::new();
        for (id, commit) in audit.inbox.iter().flatten() {
            // What the news has not told us yet cannot be on the screen.
            if commit.index.0 <= audit.newest_index {
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
