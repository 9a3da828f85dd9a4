//! Notices: shown, faded, dismissed. Their text comes from the caller.

use std::time::Duration;

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::command::Command;
use crate::model::failure::Failure;
use crate::model::names::NoticeId;
use crate::model::notice::{ERRORS_MAX, Notice, NoticeAction, NoticeKind};

/// Confirmations are short: this is enough to read one twice.
const CONFIRMATION_TIME: Duration = Duration::from_secs(4);

impl Model {
    /// A confirmation; it disappears by itself.
    pub(super) fn confirm(&mut self, text: impl Into<String>) {
        let until = Some(self.now.moment.plus(CONFIRMATION_TIME));
        self.notices
            .retain(|notice| notice.kind != NoticeKind::Confirmation);
        self.show_notice(NoticeKind::Confirmation, text.into(), String::new(), until);
    }

    /// Something did not work; stays until it is dismissed.
    pub(super) fn show_failure(&mut self, why: &Failure) {
        self.show_error(why.sentence(), why.next_step());
    }

    /// The same in words of one's own. A repetition replaces the one before.
    pub(super) fn show_error(&mut self, text: String, detail: String) {
        self.notices
            .retain(|notice| notice.kind != NoticeKind::Error || notice.text != text);
        let is_error = |notice: &Notice| notice.kind == NoticeKind::Error;
        while self
            .notices
            .iter()
            .filter(|notice| is_error(notice))
            .count()
            >= ERRORS_MAX
        {
            let oldest = self.notices.iter().position(is_error);
            self.notices.remove(oldest.expect("there are some"));
        }
        self.show_notice(NoticeKind::Error, text, detail, None);
    }

    /// Offers to undo something for a while.
    pub(super) fn offer_undo(&mut self, text: String, time: Duration) -> NoticeId {
        let until = Some(self.now.moment.plus(time));
        let id = self.show_notice(NoticeKind::Undo, text, String::new(), until);
        if let Some(notice) = self.notices.back_mut() {
            notice.action = Some(NoticeAction {
                label: "Undo",
                action: Box::new(UserAction::UndoDelete(id)),
            });
        }
        id
    }

    fn show_notice(
        &mut self,
        kind: NoticeKind,
        text: String,
        detail: String,
        until: Option<crate::model::time::Moment>,
    ) -> NoticeId {
        self.memory.notices += 1;
        let id = NoticeId(self.memory.notices);
        self.notices.push_back(Notice {
            id,
            kind,
            text,
            detail,
            action: None,
            until,
        });
        id
    }

    /// The person has read it. What could still be undone is done.
    pub(super) fn dismiss(&mut self, id: NoticeId, commands: &mut Vec<Command>) {
        self.delete_now(Some(id), commands);
        self.drop_notice(id);
    }

    pub(super) fn drop_notice(&mut self, id: NoticeId) {
        self.notices.retain(|notice| notice.id != id);
    }

    pub(super) fn fade_notices(&mut self) {
        let now = self.now.moment;
        self.notices
            .retain(|notice| notice.until.is_none_or(|until| now < until));
    }
}
