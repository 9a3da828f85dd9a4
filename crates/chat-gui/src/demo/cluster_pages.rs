//! The page about the cluster, at quiet times and at others.
//!
//! Deliberately absent: real servers; these follow the script of the page.

use crate::demo::demo_world::{AddedNode, CLUSTER_ID, DemoWorld};
use crate::demo::page::DemoPage;
use crate::demo::sign_in::sign_alice_in;
use crate::model::action::UserAction;
use crate::model::chaos::FaultAction;
use crate::model::event::{BackendEvent, Link};
use crate::model::failure::Failure;
use crate::model::members_action::MembersAction;
use crate::model::names::{Name, NodeId};
use crate::model::navigation::{Dialog, Screen};

/// All of them.
pub(super) const PAGES: &[DemoPage] = &[
    DemoPage::new("cluster", quiet),
    DemoPage::new("cluster-failover", failover),
    DemoPage::new("cluster-recovered", recovered),
    DemoPage::new("cluster-remote", remote),
    DemoPage::new("cluster-dead", dead),
    DemoPage::new("cluster-not-polled", not_polled),
    DemoPage::new("cluster-kill", kill),
    DemoPage::new("cluster-learner", learner),
    DemoPage::new("cluster-left", left),
    DemoPage::new("cluster-add-node", add_node),
    DemoPage::new("cluster-remove-node", remove_node),
    DemoPage::new("cluster-removing", removing),
];

/// How often the servers are polled in the story, in milliseconds.
const POLL: u64 = 250;

fn begin() -> DemoWorld {
    let mut world = DemoWorld::with_servers();
    sign_alice_in(&mut world, 30.0);
    world.act(UserAction::Show(Screen::Cluster));
    pass(&mut world, 95_000);
    world
}

/// Time passes in which nothing happens.
fn pass(world: &mut DemoWorld, milliseconds: u64) {
    world.wait(milliseconds - POLL);
    world.poll(POLL);
    world.wait(POLL);
    world.poll(POLL);
}

fn lose_leader(world: &mut DemoWorld) {
    let Some((leader, term)) = world.leader else {
        return;
    };
    let action = FaultAction::Kill(NodeId(leader));
    world.act(UserAction::Chaos(action));
    world.receive(BackendEvent::FaultActionCompleted {
        action,
        answer: format!("node {leader} was killed"),
    });
    world.up[usize::try_from(leader - 1).unwrap_or(0)] = false;
    world.leader = None;
    world.last_term = term;
    world.wait(70);
    world.receive(BackendEvent::Link(Link::Broken(Failure::NoMajority)));
    world.poll(180);
}

/// The next node campaigns.
fn campaign(world: &mut DemoWorld, candidate: u64, after: u64) {
    world.wait(after);
    world.candidate = Some((candidate, world.last_term + 1));
    world.poll(after);
}

/// It wins, commits its first entry, and messages can be sent again.
fn win(world: &mut DemoWorld, after: u64) {
    world.wait(after);
    world.leader = world.candidate.take();
    world.poll(after);
    world.wait(40);
    world.index += 3;
    world.poll(40);
    world.wait(30);
    world.link_up();
    world.index += 1;
    world.poll(30);
}

fn quiet() -> DemoWorld {
    let mut world = begin();
    lose_leader(&mut world);
    campaign(&mut world, 2, 190);
    win(&mut world, 70);
    pass(&mut world, 24_000);
    world.restarted(0);
    world.poll(POLL);
    pass(&mut world, 140_000);
    lose_leader(&mut world);
    campaign(&mut world, 3, 260);
    win(&mut world, 90);
    pass(&mut world, 31_000);
    world.restarted(1);
    world.poll(POLL);
    pass(&mut world, 120_000);
    world.act(UserAction::CheckLedger);
    pass(&mut world, 9_000);
    world
}

fn failover() -> DemoWorld {
    let mut world = quiet();
    lose_leader(&mut world);
    world.act(UserAction::Send {
        peer: Name::new("Benjamin"),
        text: "Written while there is no leader".to_owned(),
    });
    campaign(&mut world, 1, 220);
    world.wait(260);
    world
}

fn recovered() -> DemoWorld {
    let mut world = failover();
    win(&mut world, 30);
    world.wait(700);
    world.poll(700);
    world
}

/// Servers that are not on this machine cannot be killed from here.
fn remote() -> DemoWorld {
    let mut world = begin();
    world.receive(BackendEvent::Processes(None));
    world
}

/// The window was opened after one node had died and another one had been isolated.
fn dead() -> DemoWorld {
    let mut world = DemoWorld::with_servers();
    world.up[0] = false;
    world.leader = Some((2, 8));
    world.isolated = Some(3);
    sign_alice_in(&mut world, 30.0);
    world.act(UserAction::Show(Screen::Cluster));
    pass(&mut world, 9_000);
    world
}

fn not_polled() -> DemoWorld {
    let mut world = DemoWorld::with_servers();
    world.receive(BackendEvent::SignedIn(crate::model::event::StoredAccount {
        name: Name::new("Alice"),
        cluster_id: CLUSTER_ID.to_owned(),
        drafts: std::collections::BTreeMap::new(),
        outbox: Vec::new(),
        sent: Vec::new(),
        muted: std::collections::BTreeSet::new(),
        marks: crate::model::marks::ChatMarks::default(),
        inbox: crate::model::event::StoredInbox::default(),
        deleted: Vec::new(),
    }));
    world.act(UserAction::Show(Screen::Cluster));
    world
}

/// A fourth node was added, and has received a part of the log.
fn learner() -> DemoWorld {
    let mut world = begin();
    world.added = Some(AddedNode::Learner(345));
    world.poll(POLL);
    world
}

/// It was removed again, before it voted.
fn left() -> DemoWorld {
    let mut world = learner();
    world.wait(POLL);
    world.added = Some(AddedNode::Left);
    world.poll(POLL);
    world
}

fn add_node() -> DemoWorld {
    let mut world = begin();
    world.act(UserAction::OpenDialog(Dialog::Members(MembersAction::Add)));
    world
}

fn remove_node() -> DemoWorld {
    let mut world = begin();
    let action = MembersAction::Remove(NodeId(3));
    world.act(UserAction::OpenDialog(Dialog::Members(action)));
    world
}

fn removing() -> DemoWorld {
    let mut world = learner();
    world.act(UserAction::ChangeMembers(MembersAction::Remove(NodeId(4))));
    world
}

fn kill() -> DemoWorld {
    let mut world = quiet();
    let action = FaultAction::Kill(NodeId(3));
    world.act(UserAction::OpenDialog(Dialog::Chaos(action)));
    world
}
