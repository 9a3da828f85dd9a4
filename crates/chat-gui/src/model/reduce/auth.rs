//! Servers, signing in, up and out, and the account as a whole.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::action::UserAction;
use crate::model::command::Command;
use crate::model::connection::Connection;
use crate::model::event::{BackendEvent, SignedOut, Started, StoredAccount};
use crate::model::failure::Failure;
use crate::model::ledger::Ledger;
use crate::model::marks::ChatMarks;
use crate::model::message::CopyPlace;
use crate::model::names::{Name, Password, RequestId};
use crate::model::navigation::{Dialog, Screen};
use crate::model::search::PeopleSearch;
use crate::model::sign_in::{Account, AccountStep, LocalCluster, SignIn, SignInStep};
use crate::model::{InboxFreshness, Model};

impl Model {
    pub(super) fn start(&mut self, started: Started, commands: &mut Vec<Command>) {
        self.preferences = started.preferences;
        self.servers.addresses = started.addresses;
        self.sign_in.remembered = started.remembered;
        if started.resuming {
            self.sign_in.busy = Some(SignInStep::Resuming);
        }
        self.screen = if self.servers.addresses.is_empty() {
            Screen::FirstRun
        } else {
            Screen::SignIn
        };
        commands.push(Command::FindLocalCluster);
    }

    pub(super) fn handle_auth_action(&mut self, action: UserAction, commands: &mut Vec<Command>) {
        match action {
            UserAction::FindLocalCluster => {
                self.servers.local = LocalCluster::Searching;
                commands.push(Command::FindLocalCluster);
            }
            UserAction::UseServers(text) => self.use_servers(&text, commands),
            UserAction::UseLocalCluster => {
                if let LocalCluster::Running { addresses } = self.servers.local.clone() {
                    self.try_servers(addresses, commands);
                }
            }
            UserAction::ChooseServers if self.account.is_none() => {
                self.servers.failure = None;
                self.show(Screen::FirstRun, commands);
            }
            UserAction::SignIn { name, password } => self.begin_sign_in(&name, password, commands),
            UserAction::SignUp {
                name,
                password,
                repeated,
            } => self.begin_sign_up(&name, password, &repeated, commands),
            UserAction::SignOut if self.begin_account_step(AccountStep::SigningOut) => {
                self.delete_now(None, commands);
                self.save_all_drafts(commands);
                commands.push(Command::SignOut);
            }
            UserAction::DeleteAccount { typed_name } => {
                let name = self.account.as_ref().map(|account| account.name.clone());
                if name.is_some_and(|name| *name == *typed_name)
                    && self.begin_account_step(AccountStep::Deleting)
                {
                    commands.push(Command::DeleteAccount);
                }
            }
            UserAction::ChangePassword {
                password,
                new_password,
                repeated,
            } => self.begin_password_change(password, new_password, &repeated, commands),
            _ => {}
        }
    }

    pub(super) fn handle_auth_event(&mut self, event: BackendEvent) {
        match event {
            BackendEvent::LocalCluster(local) => self.servers.local = local,
            BackendEvent::ServersChosen(addresses) => {
                self.servers.busy = false;
                self.servers.failure = None;
                self.servers.addresses = addresses;
                self.sign_in.failure = None;
                if self.screen == Screen::FirstRun {
                    self.screen = Screen::SignIn;
                }
            }
            BackendEvent::ServersRefused(why) => {
                self.servers.busy = false;
                self.servers.failure = Some(why);
            }
            BackendEvent::SignedIn(stored) => self.signed_in(stored),
            BackendEvent::SignInFailed(why) => {
                // It is not known whether the account was created: the same request finds out.
                if !why.may_pass() {
                    self.memory.sign_up = None;
                }
                self.sign_in.busy = None;
                self.sign_in.failure = Some(why);
            }
            BackendEvent::SignedOut(why) => self.signed_out(why),
            BackendEvent::AccountFailed(why) => {
                if !why.may_pass() {
                    self.memory.password_change = None;
                }
                if let Some(account) = &mut self.account {
                    account.busy = None;
                    account.failure = Some(why);
                }
            }
            BackendEvent::PasswordChanged => {
                self.memory.password_change = None;
                // The task that checks has ended with the session.
                self.ledger.checking = None;
                if let Some(account) = &mut self.account {
                    account.busy = None;
                    account.failure = None;
                }
                self.dialog = None;
                self.confirm("The password is changed. Other devices are signed out.");
            }
            _ => {}
        }
    }

