//! All that is known of the connection to the servers: since when it is interrupted, why, and what
//! each address answers.
//!
//! Deliberately absent: what the servers say of themselves, which the cluster page shows.

use egui::{ScrollArea, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::cluster::NodeHealth;
use crate::model::connection::Connection;
use crate::model::failure::Failure;
use crate::model::time::{Timestamp, duration_words};
use crate::theme::{self, space};
use crate::views::control::buttons::{button, primary_button};
use crate::views::control::text::{caption, heading};
use crate::views::dialogs::buttons::buttons_ui;
use crate::views::state::{Focus, ViewState};

/// The dialog.
pub(super) fn connection_ui(
    ui: &mut Ui,
    model: &Model,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    let height = (ui.ctx().content_rect().height() - 220.0).max(120.0);
    ScrollArea::vertical().max_height(height).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.label(state_words(model));
        for (what, value) in facts(model) {
            fact_ui(ui, what, &value);
        }
        ui.add_space(space::SMALL);
        heading(ui, "Addresses", theme::small_strong());
        for (address, answer) in addresses(model) {
            fact_ui(ui, &address, &answer);
        }
    });
    let wants_focus = state.takes_focus(Focus::Dialog);
    let is_waiting = model.connection.why().is_some();
    buttons_ui(ui, |ui| {
        if is_waiting {
            let again = primary_button(ui, "Try now", true);
            if wants_focus {
                again.request_focus();
            }
            if again.clicked() {
                actions.push(UserAction::TryNow);
            }
        }
        let done = button(ui, "Done");
        if wants_focus && !is_waiting {
            done.request_focus();
        }
        if done.clicked() {
            actions.push(UserAction::Back);
        }
    });
}

fn fact_ui(ui: &mut Ui, what: &str, value: &str) {
    ui.add_space(space::TINY);
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        caption(ui, what);
        ui.label(value);
    });
}

fn state_words(model: &Model) -> String {
    match &model.connection {
        Connection::Idle => "Not signed in.".to_owned(),
        Connection::Online { .. } => {
            let online = model.online_sentence();
            format!("{}.", online.unwrap_or_else(|| "Online".to_owned()))
        }
        Connection::Connecting { .. } => {
            "Connecting for the first time since signing in.".to_owned()
        }
        Connection::Reconnecting { .. } | Connection::Offline { .. } => {
            "What you write is kept on this device, and sent when you are back online.".to_owned()
        }
    }
}

fn facts(model: &Model) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let now = model.now;
    if let Some(since) = model.connection.since() {
        let lasts = now.moment.since(since);
        let began = Timestamp(now.wall.0 - lasts.as_secs_f64());
        let began = model.zone.date_and_time(began);
        facts.push(("Since", format!("{began} ({})", duration_words(lasts))));
    }
    if let Some(why) = model.connection.why() {
        let why = match why {
            // They are listed below.
            Failure::NoServer { .. } => "No server answers.".to_owned(),
            why => why.sentence(),
        };
        facts.push(("Last attempt", why));
    }
    if let Connection::Offline { next_try, .. } = &model.connection {
        let words = match next_try.since(now.moment) {
            rest if rest.is_zero() => "now".to_owned(),
            rest => format!("in {}", duration_words(rest)),
        };
        facts.push(("Next attempt", words));
    }
    facts
}

/// The addresses that are tried, and what they answered last.
fn addresses(model: &Model) -> Vec<(String, String)> {
    let nodes = &model.cluster.nodes;
    if nodes.is_empty() {
        let named = model.servers.addresses.iter();
        return named
            .map(|address| (address.clone(), "not asked yet".to_owned()))
            .collect();
    }
    let answer = |health: &NodeHealth| match health {
        NodeHealth::Unknown => "not asked yet".to_owned(),
        NodeHealth::Up => "answers".to_owned(),
        NodeHealth::Degraded(what) => format!("answers; {what}"),
        NodeHealth::Down(why) => format!("does not answer: {why}"),
    };
    let nodes = nodes.iter();
    nodes
        .map(|node| {
            let words = match model.cluster.is_counted(node) {
                true => answer(&node.health),
                false => "no member of the cluster".to_owned(),
            };
            (node.address.clone(), words)
        })
        .collect()
}
