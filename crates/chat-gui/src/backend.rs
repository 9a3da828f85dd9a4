//! The outside world, on its own thread: servers, local cluster, disk. Knows no toolkit; it
//! receives commands and sends events, both over bounded channels.

mod change_queue;
mod contact;
mod engine;
mod event_sender;
mod inbox_fetch;
mod inbox_sync;
mod ledger_check;
mod local_cluster;
mod local_members;
mod notification;
mod options;
mod outbox_sender;
mod poller;
mod session;
mod translate;

use std::io;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

use crate::model::command::Command;
use crate::model::event::BackendEvent;

use event_sender::EventSender;

pub use event_sender::Wake;
pub use options::{ClusterPlace, Options};

/// Commands in the queue at most; the window keeps what does not fit and tries again.
const COMMANDS_MAX: usize = 256;
/// Events in the queue to the window at most; when it is full the backend waits.
const EVENTS_MAX: usize = 1_024;

/// The window's end of the backend.
#[derive(Debug)]
pub struct Backend {
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<BackendEvent>,
    thread: Option<JoinHandle<()>>,
}

impl Backend {
    /// Starts the thread. `wake` is called from it after each event and must return at once.
    ///
    /// # Errors
    ///
    /// When the machine has no thread or no runtime left.
    pub fn start(options: Options, wake: Wake) -> io::Result<Self> {
        let (commands, commands_in) = mpsc::channel(COMMANDS_MAX);
        let (events_out, events) = mpsc::channel(EVENTS_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let events_out = EventSender {
            events: events_out,
            wake,
        };
        let thread = thread::Builder::new()
            .name("backend".to_owned())
            .spawn(move || runtime.block_on(engine::run(options, commands_in, events_out)))?;
        Ok(Self {
            commands,
            events,
            thread: Some(thread),
        })
    }

    /// Sends a command without waiting.
    ///
    /// # Errors
    ///
    /// The command itself when the queue is full: send it again later. When the backend has ended
    /// the command is dropped.
    pub fn send(&self, command: Command) -> Result<(), Command> {
        match self.commands.try_send(command) {
            Err(mpsc::error::TrySendError::Full(command)) => Err(command),
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }

    /// What happened next, if anything has.
    pub fn next_event(&mut self) -> Option<BackendEvent> {
        self.events.try_recv().ok()
    }

    /// Whether the backend has ended, as it does after [`Command::Quit`].
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Backend {
    /// Sends the last commands, and waits until what was begun is finished.
    pub fn close(&mut self, commands: impl IntoIterator<Item = Command>) {
        // Events are no longer read, so a full channel must not block the backend.
        self.events.close();
        for command in commands {
            if self.commands.blocking_send(command).is_err() {
                return;
            }
        }
        self.join();
    }

    /// The backend ends when its channel of commands is closed.
    fn join(&mut self) {
        let (closed, _) = mpsc::channel(1);
        self.commands = closed;
        self.events.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the backend has panicked");
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.join();
    }
}
