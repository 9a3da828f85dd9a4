//! `chat-gui`: reads the command line and opens the window, or its demo. Everything else is in the
//! library.

mod settings;

use std::error::Error;
use std::process::ExitCode;

use chat_gui::app::{ChatApp, SIZE_MIN};
use chat_gui::demo;
use chat_gui::theme::{self, SystemEmoji};
use clap::Parser;
use tracing_subscriber::EnvFilter;

use settings::Arguments;

fn main() -> ExitCode {
    // Never the text of a message: logs may be attached to a report.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| "warn".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    if arguments.demo.demo.is_some() {
        return demo::run(arguments.demo).map_err(|error| described(&error));
    }
    let options = settings::options(&arguments)?;
    let window = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Chat")
            .with_app_id("chat-gui")
            .with_inner_size([1180.0, 760.0])
            .with_min_inner_size(SIZE_MIN),
        ..eframe::NativeOptions::default()
    };
    let emoji = SystemEmoji::search();
    let create: eframe::AppCreator<'_> = Box::new(|creation| {
        let app = ChatApp::new(&creation.egui_ctx, options)?;
        theme::use_system_emoji(&creation.egui_ctx, emoji);
        Ok(Box::new(app))
    });
    eframe::run_native("chat-gui", window, create)
        .map_err(|error| described(&error).context("the window cannot be opened"))
}

/// The toolkit's errors stay on the thread that they happened on; their words may leave it.
fn described(error: &dyn Error) -> anyhow::Error {
    let message = anyhow::Error::msg(error.to_string());
    match error.source() {
        Some(cause) => described(cause).context(message),
        None => message,
    }
}
