//! A page of the demo in a window whose actions are carried out, for tests that use it.

use chat_gui::demo;
use chat_gui::model::Model;
use chat_gui::model::command::Command;
use chat_gui::model::preferences::ThemeChoice;
use chat_gui::theme;
use chat_gui::views::{ViewState, window_ui};
use egui::{Event, Key, Modifiers, OutputCommand, Vec2};
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

/// Opens the menu of the newest message by keys.
pub(crate) fn open_menu(harness: &mut Test) {
    harness.key_press_modifiers(Modifiers::COMMAND, Key::M);
    harness.run();
    harness.key_press(Key::Menu);
    harness.run();
}

/// Enter, for a frame that has other events, too.
pub(crate) fn enter() -> Event {
    Event::Key {
        key: Key::Enter,
        physical_key: None,
        pressed: true,
        repeat: false,
        modifiers: Modifiers::NONE,
    }
}

/// What was done outside the window while a few frames were drawn.
pub(crate) fn frames(harness: &mut Test) -> Vec<OutputCommand> {
    let mut commands = Vec::new();
    for _ in 0..6 {
        harness.step();
        commands.extend(harness.output().platform_output.commands.clone());
    }
    commands
}
