//! Selecting, and deleting with time to change one's mind: what is deleted is hidden at once and
//! requested of the servers when the time is up.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::command::Command;
use crate::model::message::{Message, MessageState};
use crate::model::names::{MessageId, Name, NoticeId};
use crate::model::{Deletion, Model};

/// How long a deletion can be undone.
pub(super) const UNDO_TIME: Duration = Duration::from_secs(6);

impl Model {
    pub(super) fn toggle_selected(&mut self, id: MessageId) {
        if !self.selection.remove(&id) && self.find(id).is_some() {
            self.selection.insert(id);
        }
    }

    /// Everything that is shown and can be deleted.
    pub(super) fn select_all(&mut self) {
        let messages = self.open_conversation().map(|open| open.messages.iter());
        let deletable = messages.into_iter().flatten().filter(|one| deletable(one));
        let shown: Vec<MessageId> = deletable.map(|message| message.id).collect();
        self.selection.extend(shown);
    }

    /// Hides messages and offers to bring them back. What is queued or was rejected is not deleted
    /// but discarded, which is another thing.
    pub(super) fn delete(&mut self, ids: Vec<MessageId>) {
        let ids: Vec<MessageId> = ids
            .into_iter()
            .filter(|id| self.find(*id).is_some_and(deletable))
            .collect();
        if ids.is_empty() {
            return;
        }
        let messages = self.remove_messages(&ids);
        let text = deletion_words(&messages);
        let notice = self.offer_undo(text, UNDO_TIME);
        let hidden = &mut self.memory.account.hidden;
        hidden.extend(messages.into_iter().map(|message| (message.id, message)));
        self.deletions.push_back(Deletion {
            notice,
            messages: ids,
            due: self.now.moment.plus(UNDO_TIME),
        });
    }

    /// Deletes what can be deleted of a conversation. What waits to be sent, and a draft, stay.
    pub(super) fn delete_chat(&mut self, peer: &Name, commands: &mut Vec<Command>) {
        let Some(conversation) = self.conversations.get(peer) else {
            return;
        };
        let messages = conversation.messages.iter().filter(|one| deletable(one));
        let ids: Vec<MessageId> = messages.map(|message| message.id).collect();
        self.forget_marks(peer, commands);
        if self.open.as_ref() == Some(peer) {
            self.close_conversation(commands);
        }
        if ids.is_empty() {
            return;
        }
        self.delete(ids);
        if let Some(notice) = self.notices.back_mut() {
            notice.text = format!("Chat with {peer} deleted.");
        }
    }

    pub(super) fn undo_delete(&mut self, notice: NoticeId) {
        let position = self.deletions.iter().position(|one| one.notice == notice);
        let Some(deletion) = position.and_then(|position| self.deletions.remove(position)) else {
            return;
        };
        self.drop_notice(notice);
        let hidden = &mut self.memory.account.hidden;
        let messages = deletion
            .messages
            .iter()
            .filter_map(|id| hidden.remove(id))
            .collect();
        self.insert_messages(messages);
    }

    pub(super) fn run_due_deletions(&mut self, commands: &mut Vec<Command>) {
        let now = self.now.moment;
        while let Some(deletion) = self.deletions.front()
            && deletion.due <= now
        {
            let notice = deletion.notice;
            self.delete_now(Some(notice), commands);
        }
    }

    /// Completes deletions before they are due: of one notice, or all.
    pub(super) fn delete_now(&mut self, notice: Option<NoticeId>, commands: &mut Vec<Command>) {
        let is_meant = |deletion: &Deletion| notice.is_none_or(|one| one == deletion.notice);
        let (due, waiting): (VecDeque<Deletion>, _) = std::mem::take(&mut self.deletions)
            .into_iter()
            .partition(is_meant);
        self.deletions = waiting;
        for deletion in due {
            self.drop_notice(deletion.notice);
            let account = &mut self.memory.account;
            let mut deleted = deletion.messages;
            deleted.retain(|id| account.hidden.remove(id).is_some());
            for id in &deleted {
                account.message_index.forget(*id);
            }
            if !deleted.is_empty() {
                commands.push(Command::Delete(deleted));
            }
        }
    }

    /// Another window of this account deleted messages, or this one did. A message that is still
    /// under way here was stored and deleted all the same.
    pub(super) fn were_deleted(&mut self, ids: &[MessageId]) {
        self.remove_messages(ids);
        for id in ids {
            self.drop_from_outbox(*id);
            let account = &mut self.memory.account;
            account.hidden.remove(id);
            account.message_index.forget(*id);
            account.ledger_check.unconfirmed.remove(id);
            if let Some(unconfirmed) = &mut account.unconfirmed {
                unconfirmed.remove(id);
            }
        }
        self.drop_empty_deletions();
    }

    fn drop_empty_deletions(&mut self) {
        let hidden = &self.memory.account.hidden;
        let is_empty =
            |deletion: &Deletion| !deletion.messages.iter().any(|id| hidden.contains_key(id));
        let empty: Vec<NoticeId> = self
            .deletions
            .iter()
            .filter(|deletion| is_empty(deletion))
            .map(|deletion| deletion.notice)
            .collect();
        for notice in empty {
            self.deletions.retain(|deletion| deletion.notice != notice);
            self.drop_notice(notice);
        }
    }
}

/// What was deleted, and who still has it: an own message is deleted for its writer only.
fn deletion_words(messages: &[Message]) -> String {
    let mut recipients: Vec<&Name> = messages
        .iter()
        .filter(|message| message.is_own())
        .map(|message| &message.peer)
        .collect();
    recipients.dedup();
    match (messages, &recipients[..]) {
        ([_], []) => "1 message deleted.".to_owned(),
        ([_], [recipient]) => format!("1 message deleted. {recipient} still has it."),
        (_, []) => format!("{} messages deleted.", messages.len()),
        (_, [recipient]) => format!(
            "{} messages deleted. {recipient} still has those that you sent.",
            messages.len()
        ),
        _ => format!(
            "{} messages deleted. Their recipients still have those that you sent.",
            messages.len()
        ),
    }
}

fn deletable(message: &Message) -> bool {
    matches!(
        message.state,
        MessageState::Received { .. } | MessageState::Sent { .. }
    )
}
