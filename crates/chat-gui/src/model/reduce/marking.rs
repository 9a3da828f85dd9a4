//! What a person marks about a chat: pinned, unread, and which one is open. Each change is saved.

use crate::model::Model;
use crate::model::command::Command;
use crate::model::marks::{ChatMarks, PINNED_MAX};
use crate::model::names::Name;

impl Model {
    pub(super) fn set_pinned(&mut self, peer: Name, pinned: bool, commands: &mut Vec<Command>) {
        if pinned && self.marks.pinned.len() >= PINNED_MAX {
            self.show_error(
                format!("At most {PINNED_MAX} chats can be pinned."),
                "Unpin another one first.".to_owned(),
            );
            return;
        }
        self.change_marks(commands, |marks| {
            if pinned {
                marks.pinned.insert(peer.clone());
            } else {
                marks.pinned.remove(&peer);
            }
        });
        self.reorder(&[peer]);
    }

    pub(super) fn mark_unread(&mut self, peer: Name, commands: &mut Vec<Command>) {
        if self.conversations.contains_key(&peer) {
            self.change_marks(commands, |marks| {
                marks.unread.insert(peer);
            });
        }
    }

    /// Another conversation is open, or none.
    pub(super) fn mark_open(&mut self, commands: &mut Vec<Command>) {
        let open = self.open.clone();
        self.change_marks(commands, |marks| {
            if let Some(peer) = &open {
                marks.unread.remove(peer);
            }
            marks.open = open;
        });
    }

    /// A chat is deleted.
    pub(super) fn forget_marks(&mut self, peer: &Name, commands: &mut Vec<Command>) {
        self.change_marks(commands, |marks| {
            marks.pinned.remove(peer);
            marks.unread.remove(peer);
        });
    }

    fn change_marks(&mut self, commands: &mut Vec<Command>, change: impl FnOnce(&mut ChatMarks)) {
        let before = self.marks.clone();
        change(&mut self.marks);
        if self.account.is_some() && self.marks != before {
            commands.push(Command::SaveMarks(self.marks.clone()));
        }
    }
}
