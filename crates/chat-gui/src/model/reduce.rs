//! What an input changes. The only writer of the model: each input is applied by one of the files
//! in this folder, then what is derived from the rest is brought up to date.

mod auth;
mod chaos;
mod cluster;
mod connecting;
mod dates;
mod deleting;
mod ledger;
mod marking;
mod members;
mod message_index;
mod navigating;
mod notices;
mod reading;
mod searching;
mod writing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::action::UserAction;
use crate::model::cluster::Cluster;
use crate::model::command::Command;
use crate::model::connection::Connection;
use crate::model::event::BackendEvent;
use crate::model::ledger::{Ledger, LedgerScope};
use crate::model::marks::ChatMarks;
use crate::model::memory::Memory;
use crate::model::names::IdSource;
use crate::model::navigation::Screen;
use crate::model::preferences::Preferences;
use crate::model::search::PeopleSearch;
use crate::model::sign_in::{Servers, SignIn};
use crate::model::time::{Moment, Now, Zone};
use crate::model::{InboxFreshness, Model, ScrollRequest};

impl Model {
    /// An empty window. The backend's first event decides what comes next.
    pub fn new(now: Now, zone: Zone, ids: IdSource) -> Self {
        Self {
            screen: Screen::default(),
            dialog: None,
            servers: Servers::default(),
            sign_in: SignIn::default(),
            account: None,
            session_number: 0,
            conversations: BTreeMap::new(),
            order: Vec::new(),
            open: None,
            scroll: ScrollRequest::default(),
            marks: ChatMarks::default(),
            selection: BTreeSet::new(),
            unread: 0,
            more_to_load: false,
            loading: false,
            inbox_state: InboxFreshness::default(),
            deletions: VecDeque::new(),
            outbox: VecDeque::new(),
            message_search: None,
            people: PeopleSearch::default(),
            notices: VecDeque::new(),
            connection: Connection::Idle,
            recovery: None,
            cluster: Cluster::default(),
            ledger: Ledger::default(),
            preferences: Preferences::default(),
            focused: true,
            attention: 0,
            focus_requests: 0,
            closing: false,
            zone,
            now,
            ids,
            memory: Memory::default(),
        }
    }

    /// Carries out what a person wants.
    pub fn act(&mut self, action: UserAction, now: Now) -> Vec<Command> {
        self.now = now;
        let mut commands = Vec::new();
        self.apply_action(action, &mut commands);
        self.after_input(&mut commands);
        commands
    }

    /// Applies an event of the backend.
    pub fn receive(&mut self, event: BackendEvent, now: Now) -> Vec<Command> {
        self.now = now;
        let mut commands = Vec::new();
        self.apply_event(event, &mut commands);
        self.after_input(&mut commands);
        commands
    }

    /// Does what is due at a certain time: notices fade, deletions become due. To be called when
    /// [`Model::next_deadline`] has passed; more often does no harm.
    pub fn run_timers(&mut self, now: Now) -> Vec<Command> {
        self.now = now;
        let mut commands = Vec::new();
        self.fade_notices();
        self.run_due_deletions(&mut commands);
        self.save_due_drafts(&mut commands);
        self.run_due_ledger_check(&mut commands);
        self.run_due_search();
        self.end_recovery();
        self.after_input(&mut commands);
        commands
    }

