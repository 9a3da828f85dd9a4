//! Drafts and own messages: from the composer into the outbox, and what became of each. A text that
//! a person wrote is always somewhere: in the composer, in the outbox, or sent.

use std::sync::Arc;
use std::time::Duration;

use crate::model::command::Command;
use crate::model::event::StoredDraft;
use crate::model::failure::Failure;
use crate::model::message::{CopyPlace, Message, MessageState, OutboxMessage, Pending, SortKey};
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
        let draft = self.conversations.get(peer).map(|one| &one.draft);
        commands.push(Command::SaveDraft {
            peer: peer.clone(),
            draft: StoredDraft {
                text: Arc::from(draft.map_or("", |draft| &draft.text)),
                reply_to: draft.and_then(|draft| draft.reply_to),
            },
        });
    }

    /// The open conversation's next message replies to this one.
    pub(super) fn reply(&mut self, id: MessageId) {
        let Some(message) = self.find(id).filter(|message| message.commit().is_some()) else {
            return;
        };
        let peer = message.peer.clone();
        self.change_reply(&peer, Some(id));
    }

    /// It replies to none.
    pub(super) fn cancel_reply(&mut self, peer: &Name) {
        self.change_reply(peer, None);
    }

    /// Whether the next message to a person replies to one.
    pub(super) fn replies(&self, peer: &Name) -> bool {
        let conversation = self.conversations.get(peer);
        conversation.is_some_and(|one| one.draft.reply_to.is_some())
    }

    fn change_reply(&mut self, peer: &Name, reply_to: Option<MessageId>) {
        let conversation = self.conversations.entry(peer.clone()).or_default();
        if conversation.draft.reply_to == reply_to {
            return;
        }
        conversation.draft.reply_to = reply_to;
        let due = self.now.moment.plus(DRAFT_DELAY);
        let unsaved = &mut self.memory.account.unsaved_drafts;
        unsaved.entry(peer.clone()).or_insert(due);
    }

    /// Puts a message back into the composer, its text before what is there already.
    fn restore_draft(&mut self, message: &Message) {
        let (peer, text) = (&message.peer, &*message.body);
        let conversation = self.conversations.entry(peer.clone()).or_default();
        let draft = &mut conversation.draft;
        draft.text = match draft.text.as_str() {
            "" => text.to_owned(),
            rest => format!("{text}\n{rest}"),
        };
        draft.reply_to = draft.reply_to.or(message.reply_to);
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
        let (id, request_id) = (self.ids.next_id(), self.ids.next_id());
        let conversation = self.conversations.entry(peer.clone()).or_default();
        let outgoing = OutboxMessage {
            id: MessageId(id),
            request_id: RequestId(request_id),
            recipient: peer.clone(),
            body: Arc::from(text),
            written_at: self.now.wall,
            reply_to: conversation.draft.reply_to.take(),
            copy: CopyPlace::Servers,
            refused: None,
        };
        conversation.draft.text.clear();
        conversation.draft.revision += 1;
        conversation.clear_unread_line(&self.zone);
        // The draft goes in the same write.
        self.memory.account.unsaved_drafts.remove(&peer);
        self.insert_outgoing(&outgoing, false);
        if self.open.as_ref() == Some(&peer) {
            self.scroll_to(ScrollTarget::Newest);
        }
        commands.push(Command::Enqueue(Box::new(outgoing)));
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
            written_at: Some(outgoing.written_at),
            reply_to: outgoing.reply_to,
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

    /// A message is on a majority of disks; reported once or again, before or after the watch has
    /// reported the copy.
    pub(super) fn acknowledged(
        &mut self,
        id: MessageId,
        at: Timestamp,
        commit: Commit,
        copy: CopyPlace,
    ) {
        self.drop_from_outbox(id);
        self.memory.account.restoring_to_draft.remove(&id);
        self.sending_works(id, commit.term);
        let Some(message) = self.find(id).filter(|message| message.is_under_way()) else {
            return;
        };
        let mut message = message.clone();
        message.state = MessageState::Sent {
            commit,
            recipient_since: None,
            copy,
        };
        message.at = at;
        message.sort_key = SortKey {
            index: commit.index.0,
            sequence: 0,
        };
        self.insert_messages(vec![message]);
        let now = self.now.moment;
        let check = &mut self.memory.account.ledger_check;
        check.acknowledge(id, commit);
        if copy == CopyPlace::Servers {
            check.unconfirmed.insert(id, now);
        }
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
        let is_under_way = self.find(id).is_some_and(Message::is_under_way);
        self.drop_from_outbox(id);
        if !is_under_way {
            return;
        }
        for message in self.remove_messages(&[id]) {
            if into_composer {
                self.restore_draft(&message);
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
