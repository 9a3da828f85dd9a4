//! Drafts and own messages: from the composer into the outbox, and what became of each. A text that
//! a person wrote is always somewhere: in the composer, in the outbox, or sent.

use std::sync::Arc;
use std::time::Duration;

use crate::model::command::Command;
use crate::model::failure::Failure;
use crate::model::message::{Message, MessageState, OutboxMessage, Pending, SortKey};
use crate::model::names::{BODY_BYTES_MAX, Commit, MessageId, Name, RequestId};
use crate::model::time::Timestamp;
use crate::model::{Model, OUTBOX_MAX, OutboxLine, ScrollTarget};

/// Text is on the disk at most this long after it was typed.
const DRAFT_DELAY: Duration = Duration::from_millis(500);

impl Model {
    pub(super) fn edit_draft(&mut self, peer: Name, text: String) {
        if self.account.is_none() {
            return;
        }
        let conversation = self.conversations.entry(peer.clone()).or_default();
        if conversation.draft.text == text {
            return;
        }
        conversation.draft.text = text;
        let due = self.now.moment.plus(DRAFT_DELAY);
        let unsaved = &mut self.memory.account.unsaved_drafts;
        unsaved.entry(peer.clone()).or_insert(due);
        if !self.order.contains(&peer) {
            self.reorder(&[peer]);
        }
    }

    pub(super) fn save_due_drafts(&mut self, commands: &mut Vec<Command>) {
        let now = self.now.moment;
        let unsaved = &self.memory.account.unsaved_drafts;
        let due: Vec<Name> = unsaved
            .iter()
            .filter(|(_, due)| **due <= now)
            .map(|(peer, _)| peer.clone())
            .collect();
        for peer in due {
            self.save_draft(&peer, commands);
        }
    }

    /// All of them, at once: the window is about to close, or another person to sign in.
    pub(super) fn save_all_drafts(&mut self, commands: &mut Vec<Command>) {
        let unsaved: Vec<Name> = self.memory.account.unsaved_drafts.keys().cloned().collect();
        for peer in unsaved {
            self.save_draft(&peer, commands);
        }
    }

    pub(super) fn save_draft(&mut self, peer: &Name, commands: &mut Vec<Command>) {
        if self.memory.account.unsaved_drafts.remove(peer).is_none() {
            return;
        }
        let draft = self.conversations.get(peer).map(|one| &*one.draft.text);
        commands.push(Command::SaveDraft {
            peer: peer.clone(),
            text: Arc::from(draft.unwrap_or_default()),
        });
    }

    /// Puts a text into the composer, before what is there already.
    fn restore_draft(&mut self, peer: &Name, text: &str) {
        let conversation = self.conversations.entry(peer.clone()).or_default();
        let draft = &mut conversation.draft;
        draft.text = match draft.text.as_str() {
            "" => text.to_owned(),
            rest => format!("{text}\n{rest}"),
        };
        draft.revision += 1;
        let now = self.now.moment;
        let unsaved = &mut self.memory.account.unsaved_drafts;
        unsaved.insert(peer.clone(), now);
        self.reorder(std::slice::from_ref(peer));
    }

    pub(super) fn send(&mut self, peer: Name, text: &str, commands: &mut Vec<Command>) {
        let text = text.trim();
        if self.account.is_none() || text.is_empty() {
            return;
        }
        if text.len() > BODY_BYTES_MAX {
            self.show_failure(&Failure::BodyTooLong);
            return;
        }
        if self.outbox.len() >= OUTBOX_MAX {
            self.show_error(
                format!("{OUTBOX_MAX} messages are queued already."),
                "Wait until they are sent; the text stays in the composer.".to_owned(),
            );
            return;
        }
        let outgoing = OutboxMessage {
            id: MessageId(self.ids.next_id()),
            request_id: RequestId(self.ids.next_id()),
            recipient: peer.clone(),
            body: Arc::from(text),
            written_at: self.now.wall,
            refused: None,
        };
        let conversation = self.conversations.entry(peer.clone()).or_default();
        conversation.draft.text.clear();
        conversation.draft.revision += 1;
        conversation.clear_unread_line(&self.zone);
        // The draft goes in the same write.
        self.memory.account.unsaved_drafts.remove(&peer);
        self.insert_outgoing(&outgoing, false);
        if self.open.as_ref() == Some(&peer) {
            self.scroll_to(ScrollTarget::Newest);
        }
        commands.push(Command::Enqueue(outgoing));
    }

    /// Shows a message of the outbox, and counts it in.
    pub(super) fn insert_outgoing(&mut self, outgoing: &OutboxMessage, outcome_uncertain: bool) {
        let state = match &outgoing.refused {
            Some(reason) => MessageState::NotSent {
                reason: reason.clone(),
            },
            None => MessageState::Pending(Pending {
                since: self.now.moment,
                attempts: 0,
                trying: false,
                outcome_uncertain,
                delayed: None,
            }),
        };
        let sort_key = match outgoing.refused {
            Some(_) => self.sort_key_after(&outgoing.recipient),
            None => self.sort_key_at_the_end(),
        };
        self.outbox.push_back(OutboxLine {
            id: outgoing.id,
            peer: outgoing.recipient.clone(),
            waiting: outgoing.refused.is_none(),
        });
        self.insert_messages(vec![Message {
            id: outgoing.id,
            peer: outgoing.recipient.clone(),
            body: outgoing.body.clone(),
            at: outgoing.written_at,
            state,
            sort_key,
        }]);
    }

