//! The outside world, on a thread of its own: servers, local cluster, disk. Knows no toolkit; it is
//! told what to do by commands and tells what happened by events, both over bounded channels.

mod change_queue;
pub mod command;
mod delivery;
mod engine;
pub mod event;
mod follower;
mod ledger_check;
mod local_cluster;
mod notification;
mod poller;
mod session;
mod translate;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

use command::Command;
use event::BackendEvent;

/// Commands that wait at most; the window keeps what does not fit and tries again.
const COMMANDS_MAX: usize = 256;
/// Events that wait for the window at most; behind that the backend waits too.
const EVENTS_MAX: usize = 1_024;

/// What the backend is told when it starts.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where this window keeps its data; `None` keeps nothing.
    pub folder: Option<PathBuf>,
    /// The servers that were named when the program was started; otherwise those of the last time.
    pub addresses: Vec<String>,
    /// Where a local cluster is looked for.
    pub local_cluster: ClusterPlace,
}

/// Where a `cluster.json` of a local cluster may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClusterPlace {
    /// Nowhere.
    #[default]
    Nowhere,
    /// Beside this file, which somebody has named.
    Beside(PathBuf),
    /// In the nearest `.cluster`, in this folder or above; only if nobody else can have put it
    /// there.
    Nearest(PathBuf),
}

/// The window's end of it.
#[derive(Debug)]
pub struct Backend {
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<BackendEvent>,
    thread: Option<JoinHandle<()>>,
}

/// Wakes the window after each event.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// The backend's own end: tells the window something, and wakes it.
#[derive(Clone)]
struct Outlet {
    events: mpsc::Sender<BackendEvent>,
    wake: Wake,
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
        let outlet = Outlet {
            events: events_out,
            wake,
        };
        let thread = thread::Builder::new()
            .name("backend".to_owned())
            .spawn(move || runtime.block_on(engine::run(options, commands_in, outlet)))?;
        Ok(Self {
            commands,
            events,
            thread: Some(thread),
        })
    }

    /// Asks for something without waiting.
    ///
    /// # Errors
    ///
    /// The command itself when too many wait already: ask again later. When the backend has ended
    /// the command is dropped, as nobody can carry it out.
    pub fn ask(&self, command: Command) -> Result<(), Command> {
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
    /// Hands over the last commands, and waits until what was begun is finished.
    pub fn close(&mut self, commands: impl IntoIterator<Item = Command>) {
        // Nobody looks at events any more, so none may hold it up.
        self.events.close();
        for command in commands {
            if self.commands.blocking_send(command).is_err() {
                return;
            }
        }
        self.join();
    }

    /// The backend ends when nobody can ask it any more.
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

impl Outlet {
    /// Tells that this device did not keep something that it should have.
    async fn tell_trouble<E: std::error::Error>(&self, outcome: Result<(), E>) {
        if let Err(error) = outcome {
            let why = session::device_trouble(&error);
            self.tell(BackendEvent::DeviceTrouble(why)).await;
        }
    }

    /// Waits when the window is behind. Once the window is gone nobody needs to know anything.
    async fn tell(&self, event: BackendEvent) {
        if self.events.send(event).await.is_ok() {
            (self.wake)();
        }
    }
}
