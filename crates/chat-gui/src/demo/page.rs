//! One page of the demo: its name, how it is built, and what has been typed into it.

use crate::demo::demo_world::DemoWorld;
use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::preferences::ThemeChoice;
use crate::views::ViewState;

/// A page of the demo.
#[derive(Debug, Clone, Copy)]
pub struct DemoPage {
    /// Its name on the command line.
    pub name: &'static str,
    pub(super) build: fn() -> DemoWorld,
    /// What has been typed where only the views know it.
    typed: fn(&mut ViewState),
}

impl DemoPage {
    /// A page on which nothing has been typed.
    pub(super) const fn new(name: &'static str, build: fn() -> DemoWorld) -> Self {
        Self {
            name,
            build,
            typed: |_| {},
        }
    }

    /// The same with something typed.
    pub(super) const fn typed(self, typed: fn(&mut ViewState)) -> Self {
        Self { typed, ..self }
    }

    /// What the views keep when the page is opened.
    pub fn state(&self) -> ViewState {
        let mut state = ViewState::default();
        (self.typed)(&mut state);
        state
    }

    /// What it shows, in the given colours.
    pub fn model(&self, theme: ThemeChoice) -> Model {
        let mut world = (self.build)();
        world.act(UserAction::SetTheme(theme));
        world.model
    }
}
