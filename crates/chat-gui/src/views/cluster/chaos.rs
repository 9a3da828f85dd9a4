//! What can be done to a local cluster: buttons on the cards, and a bar for all nodes together.
//!
//! Deliberately absent where there is no local cluster; and doing it, which is the supervisor's.

use egui::{RichText, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::chaos::{Chaos, FaultAction, ProcessCondition};
use crate::model::cluster::NodeCard;
use crate::model::members_action::MembersAction;
use crate::model::names::NodeId;
use crate::model::navigation::Dialog;
use crate::theme::{palette, space};
use crate::views::control::buttons::button_if;
use crate::views::dialogs::chaos::{capitalised, expectation};
use crate::views::dialogs::members;

/// Within the buttons of one node, which are smaller than others.
const NODE_BUTTON_PADDING: egui::Vec2 = egui::vec2(10.0, 3.0);

/// The buttons of one node.
pub fn node_buttons_ui(ui: &mut Ui, model: &Model, node: &NodeCard, actions: &mut Vec<UserAction>) {
    let (Some(chaos), Some(id)) = (&model.cluster.chaos, node.id) else {
        return;
    };
    let Some(process) = chaos.processes.get(&id) else {
        return;
    };
    let link = if process.isolated {
        ("Reconnect", FaultAction::Reconnect(id))
    } else {
        ("Isolate", FaultAction::Isolate(id))
    };
    let offered = match process.condition {
        ProcessCondition::Running => vec![
            ("Kill", FaultAction::Kill(id)),
            ("Pause", FaultAction::Pause(id)),
            link,
        ],
        ProcessCondition::Paused => vec![
            ("Resume", FaultAction::Resume(id)),
            ("Kill", FaultAction::Kill(id)),
        ],
        ProcessCondition::Down => vec![("Start", FaultAction::Restart(id))],
    };
    ui.add_space(space::TINY);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        ui.spacing_mut().button_padding = NODE_BUTTON_PADDING;
        for (word, action) in offered {
            action_button(ui, model, chaos, word, action, actions);
        }
    });
    removal_button(ui, model, id, actions);
}

/// Removes the node for ever, after a question.
fn removal_button(ui: &mut Ui, model: &Model, node: NodeId, actions: &mut Vec<UserAction>) {
    let action = MembersAction::Remove(node);
    let obstacle = model.cluster.obstacle(action);
    let button = egui::Button::new("Remove from the cluster…").wrap();
    let shown = ui.scope(|ui| {
        ui.spacing_mut().button_padding = NODE_BUTTON_PADDING;
        ui.add_enabled(obstacle.is_none(), button)
    });
    let response = shown.inner;
    describe(
        ui,
        &response,
        &format!("{}…", capitalised(&action.sentence())),
        obstacle.as_deref(),
    );
    let clicked = response.clicked();
    with_reason(
        response,
        obstacle,
        members::expectation(action, &model.cluster),
    );
    if clicked {
        actions.push(UserAction::OpenDialog(Dialog::Members(action)));
    }
}

/// Adds a node, after a question.
fn addition_button(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    let action = MembersAction::Add;
    let obstacle = model.cluster.obstacle(action);
    let response = button_if(ui, "Add a node", obstacle.is_none());
    describe(ui, &response, "Add a node", obstacle.as_deref());
    let clicked = response.clicked();
    with_reason(
        response,
        obstacle,
        members::expectation(action, &model.cluster),
    );
    if clicked {
        actions.push(UserAction::OpenDialog(Dialog::Members(action)));
    }
}

/// The name of a button, and why it cannot be pressed, for a screen reader.
fn describe(ui: &Ui, response: &egui::Response, name: &str, obstacle: Option<&str>) {
    ui.ctx().accesskit_node_builder(response.id, |node| {
        node.set_label(name);
        if let Some(obstacle) = obstacle {
            node.set_description(obstacle);
        }
    });
}

/// What hovering over a button shows: why it cannot be pressed, or what it does.
fn with_reason(response: egui::Response, obstacle: Option<String>, expectation: String) {
    match obstacle {
        Some(obstacle) => response.on_disabled_hover_text(obstacle),
        None => response.on_hover_text(expectation),
    };
}

fn action_button(
    ui: &mut Ui,
    model: &Model,
    chaos: &Chaos,
    word: &str,
    action: FaultAction,
    actions: &mut Vec<UserAction>,
) {
    let free = chaos.busy.is_none();
    let response = ui.add_enabled(free, egui::Button::new(word));
    ui.ctx().accesskit_node_builder(response.id, |node| {
        node.set_label(capitalised(&action.sentence()));
    });
    let response = response.on_hover_text(expectation(action, &model.cluster));
    if !response.clicked() {
        return;
    }
    // An action that causes a fault is explained first; one that undoes a fault is done at once.
    let takes = matches!(
        action,
        FaultAction::Kill(_) | FaultAction::Pause(_) | FaultAction::Isolate(_)
    );
    actions.push(if takes {
        UserAction::OpenDialog(Dialog::Chaos(action))
    } else {
        UserAction::Chaos(action)
    });
}

/// What concerns all nodes.
pub fn chaos_buttons_ui(ui: &mut Ui, model: &Model, actions: &mut Vec<UserAction>) {
    let Some(chaos) = &model.cluster.chaos else {
        return;
    };
    let any_down = chaos
        .processes
        .values()
        .any(|process| process.condition == ProcessCondition::Down);
    let any_isolated = chaos.processes.values().any(|process| process.isolated);
    if button_if(ui, "Start all", any_down && chaos.busy.is_none()).clicked() {
        actions.push(UserAction::Chaos(FaultAction::StartDead));
    }
    if button_if(ui, "Reconnect all", any_isolated && chaos.busy.is_none()).clicked() {
        actions.push(UserAction::Chaos(FaultAction::ReconnectAll));
    }
    addition_button(ui, model, actions);
}

/// What was done last.
pub fn chaos_text_ui(ui: &mut Ui, model: &Model) {
    let Some(chaos) = &model.cluster.chaos else {
        return;
    };
    let text = match (&chaos.busy, &chaos.members, &chaos.answer) {
        (Some(action), _, _) => format!("{}…", capitalised(&action.sentence())),
        (None, Some(step), _) => step.sentence(),
        (None, None, Some(answer)) => answer.clone(),
        (None, None, None) => "This is the local cluster: cause a fault and watch.".to_owned(),
    };
    let colours = palette(ui);
    let colour = if chaos.busy.is_some() || chaos.members.is_some() {
        colours.warn
    } else {
        colours.muted
    };
    let text = RichText::new(text).small().color(colour);
    let label = egui::Label::new(text);
    ui.add(if ui.layout().is_vertical() {
        label.wrap()
    } else {
        label.truncate()
    });
}
