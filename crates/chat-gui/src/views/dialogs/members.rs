//! Before a node is added to a local cluster or removed: what happens, and what to expect.
//!
//! Deliberately absent: doing it.

use egui::{TextStyle, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::cluster::Cluster;
use crate::model::members_action::MembersAction;
use crate::model::membership::{
    MemberCounts, MemberState, counted, failures_survived_by, survived_words,
};
use crate::model::names::NodeId;
use crate::theme::{palette, space};
use crate::views::control::buttons::{button, danger_button, primary_button};
use crate::views::control::surfaces::{Tone, message_box};
use crate::views::control::text::with_code;
use crate::views::dialogs::buttons::buttons_ui;
use crate::views::dialogs::chaos::capitalised;
use crate::views::state::{Focus, ViewState};

/// Fewer voters than this survive no failure.
const SURVIVING_VOTERS_MIN: usize = 3;

/// What to expect, and a button that does it.
pub(super) fn members_ui(
    ui: &mut Ui,
    model: &Model,
    action: MembersAction,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    ui.label(expectation(action, &model.cluster));
    ui.add_space(space::TINY);
    let text = "This affects only the cluster of `cargo xtask cluster up` on this machine.";
    let text = with_code(ui, text, &TextStyle::Small, palette(ui).muted);
    ui.label(text);
    let obstacle = model.cluster.obstacle(action);
    if let Some(obstacle) = &obstacle {
        message_box(ui, Tone::Warn, obstacle, "");
    }
    let wants_focus = state.takes_focus(Focus::Dialog);
    buttons_ui(ui, |ui| {
        let (is_possible, words) = (obstacle.is_none(), button_words(action));
        let go = match action {
            MembersAction::Add => primary_button(ui, &words, is_possible),
            MembersAction::Remove(_) => danger_button(ui, &words, is_possible),
        };
        let cancel = button(ui, "Cancel");
        // What cannot be undone is not what Enter does.
        let first = match action {
            MembersAction::Add => &go,
            MembersAction::Remove(_) => &cancel,
        };
        if wants_focus {
            first.request_focus();
        }
        if go.clicked() {
            actions.push(UserAction::Back);
            actions.push(UserAction::ChangeMembers(action));
        }
        if cancel.clicked() {
            actions.push(UserAction::Back);
        }
    });
}

fn button_words(action: MembersAction) -> String {
    match action {
        MembersAction::Add => "Add a node".to_owned(),
        MembersAction::Remove(node) => format!("Remove node {}", node.0),
    }
}

/// The dialog's title.
pub(super) fn question(action: MembersAction) -> String {
    format!("{}?", capitalised(&action.sentence()))
}

/// What happens when this is done, in the present state of the cluster.
pub fn expectation(action: MembersAction, cluster: &Cluster) -> String {
    match action {
        MembersAction::Add => addition(cluster),
        MembersAction::Remove(node) => removal(node, cluster),
    }
}

fn addition(cluster: &Cluster) -> String {
    let joins = "The node receives all messages and then votes.";
    let Some(MemberCounts { voters, learners }) = cluster.member_counts() else {
        return format!("{joins} How many voters there are now is not known.");
    };
    // A learner votes by itself, so that it counts as well.
    let before = voters + learners;
    let after = before + 1;
    let survived = failures_survived_by(after);
    if survived == failures_survived_by(before) {
        return format!("{joins} {after} voters survive no more failures than {before}.");
    }
    let survived = counted(survived, "failure");
    format!("{joins} {after} voters survive {survived}.")
}

fn removal(node: NodeId, cluster: &Cluster) -> String {
    let number = node.0;
    let state = cluster.state_of(node);
    if state == MemberState::Left {
        return format!("Node {number} has left the cluster. Its data on this machine is deleted.");
    }
    let leads = cluster.leader().is_some_and(|(leader, _)| leader == node);
    let leader = match leads {
        true => " It leads, and another node takes over.",
        false => "",
    };
    let leaves = format!(
        "Node {number} leaves the cluster, and its data on this machine is deleted.{leader}"
    );
    let Some(MemberCounts { voters, .. }) = cluster.member_counts() else {
        return format!("{leaves} How many voters are left then is not known.");
    };
    match state {
        MemberState::Learner { .. } => {
            return format!("{leaves} It does not vote.");
        }
        MemberState::Voter => {}
        MemberState::Unknown | MemberState::Left | MemberState::Outside => {
            return format!("{leaves} Whether it votes is not known.");
        }
    }
    let left = voters.saturating_sub(1);
    let survived = survived_words(failures_survived_by(left));
    let left_words = counted(left, "voter");
    let verb = match left {
        1 => "is",
        _ => "are",
    };
    if left < SURVIVING_VOTERS_MIN {
        return format!("{leaves} {left_words} {verb} left, and {survived} survived then.");
    }
    format!("{leaves} {left_words} {verb} left: while all of them run, {survived} survived.")
}
