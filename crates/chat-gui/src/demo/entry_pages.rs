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

/// All of them.
pub(super) const PAGES: &[DemoPage] = &[
    DemoPage {
        name: "first-run",
        build: Stage::new,
    },
    DemoPage {
        name: "first-run-alone",
        build: alone,
    },
    DemoPage {
        name: "first-run-stopped",
        build: stopped,
    },
    DemoPage {
        name: "first-run-failed",
        build: no_server,
    },
    DemoPage {
        name: "sign-in",
        build: Stage::with_servers,
    },
    DemoPage {
        name: "sign-in-failed",
        build: wrong_password,
    },
    DemoPage {
        name: "sign-in-busy",
        build: signing_in,
    },
    DemoPage {
        name: "sign-up-taken",
        build: name_taken,
    },
    DemoPage {
        name: "sign-in-other-version",
        build: other_version,
    },
];

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
