//! In and out.

use super::{Window, page, received, stored};
use crate::model::action::UserAction;
use crate::model::command::Command;
use crate::model::connection::Connection;
use crate::model::event::{BackendEvent, SignedOut, Started};
use crate::model::failure::Failure;
use crate::model::names::{Name, Password};
use crate::model::navigation::{Dialog, Screen};
use crate::model::sign_in::{LocalCluster, SignInStep};

fn sign_up(name: &str, password: &str) -> UserAction {
    UserAction::SignUp {
        name: name.to_owned(),
        password: Password::new(password),
        repeated: Password::new(password),
    }
}

#[test]
fn first_start_shows_the_servers_page_with_the_local_cluster() {
    let mut window = Window::new();
    let commands = window.receive(BackendEvent::Started(Started::default()));
    assert_eq!(commands, [Command::FindLocalCluster]);
    assert_eq!(window.model.screen, Screen::FirstRun);
    let addresses = vec!["127.0.0.1:7401".to_owned()];
    window.receive(BackendEvent::LocalCluster(LocalCluster::Running {
        addresses: addresses.clone(),
    }));
    let commands = window.act(UserAction::UseLocalCluster);
    assert_eq!(commands, [Command::UseServers(addresses.clone())]);
    window.receive(BackendEvent::ServersChosen(addresses));
    assert_eq!(window.model.screen, Screen::SignIn);
    window.act(UserAction::ChooseServers);
    let typed = UserAction::UseServers("a:1, b:2\tc:3".to_owned());
    let commands = window.act(typed);
    let expected = ["a:1", "b:2", "c:3"].map(str::to_owned).to_vec();
    assert_eq!(commands, [Command::UseServers(expected)]);
    window.receive(BackendEvent::ServersRefused(Failure::NoServer {
        addresses: vec!["a:1".to_owned()],
    }));
    let failure = window.model.servers.failure.clone().unwrap();
    assert!(failure.sentence().contains("a:1"));
    assert_eq!(window.model.screen, Screen::FirstRun);
}

#[test]
fn incomplete_form_is_rejected_without_a_request() {
    let mut window = Window::new();
    for (name, password, repeated) in [("", "p", "p"), ("alice", "", ""), ("alice", "p", "q")] {
        let commands = window.act(UserAction::SignUp {
            name: name.to_owned(),
            password: Password::new(password),
            repeated: Password::new(repeated),
        });
        assert_eq!(commands, [], "{name} {password} {repeated}");
        assert!(window.model.sign_in.failure.is_some());
    }
}

#[test]
fn sign_up_with_unknown_outcome_is_retried_with_the_same_request_id() {
    let mut window = Window::new();
    let request = |commands: Vec<Command>| match commands.as_slice() {
        [Command::SignUp { request_id, .. }] => *request_id,
        other => panic!("{other:?}"),
    };
    let first = request(window.act(sign_up("alice", "p")));
    assert_eq!(window.model.sign_in.busy, Some(SignInStep::SigningUp));
    assert_eq!(window.act(sign_up("alice", "p")), [], "one at a time");
    window.receive(BackendEvent::SignInFailed(Failure::OutcomeUnknown));
    assert_eq!(request(window.act(sign_up("alice", "p"))), first);
    window.receive(BackendEvent::SignInFailed(Failure::OutcomeUnknown));
    assert_ne!(request(window.act(sign_up("alice", "q"))), first);
    window.receive(BackendEvent::SignInFailed(Failure::NameTaken));
    assert_eq!(window.model.sign_in.failure, Some(Failure::NameTaken));
}

#[test]
fn sign_out_clears_everything_of_the_account() {
    let mut window = Window::of_alice();
    window.receive(page(vec![received(9, "bob", false)], false));
    window.act(UserAction::OpenConversation(Name::new("bob")));
    window.act(UserAction::EditDraft {
        peer: Name::new("bob"),
        text: "half".to_owned(),
    });
    window.send("pending");
    let number = window.model.session_number;
    let commands = window.act(UserAction::SignOut);
    assert_eq!(commands.last(), Some(&Command::SignOut));
    window.receive(BackendEvent::SignedOut(SignedOut::Wanted));
    let model = &window.model;
    assert!(model.conversations.is_empty() && model.order.is_empty() && model.outbox.is_empty());
    assert_eq!((model.open.clone(), model.unread), (None, 0));
    assert_eq!(model.connection, Connection::Idle);
    assert_eq!(model.screen, Screen::SignIn);
    assert_eq!(model.sign_in.remembered, Some(Name::new("alice")));
    assert!(model.session_number > number, "editors forget their text");
    assert!(window.model.memory.account.message_index.len() == 0);
    // What was under way for her does not come up with the next one.
    window.receive(page(vec![received(9, "bob", false)], false));
    window.receive(BackendEvent::Arrived(received(10, "bob", false)));
    assert!(window.model.conversations.is_empty());
}

#[test]
fn account_is_deleted_only_after_its_name_was_typed() {
    let mut window = Window::of_alice();
    window.act(UserAction::OpenDialog(Dialog::DeleteAccount));
    let delete = |typed: &str| UserAction::DeleteAccount {
        typed_name: typed.to_owned(),
    };
    assert_eq!(window.act(delete("Alice")), []);
    assert_eq!(window.act(delete("alice")), [Command::DeleteAccount]);
    window.receive(BackendEvent::AccountFailed(Failure::NoMajority));
    let account = window.model.account.clone().unwrap();
    assert_eq!(
        (account.busy, account.failure),
        (None, Some(Failure::NoMajority))
    );
    window.act(delete("alice"));
    window.receive(BackendEvent::SignedOut(SignedOut::AccountDeleted));
    assert_eq!(window.model.sign_in.remembered, None);
}

#[test]
fn session_closed_elsewhere_is_reported() {
    let mut window = Window::of_alice();
    window.receive(BackendEvent::SignedOut(SignedOut::SessionEnded));
    assert_eq!(window.model.sign_in.failure, Some(Failure::SessionEnded));
    window.receive(BackendEvent::SignedIn(stored("alice")));
    assert_eq!(window.model.sign_in.failure, None);
}

#[test]
fn back_closes_the_topmost_item_first() {
    let mut window = Window::of_alice();
    window.receive(page(vec![received(9, "bob", true)], false));
    window.act(UserAction::OpenConversation(Name::new("bob")));
    window.act(UserAction::ToggleSelected(super::id(9)));
    window.act(UserAction::OpenDialog(Dialog::Shortcuts));
    window.act(UserAction::Back);
    assert_eq!(window.model.dialog, None);
    assert_eq!(window.model.selection.len(), 1);
    window.act(UserAction::Back);
    assert!(window.model.selection.is_empty());
    window.act(UserAction::Back);
    assert_eq!(window.model.open, None);
    let commands = window.act(UserAction::Show(Screen::Cluster));
    assert_eq!(commands, [Command::WatchCluster(true)]);
    let commands = window.act(UserAction::Back);
    assert_eq!(commands, [Command::WatchCluster(false)]);
    assert_eq!(window.model.screen, Screen::Chat);
}