    fn sort_key_at_the_end(&mut self) -> SortKey {
        self.memory.account.sequence += 1;
        SortKey {
            index: u64::MAX,
            sequence: self.memory.account.sequence,
        }
    }

    /// Behind everything that the log has of this conversation by now.
    fn sort_key_after(&mut self, peer: &Name) -> SortKey {
        self.memory.account.sequence += 1;
        let messages = self.conversations.get(peer).map(|one| &*one.messages);
        let newest = messages
            .unwrap_or_default()
            .iter()
            .rev()
            .find_map(Message::commit);
        SortKey {
            index: newest.map_or(0, |commit| commit.index.0),
            sequence: self.memory.account.sequence,
        }
    }

    pub(super) fn send_started(&mut self, id: MessageId, attempt: u32) {
        self.memory.account.link.attempt = Some((id, self.now.moment));
        self.change_pending(id, |pending| {
            pending.attempts = attempt;
            pending.trying = true;
        });
    }

    pub(super) fn send_delayed(&mut self, id: MessageId, why: Failure, next_try: Duration) {
        let is_unknown = why == Failure::OutcomeUnknown;
        let mut since = None;
        self.change_pending(id, |pending| {
            pending.trying = false;
            pending.outcome_uncertain |= is_unknown;
            pending.delayed = Some(why.clone());
            since = Some(pending.since);
        });
        if let Some(since) = since {
            let link = &mut self.memory.account.link;
            link.delayed = Some(why);
            link.next_try = Some(self.now.moment.plus(next_try));
            link.blocked_since.get_or_insert(since);
        }
    }

    pub(super) fn change_pending(&mut self, id: MessageId, change: impl FnOnce(&mut Pending)) {
        self.change(id, |message| {
            if let MessageState::Pending(pending) = &mut message.state {
                change(pending);
            }
        });
    }

    /// A message is on a majority of disks; reported once or again.
    pub(super) fn acknowledged(&mut self, id: MessageId, at: Timestamp, commit: Commit) {
        self.drop_from_outbox(id);
        self.memory.account.restoring_to_draft.remove(&id);
        let Some(message) = self.find(id) else { return };
        if !message.is_own() {
            return;
        }
        let mut message = message.clone();
        message.state = MessageState::Sent { commit };
        message.at = at;
        message.sort_key = SortKey {
            index: commit.index.0,
            sequence: 0,
        };
        self.insert_messages(vec![message]);
        self.memory.account.ledger_check.acknowledge(id, commit);
        self.sending_works(id, commit.term);
    }

    pub(super) fn send_refused(&mut self, id: MessageId, why: Failure) {
        let Some(message) = self.find(id) else { return };
        if !matches!(message.state, MessageState::Pending(_)) {
            return;
        }
        let mut message = message.clone();
        message.sort_key = self.sort_key_after(&message.peer);
        message.state = MessageState::NotSent { reason: why };
        self.insert_messages(vec![message]);
        if let Some(line) = self.outbox.iter_mut().find(|line| line.id == id) {
            line.waiting = false;
        }
        self.memory.account.link.delayed = None;
    }

    /// The person retries a rejected message.
    pub(super) fn retry(&mut self, id: MessageId, commands: &mut Vec<Command>) {
        let Some(message) = self.find(id) else { return };
        if !matches!(message.state, MessageState::NotSent { .. }) {
            return;
        }
        let mut message = message.clone();
        message.sort_key = self.sort_key_at_the_end();
        message.state = MessageState::Pending(Pending {
            since: self.now.moment,
            attempts: 0,
            trying: false,
            outcome_uncertain: false,
            delayed: None,
        });
        let peer = message.peer.clone();
        self.drop_from_outbox(id);
        self.outbox.push_back(OutboxLine {
            id,
            peer,
            waiting: true,
        });
        self.insert_messages(vec![message]);
        commands.push(Command::Requeue(id));
    }

    /// The person gives a message up, or wants its text back.
    pub(super) fn withdraw(
        &mut self,
        id: MessageId,
        into_composer: bool,
        commands: &mut Vec<Command>,
    ) {
        let Some(message) = self.find(id) else { return };
        match &message.state {
            MessageState::Pending(pending) if pending.outcome_uncertain || pending.trying => {
                self.withdraw_refused(id);
            }
            MessageState::Pending(_) | MessageState::NotSent { .. } => {
                let restoring_to_draft = &mut self.memory.account.restoring_to_draft;
                if into_composer {
                    restoring_to_draft.insert(id);
                } else {
                    restoring_to_draft.remove(&id);
                }
                commands.push(Command::Withdraw(id));
            }
            MessageState::Sent { .. } | MessageState::Received { .. } => {}
        }
    }

    pub(super) fn withdrawn(&mut self, id: MessageId, commands: &mut Vec<Command>) {
        let into_composer = self.memory.account.restoring_to_draft.remove(&id);
        self.drop_from_outbox(id);
        for message in self.remove_messages(&[id]) {
            if into_composer {
                self.restore_draft(&message.peer, &message.body);
                self.save_draft(&message.peer, commands);
            }
        }
    }

    pub(super) fn withdraw_refused(&mut self, id: MessageId) {
        self.memory.account.restoring_to_draft.remove(&id);
        self.show_error(
            "This message may have been sent already.".to_owned(),
            "It is sent as soon as the servers answer, exactly once.".to_owned(),
        );
    }

    pub(super) fn drop_from_outbox(&mut self, id: MessageId) {
        self.outbox.retain(|line| line.id != id);
    }
}
