//! The pages before the chat.
//!
//! Deliberately absent: anything that is shown to a person who is signed in.

use crate::demo::demo_world::{DemoWorld, addresses};
use crate::demo::page::DemoPage;
use crate::model::action::UserAction;
use crate::model::event::BackendEvent;
use crate::model::failure::Failure;
use crate::model::names::Password;
use crate::model::sign_in::LocalCluster;
use crate::views::ViewState;

/// All of them.
pub(super) const PAGES: &[DemoPage] = &[
    DemoPage::new("first-run", DemoWorld::new),
    DemoPage::new("first-run-alone", alone),
    DemoPage::new("first-run-stopped", stopped),
    DemoPage::new("first-run-untrusted", untrusted),
    DemoPage::new("first-run-failed", no_server),
    DemoPage::new("sign-in", DemoWorld::with_servers).typed(sign_in_form),
    DemoPage::new("sign-in-failed", wrong_password).typed(sign_in_form),
    DemoPage::new("sign-in-busy", signing_in).typed(sign_in_form),
    DemoPage::new("sign-up", DemoWorld::with_servers).typed(sign_up_form),
    DemoPage::new("sign-up-taken", name_taken).typed(sign_up_form),
    DemoPage::new("sign-in-other-version", other_version).typed(sign_in_form),
];

fn sign_in_form(state: &mut ViewState) {
    "Alice".clone_into(&mut state.sign_in.name);
    "correct horse".clone_into(&mut state.sign_in.password);
}

fn sign_up_form(state: &mut ViewState) {
    sign_in_form(state);
    state.sign_in.creating = true;
    "correct horse".clone_into(&mut state.sign_in.repeated);
}

fn alone() -> DemoWorld {
    let mut world = DemoWorld::new();
    world.receive(BackendEvent::LocalCluster(LocalCluster::Absent));
    world
}

fn stopped() -> DemoWorld {
    let mut world = DemoWorld::new();
    world.receive(BackendEvent::LocalCluster(LocalCluster::Stopped {
        addresses: addresses(),
    }));
    world
}

fn untrusted() -> DemoWorld {
    let mut world = DemoWorld::new();
    world.receive(BackendEvent::LocalCluster(LocalCluster::Untrusted {
        why: "/tmp/.cluster/cluster.json belongs to another user".to_owned(),
    }));
    world
}

fn no_server() -> DemoWorld {
    let mut world = alone();
    world.act(UserAction::UseServers("10.0.0.7:7401".to_owned()));
    world.receive(BackendEvent::ServersRefused(Failure::NoServer {
        addresses: vec!["10.0.0.7:7401".to_owned()],
    }));
    world
}

fn signing_in() -> DemoWorld {
    let mut world = DemoWorld::with_servers();
    world.act(UserAction::SignIn {
        name: "Alice".to_owned(),
        password: Password::new("correct horse"),
    });
    world
}

fn wrong_password() -> DemoWorld {
    let mut world = signing_in();
    world.receive(BackendEvent::SignInFailed(Failure::WrongCredentials));
    world
}

fn name_taken() -> DemoWorld {
    let mut world = DemoWorld::with_servers();
    world.act(UserAction::SignUp {
        name: "Alice".to_owned(),
        password: Password::new("correct horse"),
        repeated: Password::new("correct horse"),
    });
    world.receive(BackendEvent::SignInFailed(Failure::NameTaken));
    world
}

fn other_version() -> DemoWorld {
    let mut world = signing_in();
    world.receive(BackendEvent::SignInFailed(Failure::OtherVersion {
        theirs: Some("0.9.3".to_owned()),
    }));
    world
}
