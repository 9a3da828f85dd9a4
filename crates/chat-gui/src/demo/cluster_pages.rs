//! The page about the cluster, at quiet times and at others.
//!
//! Deliberately absent: real servers; these ones do what the story says.

use crate::backend::event::{BackendEvent, Link};
use crate::demo::DemoPage;
use crate::demo::content::sign_alice_in;
use crate::demo::stage::Stage;
use crate::intention::{Dialog, Screen, UserAction};
use crate::model::cluster::ChaosDeed;
use crate::model::failure::Failure;
use crate::model::ledger::Ledger;
use crate::model::names::{Name, NodeId};

/// All of them.
pub(super) const PAGES: &[DemoPage] = &[
    DemoPage::new("cluster", quiet),
    DemoPage::new("cluster-failover", failover),
    DemoPage::new("cluster-recovered", recovered),
    DemoPage::new("cluster-remote", remote),
    DemoPage::new("cluster-not-asked", not_asked),
    DemoPage::new("cluster-kill", kill),
];

/// How often the servers are asked in the story, in milliseconds.
const POLL: u64 = 250;

fn begin() -> Stage {
    let mut stage = Stage::with_servers();
    sign_alice_in(&mut stage, 30.0);
    stage.act(UserAction::Show(Screen::Cluster));
    pass(&mut stage, 95_000);
    stage
}

/// Time passes in which nothing happens.
fn pass(stage: &mut Stage, milliseconds: u64) {
    stage.wait(milliseconds - POLL);
    stage.poll(POLL);
    stage.wait(POLL);
    stage.poll(POLL);
}

fn lose_leader(stage: &mut Stage) {
    let Some((leader, term)) = stage.leader else {
        return;
    };
    let deed = ChaosDeed::Kill(NodeId(leader));
    stage.act(UserAction::Chaos(deed));
    stage.tell(BackendEvent::ChaosDone {
        deed,
        answer: format!("node {leader} was killed"),
    });
    stage.up[usize::try_from(leader - 1).unwrap_or(0)] = false;
    stage.leader = None;
    stage.last_term = term;
    stage.wait(70);
    stage.tell(BackendEvent::Link(Link::Broken(Failure::NoMajority)));
    stage.poll(180);
}

/// The next node stands for election.
fn stand(stage: &mut Stage, candidate: u64, after: u64) {
    stage.wait(after);
    stage.candidate = Some((candidate, stage.last_term + 1));
    stage.poll(after);
}

/// It wins, commits its first entry, and messages can be sent again.
fn win(stage: &mut Stage, after: u64) {
    stage.wait(after);
    stage.leader = stage.candidate.take();
    stage.poll(after);
    stage.wait(40);
    stage.index += 3;
    stage.poll(40);
    stage.wait(30);
    stage.link_up();
    stage.index += 1;
    stage.poll(30);
}

fn quiet() -> Stage {
    let mut stage = begin();
    lose_leader(&mut stage);
    stand(&mut stage, 2, 190);
    win(&mut stage, 70);
    pass(&mut stage, 24_000);
    stage.restarted(0);
    stage.poll(POLL);
    pass(&mut stage, 140_000);
    lose_leader(&mut stage);
    stand(&mut stage, 3, 260);
    win(&mut stage, 90);
    pass(&mut stage, 31_000);
    stage.restarted(1);
    stage.poll(POLL);
    pass(&mut stage, 120_000);
    stage.model.ledger = ledger(&stage);
    pass(&mut stage, 9_000);
    stage
}

fn ledger(stage: &Stage) -> Ledger {
    Ledger {
        acknowledged: 214,
        stored: 214,
        shown: 214,
        inbox_stored: 188,
        inbox_shown: 188,
        checked_at: Some(stage.now().moment),
        ..Ledger::default()
    }
}

fn failover() -> Stage {
    let mut stage = quiet();
    lose_leader(&mut stage);
    stage.act(UserAction::Send {
        peer: Name::new("Benjamin"),
        text: "Written while nobody leads".to_owned(),
    });
    stand(&mut stage, 1, 220);
    stage.wait(260);
    stage
}

fn recovered() -> Stage {
    let mut stage = failover();
    win(&mut stage, 30);
    stage.wait(700);
    stage.poll(700);
    stage
}

/// Servers that are not on this machine cannot be killed from here.
fn remote() -> Stage {
    let mut stage = begin();
    stage.tell(BackendEvent::Processes(None));
    stage
}

fn not_asked() -> Stage {
    let mut stage = Stage::with_servers();
    stage.tell(BackendEvent::SignedIn(
        crate::backend::event::StoredAccount {
            name: Name::new("Alice"),
            drafts: std::collections::BTreeMap::new(),
            outbox: Vec::new(),
            sent: Vec::new(),
            muted: std::collections::BTreeSet::new(),
        },
    ));
    stage.act(UserAction::Show(Screen::Cluster));
    stage
}

fn kill() -> Stage {
    let mut stage = quiet();
    let deed = ChaosDeed::Kill(NodeId(3));
    stage.act(UserAction::OpenDialog(Dialog::Chaos(deed)));
    stage
}
