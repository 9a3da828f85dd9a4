//! A page of the demo in a window whose actions are carried out, for tests that use it.

use chat_gui::demo;
use chat_gui::model::Model;
use chat_gui::model::command::Command;
use chat_gui::model::preferences::ThemeChoice;
use chat_gui::theme;
use chat_gui::views::{ViewState, window_ui};
use egui::{Event, Vec2};
use egui_kittest::Harness;

/// The window, whose actions are carried out.
pub(crate) struct Window {
    pub(crate) model: Model,
    pub(crate) state: ViewState,
    pub(crate) commands: Vec<Command>,
}

pub(crate) type Test = Harness<'static, Window>;

/// Opens the page with this name.
pub(crate) fn open(name: &str) -> Test {
    let mut pages = demo::pages().into_iter();
    let page = pages
        .find(|page| page.name == name)
        .expect("the demo has this page");
    let window = Window {
        model: page.model(ThemeChoice::Light),
        state: page.state(),
        commands: Vec::new(),
    };
    let mut harness = Harness::builder()
        .with_size(Vec2::new(1000.0, 700.0))
        .with_max_steps(10)
        .with_context_setup(theme::install)
        .build_ui_state(
            |ui, window: &mut Window| {
                let now = window.model.now;
                for action in window_ui(ui, &window.model, &mut window.state) {
                    window.commands.extend(window.model.act(action, now));
                }
            },
            window,
        );
    harness.run();
    harness
}

/// Types into what has the focus.
pub(crate) fn type_text(harness: &mut Test, text: &str) {
    harness.event(Event::Text(text.to_owned()));
    harness.run();
}