    fn use_servers(&mut self, text: &str, commands: &mut Vec<Command>) {
        let addresses: Vec<String> = text
            .split([',', ' ', '\n', '\t', ';'])
            .filter(|address| !address.is_empty())
            .map(str::to_owned)
            .collect();
        if addresses.is_empty() {
            self.servers.failure = Some(Failure::Incomplete("Enter an address."));
            return;
        }
        self.try_servers(addresses, commands);
    }

    fn try_servers(&mut self, addresses: Vec<String>, commands: &mut Vec<Command>) {
        if !self.servers.busy && self.account.is_none() {
            self.servers.busy = true;
            self.servers.failure = None;
            commands.push(Command::UseServers(addresses));
        }
    }

    fn begin_sign_in(&mut self, name: &str, password: Password, commands: &mut Vec<Command>) {
        if let Some(name) = self.check_credentials(name, &password) {
            self.sign_in.busy = Some(SignInStep::SigningIn);
            commands.push(Command::SignIn { name, password });
        }
    }

    fn begin_sign_up(
        &mut self,
        name: &str,
        password: Password,
        repeated: &Password,
        commands: &mut Vec<Command>,
    ) {
        let Some(name) = self.check_credentials(name, &password) else {
            return;
        };
        if password != *repeated {
            self.sign_in.failure = Some(Failure::Incomplete("The passwords don't match."));
            return;
        }
        let again = self.memory.sign_up.take();
        let request_id = match again {
            Some((same, proof, id)) if same == name && proof == password => id,
            _ => RequestId(self.ids.next_id()),
        };
        self.memory.sign_up = Some((name.clone(), password.clone(), request_id));
        self.sign_in.busy = Some(SignInStep::SigningUp);
        commands.push(Command::SignUp {
            name,
            password,
            request_id,
        });
    }

    /// Checks what can be checked without a request.
    fn check_credentials(&mut self, name: &str, password: &Password) -> Option<Name> {
        if self.sign_in.busy.is_some() || self.account.is_some() {
            return None;
        }
        let name = name.trim();
        let missing = match (name.is_empty(), password.reveal().is_empty()) {
            (true, _) => Some("Enter a name."),
            (false, true) => Some("Enter a password."),
            (false, false) => None,
        };
        self.sign_in.failure = missing.map(Failure::Incomplete);
        missing.is_none().then(|| Name::new(name))
    }

    fn begin_password_change(
        &mut self,
        password: Password,
        new_password: Password,
        repeated: &Password,
        commands: &mut Vec<Command>,
    ) {
        let wrong = match () {
            () if password.reveal().is_empty() => Some("Enter your current password."),
            () if new_password.reveal().is_empty() => Some("Enter a new password."),
            () if new_password != *repeated => Some("The passwords don't match."),
            () => None,
        };
        if let (Some(wrong), Some(account)) = (wrong, &mut self.account) {
            account.failure = Some(Failure::Incomplete(wrong));
            return;
        }
        if !self.begin_account_step(AccountStep::ChangingPassword) {
            return;
        }
        let again = self.memory.password_change.take();
        let request_id = match again {
            Some((old, new, id)) if old == password && new == new_password => id,
            _ => RequestId(self.ids.next_id()),
        };
        let change = (password.clone(), new_password.clone(), request_id);
        self.memory.password_change = Some(change);
        commands.push(Command::ChangePassword {
            password,
            new_password,
            request_id,
        });
    }

