//! A window of the same toolkit, renderer and size as the chat's, with nothing in it: what
//! `window_memory` compares the memory of the chat's window with.

use std::process::ExitCode;

use eframe::NativeOptions;
use egui::ViewportBuilder;

/// Nothing is drawn.
struct Empty;

impl eframe::App for Empty {
    fn ui(&mut self, _ui: &mut egui::Ui, _frame: &mut eframe::Frame) {}
}

fn main() -> ExitCode {
    let window = NativeOptions {
        viewport: ViewportBuilder::default()
            .with_title("Chat (empty)")
            .with_inner_size([1180.0, 760.0]),
        ..NativeOptions::default()
    };
    let create: eframe::AppCreator<'_> = Box::new(|_creation| Ok(Box::new(Empty)));
    match eframe::run_native("empty-window", window, create) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
