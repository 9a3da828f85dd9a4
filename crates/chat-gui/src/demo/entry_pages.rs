//! The pages before the chat.
//!
//! Deliberately absent: anything that is shown to somebody who is signed in.

use crate::backend::event::BackendEvent;
use crate::demo::DemoPage;
use crate::demo::stage::{Stage, addresses};
use crate::intention::UserAction;
use crate::model::failure::Failure;
use crate::model::names::Password;
use crate::model::sign_in::LocalCluster;
use crate::views::ViewState;

/// All of them.
pub(super) const PAGES: &[DemoPage] = &[
    DemoPage::new("first-run", Stage::new),
    DemoPage::new("first-run-alone", alone),
    DemoPage::new("first-run-stopped", stopped),
    DemoPage::new("first-run-untrusted", untrusted),
    DemoPage::new("first-run-failed", no_server),
    DemoPage::new("sign-in", Stage::with_servers).typed(sign_in_form),
    DemoPage::new("sign-in-failed", wrong_password).typed(sign_in_form),
    DemoPage::new("sign-in-busy", signing_in).typed(sign_in_form),
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

fn alone() -> Stage {
    let mut stage = Stage::new();
    stage.tell(BackendEvent::LocalCluster(LocalCluster::Absent));
    stage
}

fn stopped() -> Stage {
    let mut stage = Stage::new();
    stage.tell(BackendEvent::LocalCluster(LocalCluster::Stopped {
        addresses: addresses(),
    }));
    stage
}

fn untrusted() -> Stage {
    let mut stage = Stage::new();
    stage.tell(BackendEvent::LocalCluster(LocalCluster::Untrusted {
        why: "/tmp/.cluster/cluster.json belongs to another user".to_owned(),
    }));
    stage
}

fn no_server() -> Stage {
    let mut stage = alone();
    stage.act(UserAction::UseServers("10.0.0.7:7401".to_owned()));
    stage.tell(BackendEvent::ServersRefused(Failure::NoServer {
        addresses: vec!["10.0.0.7:7401".to_owned()],
    }));
    stage
}

fn signing_in() -> Stage {
    let mut stage = Stage::with_servers();
    stage.act(UserAction::SignIn {
        name: "Alice".to_owned(),
        password: Password::new("correct horse"),
    });
    stage
}

fn wrong_password() -> Stage {
    let mut stage = signing_in();
    stage.tell(BackendEvent::SignInFailed(Failure::WrongCredentials));
    stage
}

fn name_taken() -> Stage {
    let mut stage = Stage::with_servers();
    stage.act(UserAction::SignUp {
        name: "Alice".to_owned(),
        password: Password::new("correct horse"),
        repeated: Password::new("correct horse"),
    });
    stage.tell(BackendEvent::SignInFailed(Failure::NameTaken));
    stage
}

fn other_version() -> Stage {
    let mut stage = signing_in();
    stage.tell(BackendEvent::SignInFailed(Failure::OtherVersion {
        theirs: Some("0.9.3".to_owned()),
    }));
    stage
}
