//! `chat-gui --demo`: every page and state of the window with made-up content and without a server,
//! to look at, to take pictures of, and to test the views with.
//!
//! Deliberately absent: drawing code. What is shown went through the model like
//! the real thing.

mod chat_pages;
mod cluster_pages;
mod demo_world;
mod entry_pages;
mod fixtures;
mod message_pages;
mod page;
mod picture;
mod sign_in;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::app::SIZE_MIN;
use crate::model::action::UserAction;
use crate::model::preferences::ThemeChoice;
use crate::theme::{self, SystemEmoji};
use crate::views::{ViewState, window_ui};

use demo_world::DemoWorld;

pub use page::DemoPage;

/// Frames that are drawn before a picture is taken: by then sizes have settled, fonts are loaded
/// and animations are over.
const FRAMES_BEFORE_PICTURE: u32 = 12;

/// The options of the demo on the command line.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DemoOptions {
    /// Show a page with made-up content and without a server; with `,dark` behind it in the dark
    #[arg(long, value_name = "PAGE", num_args = 0..=1, default_missing_value = "chat")]
    pub demo: Option<String>,
    /// Take a picture of the page as a PNG file, and close the window
    #[arg(long, value_name = "FILE", requires = "demo")]
    pub screenshot: Option<PathBuf>,
    /// How large the window is
    #[arg(long, value_name = "WIDTHxHEIGHT", requires = "demo", value_parser = parse_size)]
    pub size: Option<[u16; 2]>,
}

fn parse_size(text: &str) -> Result<[u16; 2], String> {
    let (width, height) = text.split_once('x').ok_or("write it as in 900x600")?;
    let points = |text: &str| text.parse::<u16>().map_err(|error| error.to_string());
    Ok([points(width)?, points(height)?])
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// There is no such page.
    #[error("there is no page {wanted:?}; there are: {}", names().join(", "))]
    NoSuchPage {
        /// The name that was requested.
        wanted: String,
    },
    /// The window could not be opened.
    #[error("the window cannot be opened")]
    Window(#[source] eframe::Error),
    /// The picture was not taken.
    #[error("no picture was taken")]
    NoPicture,
}

/// All pages, in the order of a walk through the app.
pub fn pages() -> Vec<DemoPage> {
    let groups = [
        entry_pages::PAGES,
        chat_pages::PAGES,
        message_pages::PAGES,
        cluster_pages::PAGES,
    ];
    groups.concat()
}

/// What a made-up node reports, for tests.
#[cfg(test)]
pub(crate) fn status_of_node(node: u64) -> crate::model::cluster::NodeStatus {
    DemoWorld::new().status(node)
}

fn names() -> Vec<&'static str> {
    pages().iter().map(|page| page.name).collect()
}

/// Opens the window with a page.
///
/// # Errors
///
/// If there is no such page, or no window can be opened, or no picture taken.
pub fn run(options: DemoOptions) -> Result<(), DemoError> {
    let wanted = options.demo.as_deref().unwrap_or("chat");
    let (name, theme) = wanted.split_once(',').unwrap_or((wanted, "light"));
    let no_such_page = || DemoError::NoSuchPage {
        wanted: wanted.to_owned(),
    };
    let theme = match theme {
        "light" => ThemeChoice::Light,
        "dark" => ThemeChoice::Dark,
        _ => return Err(no_such_page()),
    };
    let page = pages()
        .into_iter()
        .find(|page| page.name == name)
        .ok_or_else(no_such_page)?;
    let mut world = (page.build)();
    world.act(UserAction::SetTheme(theme));

    let [width, height] = options.size.unwrap_or([1280, 800]).map(f32::from);
    let native = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Chat (demo)")
            .with_inner_size([width, height])
            .with_min_inner_size(SIZE_MIN),
        ..eframe::NativeOptions::default()
    };
    let taken = Arc::new(AtomicBool::new(false));
    let wants_picture = options.screenshot.is_some();
    let app = DemoApp {
        world,
        state: page.state(),
        for_picture: wants_picture,
        screenshot: options.screenshot,
        frames: 0,
        taken: Arc::clone(&taken),
    };
    let emoji = SystemEmoji::search();
    let create: eframe::AppCreator<'_> = Box::new(|creation| {
        theme::install(&creation.egui_ctx);
        theme::use_system_emoji(&creation.egui_ctx, emoji);
        Ok(Box::new(app))
    });
    eframe::run_native("chat-gui-demo", native, create).map_err(DemoError::Window)?;
    if wants_picture && !taken.load(Ordering::SeqCst) {
        return Err(DemoError::NoPicture);
    }
    Ok(())
}

/// The demo's window.
struct DemoApp {
    world: DemoWorld,
    state: ViewState,
    /// Whether a picture is taken, or was.
    for_picture: bool,
    screenshot: Option<PathBuf>,
    frames: u32,
    taken: Arc<AtomicBool>,
}

impl eframe::App for DemoApp {
    fn raw_input_hook(&mut self, _context: &egui::Context, input: &mut egui::RawInput) {
        if self.for_picture {
            // Where the pointer happens to be must not be seen in a picture; who has the keyboard
            // must, also on a display that gives it to no window.
            input.focused = true;
            input.events.retain(|event| {
                !matches!(
                    event,
                    egui::Event::PointerMoved(_) | egui::Event::MouseMoved(_)
                )
            });
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        for action in window_ui(ui, &self.world.model, &mut self.state) {
            if action == UserAction::QuitNow || action == UserAction::Quit {
                ui.ctx().send_viewport_cmd(egui::ViewportCommand::Close);
            }
            self.world.act(action);
            ui.ctx().request_repaint();
        }
        if self.screenshot.is_some() {
            self.frames += 1;
            ui.ctx().request_repaint();
            if self.frames >= FRAMES_BEFORE_PICTURE
                && let Some(path) = self.screenshot.take()
            {
                let context = ui.ctx().clone();
                let taken = Arc::clone(&self.taken);
                ui.ctx().request_screenshot(move |image| {
                    taken.store(picture::save(&image, &path), Ordering::SeqCst);
                    context.send_viewport_cmd(egui::ViewportCommand::Close);
                    context.request_repaint();
                });
            }
        }
    }
}
