//! The window itself: processes a bounded number of events before each frame, draws, and carries
//! out what the person wanted afterwards. Repaints only when something has changed or time brings
//! something about.
//!
//! Deliberately absent: decisions, which are the model's, and drawing, which is the views'.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use egui::{Context, UserAttentionType, Vec2, ViewportCommand};
use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::backend::{Backend, Options};
use crate::model::Model;
use crate::model::action::UserAction;
use crate::model::command::Command;
use crate::model::names::IdSource;
use crate::model::preferences::WindowSize;
use crate::model::time::{Moment, Now, Timestamp, Zone};
use crate::theme;
use crate::views::{ViewState, window_ui};

/// Events that are processed before one frame: a page of the inbox is one, so this is never far
/// behind; and however many there are, the window stays quick.
const EVENTS_PER_FRAME: usize = 500;

/// The smallest size of the window, in points: that of a small telephone.
pub const SIZE_MIN: Vec2 = Vec2::new(360.0, 420.0);

/// The window.
#[derive(Debug)]
pub struct ChatApp {
    model: Model,
    state: ViewState,
    backend: Backend,
    /// Commands for which the backend's queue had no room yet, in order.
    backlog: VecDeque<Command>,
    opened: Instant,
    title: String,
    attention: u64,
    focus_requests: u64,
    /// Whether the window has the size that it had when it was closed last.
    is_size_restored: bool,
    /// The size of the window now.
    size: Option<WindowSize>,
}

impl ChatApp {
    /// Starts the backend, which wakes this window whenever something has happened.
    ///
    /// # Errors
    ///
    /// When the machine has no thread left for it.
    pub fn new(context: &Context, options: Options) -> io::Result<Self> {
        theme::install(context);
        let window = context.clone();
        let backend = Backend::start(options, Arc::new(move || window.request_repaint()))?;
        let opened = Instant::now();
        Ok(Self {
            model: Model::new(
                now(opened),
                Zone::new(TimeZone::system()),
                IdSource::new(Uuid::now_v7),
            ),
            state: ViewState::default(),
            backend,
            backlog: VecDeque::new(),
            opened,
            title: String::new(),
            attention: 0,
            focus_requests: 0,
            is_size_restored: false,
            size: None,
        })
    }

    /// What is shown.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Carries out what a person wants, as a view would have returned it.
    pub fn act(&mut self, action: UserAction) {
        // Before the backend is asked to end.
        if let (UserAction::Quit | UserAction::QuitNow, Some(size)) = (&action, self.size) {
            self.execute(UserAction::SetWindowSize(size));
        }
        self.execute(action);
    }

    fn execute(&mut self, action: UserAction) {
        let commands = self.model.act(action, now(self.opened));
        self.send_commands(commands);
    }

    fn send_commands(&mut self, commands: Vec<Command>) {
        self.backlog.extend(commands);
        while let Some(command) = self.backlog.pop_front() {
            if let Err(command) = self.backend.send(command) {
                self.backlog.push_front(command);
                return;
            }
        }
    }

    /// Processes the events since the last frame. Returns whether there may be more.
    fn process_events(&mut self) -> bool {
        for _ in 0..EVENTS_PER_FRAME {
            let Some(event) = self.backend.next_event() else {
                return false;
            };
            let commands = self.model.receive(event, now(self.opened));
            self.send_commands(commands);
        }
        true
    }

    fn run_timers(&mut self, context: &Context) {
        let moment = now(self.opened).moment;
        if self.model.next_deadline().is_some_and(|due| due <= moment) {
            let commands = self.model.run_timers(now(self.opened));
            self.send_commands(commands);
        }
        if let Some(due) = self.model.next_deadline() {
            let rest = due.since(now(self.opened).moment);
            // Rounded up: a frame that comes too early would only cause another one.
            context.request_repaint_after(rest + Duration::from_millis(1));
        }
        if !self.backlog.is_empty() {
            context.request_repaint_after(Duration::from_millis(50));
        }
    }

    fn sync_viewport(&mut self, context: &Context) {
        let (focused, closing) = context.input(|input| {
            let viewport = input.viewport();
            (input.focused, viewport.close_requested())
        });
        if focused != self.model.focused {
            self.act(UserAction::Focus(focused));
        }
        self.sync_size(context);
        if closing && !self.model.closing {
            self.act(UserAction::Quit);
            if !self.model.closing {
                // The person is asked first.
                context.send_viewport_cmd(ViewportCommand::CancelClose);
            }
        } else if self.model.closing && !closing {
            context.send_viewport_cmd(ViewportCommand::Close);
        }
        let title = self.title();
        if title != self.title {
            context.send_viewport_cmd(ViewportCommand::Title(title.clone()));
            self.title = title;
        }
        if self.attention != self.model.attention {
            self.attention = self.model.attention;
            let attention = ViewportCommand::RequestUserAttention(UserAttentionType::Informational);
            context.send_viewport_cmd(attention);
        }
        if self.focus_requests != self.model.focus_requests {
            self.focus_requests = self.model.focus_requests;
            context.send_viewport_cmd(ViewportCommand::Minimized(false));
            context.send_viewport_cmd(ViewportCommand::Focus);
        }
    }

    /// Gives the window the size of the last time, once that is known, and notices a change.
    fn sync_size(&mut self, context: &Context) {
        if let (Some(size), false) = (self.model.preferences.window, self.is_size_restored) {
            self.is_size_restored = true;
            let size = Vec2::new(size.width.into(), size.height.into());
            context.send_viewport_cmd(ViewportCommand::InnerSize(size.max(SIZE_MIN)));
            return;
        }
        let (rect, maximized) = context.input(|input| {
            let viewport = input.viewport();
            (viewport.inner_rect, viewport.maximized)
        });
        if let Some(rect) = rect
            && maximized != Some(true)
        {
            self.size = Some(window_size(rect.size()));
        }
    }

    fn title(&self) -> String {
        let Some(account) = &self.model.account else {
            return "Chat".to_owned();
        };
        match self.model.unread {
            0 => format!("{} – Chat", account.name),
            unread => format!("({unread}) {} – Chat", account.name),
        }
    }
}

impl eframe::App for ChatApp {
    fn logic(&mut self, context: &Context, _frame: &mut eframe::Frame) {
        if self.process_events() {
            context.request_repaint();
        }
        self.sync_viewport(context);
        self.run_timers(context);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        tracing::trace!("a frame is drawn");
        // Times that are shown as passed are right in each frame that is drawn.
        self.model.now = now(self.opened);
        let actions = window_ui(ui, &self.model, &mut self.state);
        if !actions.is_empty() {
            ui.ctx().request_repaint();
        }
        for action in actions {
            self.act(action);
        }
    }
}

impl Drop for ChatApp {
    /// Deletions that can still be undone are carried out, and the queued commands are sent.
    fn drop(&mut self) {
        self.act(UserAction::QuitNow);
        self.backend.close(std::mem::take(&mut self.backlog));
    }
}

/// In whole points; a window of more than 65,535 is none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what does not fit saturates"
)]
fn window_size(size: Vec2) -> WindowSize {
    WindowSize {
        width: size.x.round() as u16,
        height: size.y.round() as u16,
    }
}

fn now(opened: Instant) -> Now {
    let moment = u64::try_from(opened.elapsed().as_millis()).unwrap_or(u64::MAX);
    let wall = SystemTime::now().duration_since(UNIX_EPOCH);
    Now {
        moment: Moment(moment),
        // A clock that shows a time before 1970 is wrong.
        wall: Timestamp(wall.unwrap_or_default().as_secs_f64()),
    }
}
