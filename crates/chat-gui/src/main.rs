//! The desktop window of the chat: for now it only says what it will be.
//!
//! Deliberately absent: a connection, a model, a theme. The real window is a piece of work of its
//! own; this one proves that its toolkit builds and opens on every machine that builds the rest.

use eframe::egui;

fn main() -> eframe::Result {
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default().with_inner_size([480.0, 240.0]),
        ..Default::default()
    };
    eframe::run_ui_native("Chat", options, |ui, _frame| placeholder_ui(ui))
}

/// What the person sees until there is more.
fn placeholder_ui(ui: &mut egui::Ui) {
    egui::CentralPanel::default().show(ui, |ui| {
        ui.vertical_centered(|ui| {
            ui.add_space(48.0);
            ui.heading("This will be the chat.");
            ui.add_space(12.0);
            ui.label("Conversations, people and the state of the cluster will be shown here.");
            ui.label("Until then the command line does it all:");
            ui.add_space(12.0);
            ui.monospace("chat sign-up alice");
            ui.monospace("chat send bob \"hello\"");
            ui.monospace("chat inbox");
        });
    });
}