    /// When [`Model::run_timers`] has something to do, or a sentence that counts time changes.
    pub fn next_deadline(&self) -> Option<Moment> {
        let account = &self.memory.account;
        [
            self.notices.iter().filter_map(|notice| notice.until).min(),
            self.deletions.iter().map(|deletion| deletion.due).min(),
            account.unsaved_drafts.values().copied().min(),
            self.connection_deadline(),
            self.ledger_check_deadline(),
            account.search_due,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn apply_action(&mut self, action: UserAction, commands: &mut Vec<Command>) {
        use UserAction as Act;
        match action {
            Act::ForgetSignInFailure => self.sign_in.failure = None,
            Act::FindLocalCluster
            | Act::UseServers(_)
            | Act::UseLocalCluster
            | Act::ChooseServers
            | Act::SignIn { .. }
            | Act::SignUp { .. }
            | Act::SignOut
            | Act::DeleteAccount { .. }
            | Act::ChangePassword { .. } => self.handle_auth_action(action, commands),
            Act::Show(screen) => self.show(screen, commands),
            Act::OpenDialog(dialog) => self.dialog = Some(dialog),
            Act::Back => self.go_back(commands),
            Act::OpenConversation(peer) => self.open_conversation_with(peer, commands),
            Act::CloseConversation => self.close_conversation(commands),
            Act::StepConversation(step) => self.step_conversation(step, false, commands),
            Act::StepUnread(step) => self.step_conversation(step, true, commands),
            Act::OpenNth(place) => self.open_nth(place, commands),
            Act::EditDraft { peer, text } => self.edit_draft(peer, text),
            Act::Send { peer, text } => self.send(peer, &text, commands),
            Act::Retry(id) => self.retry(id, commands),
            Act::Discard(id) => self.withdraw(id, false, commands),
            Act::TakeBack(id) => self.withdraw(id, true, commands),
            Act::TryNow => commands.push(Command::TryNow),
            Act::Seen(ids) => self.mark_seen(&ids, commands),
            Act::OpenOldestUnread => self.open_oldest_unread(commands),
            Act::OpenMessage(peer, id) => self.open_message(peer, id, commands),
            Act::MarkRead(peer) => self.mark_conversation_read(&peer, commands),
            Act::ToggleSelected(id) => self.toggle_selected(id),
            Act::SelectAll => self.select_all(),
            Act::ClearSelection => self.selection.clear(),
            Act::Delete(ids) => self.delete(ids),
            Act::DeleteSelected => {
                let selected = std::mem::take(&mut self.selection);
                self.delete(selected.into_iter().collect());
            }
            Act::UndoDelete(notice) => self.undo_delete(notice),
            Act::LoadOlder => self.load_older(commands),
            Act::Refresh => self.refresh_all(commands),
            Act::JumpToNewest => self.scroll_to(crate::model::ScrollTarget::Newest),
            Act::Search(text) => self.search_everywhere(text, commands),
            Act::SearchIn { peer, text } => self.search_in(peer, text),
            Act::StepHit(step) => self.step_hit(step, commands),
            Act::ShowHit(place) => self.show_hit(place, commands),
            Act::CloseSearch => self.message_search = None,
            Act::SearchPeople(text) => self.search_people(&text, commands),
            Act::MorePeople => self.more_people(commands),
            Act::SetTheme(_)
            | Act::SetTextSize(_)
            | Act::SetNotifications(_)
            | Act::SetWindowSize(_) => self.change_preferences(action, commands),
            Act::KeepMessages(kept) => self.keep_messages(kept, commands),
            Act::SetMuted { peer, muted } => self.set_muted(peer, muted, commands),
            Act::GoToDate { peer, date } => self.go_to_date(peer, date, commands),
            Act::Copied => self.confirm("Copied."),
            Act::DismissNotice(id) => self.dismiss(id, commands),
            Act::Chaos(action) => self.request_fault_action(action, commands),
            Act::ChangeMembers(action) => self.request_members_action(action, commands),
            Act::CheckLedger => self.check_ledger(LedgerScope::All, commands),
            Act::Reply(id) => self.reply(id),
            Act::CancelReply(peer) => self.cancel_reply(&peer),
            Act::SetPinned { peer, pinned } => self.set_pinned(peer, pinned, commands),
            Act::MarkUnread(peer) => self.mark_unread(peer, commands),
            Act::DeleteChat(peer) => self.delete_chat(&peer, commands),
            Act::Focus(focused) => self.set_focused(focused),
            Act::Quit => self.ask_to_quit(commands),
            Act::QuitNow => self.quit(commands),
        }
    }

    /// Fetches the inbox and the people again.
    fn refresh_all(&mut self, commands: &mut Vec<Command>) {
        self.outdate_people();
        self.refresh(commands);
    }

    /// What the person has chosen is kept when it changes.
    fn change_preferences(&mut self, action: UserAction, commands: &mut Vec<Command>) {
        let before = self.preferences.clone();
        match action {
            UserAction::SetTheme(theme) => self.preferences.theme = theme,
            UserAction::SetTextSize(size) => self.preferences.text_size = size,
            UserAction::SetNotifications(choice) => self.preferences.notifications = choice,
            UserAction::SetWindowSize(size) => self.preferences.window = Some(size),
            _ => {}
        }
        if self.preferences != before {
            commands.push(Command::SavePreferences(self.preferences.clone()));
        }
    }

    fn apply_event(&mut self, event: BackendEvent, commands: &mut Vec<Command>) {
        use BackendEvent as Event;
        match event {
            Event::Started(started) => self.start(started, commands),
            Event::LocalCluster(_)
            | Event::ServersChosen(_)
            | Event::ServersRefused(_)
            | Event::SignedIn(_)
            | Event::SignInFailed(_)
            | Event::SignedOut(_)
            | Event::AccountFailed(_)
            | Event::PasswordChanged => self.handle_auth_event(event),
            Event::FetchBegan => self.fetch_began(),
            Event::Inbox(page) => self.take_page(page, commands),
            Event::CaughtUp => self.inbox_caught_up(),
            Event::Arrived(message) => self.arrived(message, commands),
            Event::Read(ids) => self.were_read(&ids),
            Event::Deleted(ids) => self.were_deleted(&ids),
            Event::ReadNext(messages) => self.take_read_next(messages, commands),
            Event::NotificationOpened { peer, id } => self.notification_opened(peer, id, commands),
            Event::InboxFailed(why) => self.show_failure(&why),
            Event::People { .. } | Event::PeopleFailed { .. } => {
                self.take_people(event, commands);
            }
            Event::SendStarted { id, attempt } => self.send_started(id, attempt),
            Event::SendDelayed { id, why, next_try } => self.send_delayed(id, why, next_try),
            Event::SendAcknowledged {
                id,
                at,
                commit,
                copy,
            } => self.acknowledged(id, at, commit, copy),
            Event::SendRefused { id, why } => self.send_refused(id, why),
            Event::Withdrawn(id) => self.withdrawn(id, commands),
            Event::WithdrawRefused(id) => self.withdraw_refused(id),
            Event::Link(link) => self.take_link(link),
            Event::Status {
                nodes,
                since_previous,
            } => self.observe(nodes, since_previous),
            Event::Processes(processes) => self.take_processes(processes),
            Event::FaultActionCompleted { action, answer } => self.action_completed(action, answer),
            Event::FaultActionFailed { action, why } => self.action_failed(action, &why),
            Event::Members(report) => self.take_members_report(report),
            Event::LedgerStored(stored) => self.ledger_stored(stored, commands),
            Event::LedgerBox(in_box) => self.ledger_box(in_box),
            Event::LedgerEnded(outcome) => self.ledger_ended(outcome),
            Event::LocalStorageFailed(why) => self.local_storage_failed(&why),
        }
    }

    /// Brings up to date what is derived from the rest.
    fn after_input(&mut self, commands: &mut Vec<Command>) {
        let loaded: usize = self.conversations.values().map(|one| one.unread).sum();
        self.unread = loaded as u64 + self.memory.account.unread_not_loaded;
        self.drop_gone_hits();
        self.update_connection_state(commands);
        self.schedule_ledger_check();
    }
}

#[cfg(test)]
mod tests;