    fn begin_account_step(&mut self, step: AccountStep) -> bool {
        let Some(account) = &mut self.account else {
            return false;
        };
        let is_free = account.busy.is_none();
        if is_free {
            account.busy = Some(step);
            account.failure = None;
        }
        is_free
    }

    fn signed_in(&mut self, stored: StoredAccount) {
        self.forget_account();
        self.sign_in = SignIn::default();
        self.sign_in.remembered = Some(stored.name.clone());
        self.cluster.of_account = Some(stored.cluster_id);
        self.account = Some(Account {
            name: stored.name,
            busy: None,
            failure: None,
        });
        for (peer, draft) in stored.drafts {
            let conversation = self.conversations.entry(peer).or_default();
            conversation.draft.text = draft.text.to_string();
            conversation.draft.reply_to = draft.reply_to;
            conversation.draft.revision += 1;
        }
        for peer in stored.muted {
            self.conversations.entry(peer).or_default().muted = true;
        }
        for copy in &stored.sent {
            let check = &mut self.memory.account.ledger_check;
            check.acknowledge(copy.id, copy.commit);
        }
        for id in stored.deleted {
            self.memory.account.message_index.forget(id);
        }
        let sent = stored.sent.into_iter();
        self.insert_messages(sent.map(|copy| copy.shown(CopyPlace::Device)).collect());
        self.show_copy(stored.inbox);
        for outgoing in &stored.outbox {
            // It is not known how far an attempt got before the window was closed.
            self.insert_outgoing(outgoing, true);
        }
        self.marks = stored.marks;
        self.restore_open();
        let all: Vec<Name> = self.conversations.keys().cloned().collect();
        self.reorder(&all);
        self.connection = Connection::Connecting {
            since: self.now.moment,
        };
        self.loading = true;
        self.screen = Screen::Chat;
    }

    fn signed_out(&mut self, why: SignedOut) {
        if self.account.is_none() && self.sign_in.busy.is_none() {
            return;
        }
        self.forget_account();
        self.sign_in.busy = None;
        self.sign_in.failure = match why {
            SignedOut::SessionEnded => Some(Failure::SessionEnded),
            SignedOut::Wanted | SignedOut::AccountDeleted => None,
        };
        match why {
            SignedOut::AccountDeleted => {
                self.sign_in.remembered = None;
                self.confirm("The account and everything in it is deleted.");
            }
            SignedOut::Wanted => self.confirm("You are signed out."),
            SignedOut::SessionEnded => {}
        }
        self.screen = Screen::SignIn;
    }

    /// Nothing of an account stays in memory: another person may use the window next.
    fn forget_account(&mut self) {
        self.session_number += 1;
        self.account = None;
        self.cluster.of_account = None;
        self.dialog = None;
        self.conversations = BTreeMap::new();
        self.order = Vec::new();
        self.open = None;
        self.marks = ChatMarks::default();
        self.selection = BTreeSet::new();
        self.more_to_load = false;
        self.loading = false;
        self.inbox_state = InboxFreshness::default();
        self.deletions = VecDeque::new();
        self.outbox = VecDeque::new();
        self.message_search = None;
        self.people = PeopleSearch::default();
        self.notices = VecDeque::new();
        self.recovery = None;
        self.ledger = Ledger::default();
        self.memory.account = crate::model::memory::AccountMemory::default();
        self.memory.sign_up = None;
        self.memory.password_change = None;
    }

    /// Closes the window, unless messages wait to be sent: then the person decides. Asked a second
    /// time it closes.
    pub(super) fn ask_to_quit(&mut self, commands: &mut Vec<Command>) {
        let waits = self.outbox.iter().any(|line| line.waiting);
        if waits && self.dialog != Some(Dialog::Quit) {
            self.dialog = Some(Dialog::Quit);
        } else {
            self.quit(commands);
        }
    }

    pub(super) fn quit(&mut self, commands: &mut Vec<Command>) {
        if !std::mem::replace(&mut self.closing, true) {
            self.delete_now(None, commands);
            self.save_all_drafts(commands);
            commands.push(Command::Quit);
        }
    }
}
