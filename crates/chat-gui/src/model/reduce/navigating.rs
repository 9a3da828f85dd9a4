//! Which page, which conversation, which dialog over it, and the way back.

use crate::model::command::Command;
use crate::model::names::{MessageId, Name};
use crate::model::navigation::{Screen, Step};
use crate::model::{Model, ScrollRequest, ScrollTarget};

impl Model {
    pub(super) fn show(&mut self, screen: Screen, commands: &mut Vec<Command>) {
        let needs_account = !matches!(screen, Screen::FirstRun | Screen::SignIn);
        // The cluster page needs no account, only servers.
        let allowed = match screen {
            Screen::Cluster | Screen::Settings => true,
            _ => needs_account == self.account.is_some(),
        };
        if !allowed || screen == self.screen {
            return;
        }
        if (screen == Screen::Cluster) != (self.screen == Screen::Cluster) {
            commands.push(Command::WatchCluster(screen == Screen::Cluster));
        }
        self.selection.clear();
        self.dialog = None;
        self.delete_now(None, commands);
        self.screen = screen;
        if screen == Screen::People {
            self.outdate_people();
        }
    }

    /// Leaves what is open, the topmost first.
    pub(super) fn go_back(&mut self, commands: &mut Vec<Command>) {
        if self.dialog.take().is_some()
            || self.message_search.take().is_some()
            || !std::mem::take(&mut self.selection).is_empty()
        {
            return;
        }
        match self.screen {
            Screen::Chat => match self.open.clone() {
                Some(peer) if self.replies(&peer) => self.cancel_reply(&peer),
                _ => self.close_conversation(commands),
            },
            Screen::People | Screen::Cluster | Screen::Settings => {
                let home = match (&self.account, self.servers.addresses.is_empty()) {
                    (Some(_), _) => Screen::Chat,
                    (None, false) => Screen::SignIn,
                    (None, true) => Screen::FirstRun,
                };
                self.show(home, commands);
            }
            Screen::FirstRun | Screen::SignIn => {}
        }
    }

    pub(super) fn open_conversation_with(&mut self, peer: Name, commands: &mut Vec<Command>) {
        if self.account.is_none() {
            return;
        }
        self.show(Screen::Chat, commands);
        if self.open.as_ref() == Some(&peer) {
            return;
        }
        self.leave_conversation(commands);
        self.dialog = None;
        self.open = Some(peer.clone());
        self.mark_open(commands);
        let conversation = self.conversations.entry(peer.clone()).or_default();
        conversation.draw_unread_line(&self.zone);
        self.reorder(&[peer]);
        self.scroll_to(ScrollTarget::Unread);
    }

    pub(super) fn close_conversation(&mut self, commands: &mut Vec<Command>) {
        self.leave_conversation(commands);
        self.open = None;
        self.mark_open(commands);
    }

    /// Shows a message in its conversation, if it is still there.
    pub(super) fn open_message(&mut self, peer: Name, id: MessageId, commands: &mut Vec<Command>) {
        if self.message(&peer, id).is_some() {
            self.open_conversation_with(peer, commands);
            self.scroll_to(ScrollTarget::Message(id));
        }
    }

    /// The person clicked a notification, which may be older than the session.
    pub(super) fn notification_opened(
        &mut self,
        peer: Name,
        id: MessageId,
        commands: &mut Vec<Command>,
    ) {
        self.focus_requests += 1;
        self.open_message(peer, id, commands);
    }

    /// The window got or lost the keyboard. What arrived while it had not is below the unread line.
    pub(super) fn set_focused(&mut self, focused: bool) {
        let returned = focused && !self.focused;
        self.focused = focused;
        if returned {
            self.show_unread_line();
        }
    }

    /// Puts the unread line above what the person has not seen of the open conversation.
    fn show_unread_line(&mut self) {
        let Some(peer) = &self.open else { return };
        let Some(conversation) = self.conversations.get_mut(peer) else {
            return;
        };
        if self.screen == Screen::Chat && conversation.unread > 0 {
            conversation.draw_unread_line(&self.zone);
            self.scroll_to(ScrollTarget::Unread);
        }
    }

    /// Shows the conversation that was open when the window was closed. What the servers have of it
    /// may come later.
    pub(super) fn restore_open(&mut self) {
        let Some(peer) = self.marks.open.clone() else {
            return;
        };
        self.conversations.entry(peer.clone()).or_default();
        self.open = Some(peer.clone());
        self.reorder(&[peer]);
        self.memory.account.restored_open = true;
    }

    /// The messages of the restored conversation are there.
    pub(super) fn restored_open_is_loaded(&mut self) {
        if std::mem::take(&mut self.memory.account.restored_open) {
            self.show_unread_line();
        }
    }

    fn leave_conversation(&mut self, commands: &mut Vec<Command>) {
        self.selection.clear();
        let Some(peer) = self.open.take() else { return };
        self.save_draft(&peer, commands);
        if let Some(conversation) = self.conversations.get_mut(&peer) {
            conversation.clear_unread_line(&self.zone);
        }
        self.reorder(&[peer]);
    }

    /// To the next one in the list, round its ends.
    pub(super) fn step_conversation(
        &mut self,
        step: Step,
        unread_only: bool,
        commands: &mut Vec<Command>,
    ) {
        let count = self.order.len();
        let here = self.open.as_ref().and_then(|open| {
            let mut order = self.order.iter();
            order.position(|peer| peer == open)
        });
        let steps = (1..=count).map(|distance| match (here, step) {
            (Some(here), Step::Next) => (here + distance) % count,
            (Some(here), Step::Previous) => (here + count - distance) % count,
            (None, Step::Next) => distance - 1,
            (None, Step::Previous) => count - distance,
        });
        let wanted =
            |place: &usize| !unread_only || self.conversations[&self.order[*place]].unread > 0;
        let next = steps.into_iter().find(wanted);
        if let Some(next) = next {
            self.open_nth(next, commands);
        }
    }

    pub(super) fn open_nth(&mut self, place: usize, commands: &mut Vec<Command>) {
        if let Some(peer) = self.order.get(place).cloned() {
            self.open_conversation_with(peer, commands);
        }
    }

    pub(super) fn scroll_to(&mut self, target: ScrollTarget) {
        self.scroll = ScrollRequest {
            number: self.scroll.number + 1,
            target,
        };
    }
}
