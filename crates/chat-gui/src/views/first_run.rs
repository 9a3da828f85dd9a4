//! The page that asks which servers, and finds those on this machine by itself.
//!
//! Deliberately absent: looking for them.

use egui::{RichText, TextStyle, Ui};

use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::sign_in::LocalCluster;
use crate::theme::{self, palette, space};
use crate::views::control::buttons;
use crate::views::control::buttons::{button, primary_button};
use crate::views::control::fields::{Field, is_entered};
use crate::views::control::surfaces;
use crate::views::control::surfaces::{Tone, card, message_box};
use crate::views::control::text;
use crate::views::control::text::{heading, muted};
use crate::views::icon::Icon;
use crate::views::state::{Focus, ViewState};
use crate::views::welcome::welcome_ui;

/// What starts a cluster on this machine.
const CLUSTER_UP: &str = "cargo xtask cluster up";

/// The page.
pub fn first_run_ui(
    ui: &mut Ui,
    model: &Model,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    welcome_ui(ui, |ui| {
        heading(ui, "Find your servers", TextStyle::Heading);
        muted(
            ui,
            "The chat runs on a few servers that replace one another. One address is enough; the app finds the others.",
        );
        card(ui, |ui| {
            ui.set_width(ui.available_width());
            local_cluster_ui(ui, model, state, actions);
        });
        addresses_ui(ui, model, state, actions);
    });
}

fn local_cluster_ui(
    ui: &mut Ui,
    model: &Model,
    state: &mut ViewState,
    actions: &mut Vec<UserAction>,
) {
    text::card_title(ui, "On this machine");
    let colours = palette(ui);
    match &model.servers.local {
        LocalCluster::Searching => {
            muted(ui, "Searching for a cluster…");
        }
        LocalCluster::Running { addresses } => {
            ui.horizontal_wrapped(|ui| {
                Icon::Check.show(ui, 16.0, colours.good);
                ui.label(format!(
                    "A cluster of {} nodes is running.",
                    addresses.len()
                ));
            });
            text::caption(ui, addresses.join("   "));
            let button = primary_button(ui, "Use this cluster", !model.servers.busy);
            if state.takes_focus(Focus::LocalCluster) {
                button.request_focus();
            }
            if button.clicked() {
                actions.push(UserAction::UseLocalCluster);
            }
        }
        LocalCluster::Stopped { .. } => {
            ui.label("There is a cluster, but it is not running. Start it with:");
            command_ui(ui, actions);
        }
        LocalCluster::Untrusted { why } => {
            let sentence = format!("The cluster that was found is not used: {why}.");
            let next =
                "Another user may have put it there. Enter the addresses of your servers below.";
            message_box(ui, Tone::Warn, &sentence, next);
            if button(ui, "Search again").clicked() {
                actions.push(UserAction::FindLocalCluster);
            }
        }
        LocalCluster::Absent => {
            ui.label("No cluster is running. Start one with:");
            command_ui(ui, actions);
        }
    }
}

/// The command, to be copied, and a button to search again.
fn command_ui(ui: &mut Ui, actions: &mut Vec<UserAction>) {
    let colours = palette(ui);
    egui::Frame::new()
        .fill(colours.sunken)
        .corner_radius(egui::CornerRadius::same(theme::radius::CONTROL))
        .inner_margin(egui::Margin::symmetric(12, 4))
        .show(ui, |ui| {
            surfaces::row(ui, |ui| {
                let layout = egui::Layout::right_to_left(egui::Align::Center);
                ui.with_layout(layout, |ui| {
                    if buttons::icon_button(ui, Icon::Copy, "Copy the command").clicked() {
                        ui.ctx().copy_text(CLUSTER_UP.to_owned());
                    }
                    let layout = egui::Layout::left_to_right(egui::Align::Center);
                    ui.with_layout(layout, |ui| {
                        let command = RichText::new(CLUSTER_UP).monospace();
                        ui.add(egui::Label::new(command).wrap());
                    });
                });
            });
        });
    if button(ui, "Search again").clicked() {
        actions.push(UserAction::FindLocalCluster);
    }
}

fn addresses_ui(ui: &mut Ui, model: &Model, state: &mut ViewState, actions: &mut Vec<UserAction>) {
    let wants_focus = state.takes_focus(Focus::Addresses);
    ui.add_space(space::TINY);
    let field = Field {
        label: "Or the address of a server",
        hint: "host:port, several with commas",
        secret: false,
    }
    .show(ui, &mut state.addresses.text);
    if wants_focus {
        field.request_focus();
    }
    let entered = is_entered(ui, &field);
    if let Some(failure) = &model.servers.failure {
        message_box(ui, Tone::Bad, &failure.sentence(), &failure.next_step());
    }
    let is_empty = state.addresses.text.trim().is_empty();
    let ready = !model.servers.busy && !is_empty;
    let text = if model.servers.busy {
        "Connecting…"
    } else {
        "Connect"
    };
    let pressed = primary_button(ui, text, ready).clicked();
    if (entered || pressed) && ready {
        state.addresses.submitted = true;
        actions.push(UserAction::UseServers(state.addresses.text.clone()));
    } else if entered && is_empty && matches!(model.servers.local, LocalCluster::Running { .. }) {
        actions.push(UserAction::UseLocalCluster);
    }
    if entered {
        field.request_focus();
    }
}
