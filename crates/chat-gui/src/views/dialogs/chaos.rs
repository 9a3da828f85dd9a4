//! Before something is done to the cluster: what it does, and what to expect.
//!
//! Deliberately absent: doing it.

use egui::{TextStyle, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::chaos::FaultAction;
use crate::model::cluster::{Cluster, NodeCard};
use crate::model::membership::MemberState;
use crate::model::names::NodeId;
use crate::theme::{palette, space};
use crate::views::control::buttons::{button, danger_button};
use crate::views::control::text::with_code;
use crate::views::dialogs::buttons::buttons_ui;
use crate::views::state::{Focus, ViewState};

/// What to expect, and a button that does it.
pub fn chaos_ui(
    ui: &mut Ui,
    model: &Model,
    action: FaultAction,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    let sentence = capitalised(&action.sentence());
    ui.label(expectation(action, &model.cluster));
    ui.add_space(space::TINY);
    let text = "This affects only the cluster of `cargo xtask cluster up` on this machine.";
    let text = with_code(ui, text, &TextStyle::Small, palette(ui).muted);
    ui.label(text);
    let wants_focus = state.takes_focus(Focus::Dialog);
    buttons_ui(ui, |ui| {
        let go = danger_button(ui, &sentence, true);
        if wants_focus {
            go.request_focus();
        }
        if go.clicked() {
            actions.push(UserAction::Back);
            actions.push(UserAction::Chaos(action));
        }
        if button(ui, "Cancel").clicked() {
            actions.push(UserAction::Back);
        }
    });
}

/// The dialog's title.
pub(super) fn question(action: FaultAction) -> String {
    format!("{}?", capitalised(&action.sentence()))
}

/// What will be seen when this is done, in the present state of the cluster.
pub fn expectation(action: FaultAction, cluster: &Cluster) -> String {
    match action {
        FaultAction::Kill(node) => loss(node, cluster, "ends at once, as in a crash"),
        FaultAction::Pause(node) => loss(node, cluster, "freezes, and does not notice it"),
        FaultAction::Isolate(node) => {
            loss(node, cluster, "continues to run, but reaches no other node")
        }
        FaultAction::Resume(_) => {
            "It continues where it was, notices that time has passed, and catches up with the leader."
                .to_owned()
        }
        FaultAction::Restart(node) if leads(node, cluster) => {
            "The leader transfers its leadership if it can, and is back within seconds.".to_owned()
        }
        FaultAction::Restart(_) | FaultAction::StartDead => {
            "It reads its disk, fetches what it missed from the leader, and takes part again."
                .to_owned()
        }
        FaultAction::Reconnect(_) | FaultAction::ReconnectAll => {
            "It reaches the others again. If it was an outdated leader, it becomes a follower."
                .to_owned()
        }
    }
}

/// What happens when the others lose this node.
fn loss(node: NodeId, cluster: &Cluster, how: &str) -> String {
    let votes = |card: &&NodeCard| match cluster.member_state(card) {
        MemberState::Voter | MemberState::Unknown => true,
        MemberState::Learner { .. } | MemberState::Left | MemberState::Outside => false,
    };
    let voters: Vec<&NodeCard> = cluster.nodes.iter().filter(votes).collect();
    let all = voters.len();
    let is_voter = voters.iter().any(|card| card.id == Some(node));
    let left = voters
        .iter()
        .filter(|card| card.is_up() && card.id != Some(node))
        .count();
    let majority = left > all / 2;
    let after = if !majority {
        "That is not a majority: nothing can be sent until a node is back. What you write is queued here, and nothing is lost."
    } else if leads(node, cluster) {
        "It is the leader, so the others elect a new one in about a second. What you write meanwhile is queued, and then sent exactly once."
    } else {
        "That is a majority: you will notice nothing."
    };
    let vote = match is_voter {
        true => "",
        false => " It does not vote.",
    };
    format!("The node {how}.{vote} {left} of {all} voters remain. {after}")
}

fn leads(node: NodeId, cluster: &Cluster) -> bool {
    cluster.leader().is_some_and(|(leader, _)| leader == node)
}

/// With a capital first letter.
pub fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
