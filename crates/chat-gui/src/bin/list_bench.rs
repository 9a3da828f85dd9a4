//! Measures a conversation of 100,000 messages: how long it takes to read it from this device and to
//! open it, what a frame costs, and whether anything moves under the reader's eyes. `cargo xtask bench
//! gui` builds and starts it.
//!
//! Deliberately absent: a window and a graphics card. Layout and tessellation are what grows with
//! the text; painting is the same few thousand triangles for every conversation.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_gui::local_store::inbox_copy::PageEnd;
use chat_gui::local_store::{AccountKey, LocalStore};
use chat_gui::message_list::{geometry::RowId, message_row};
use chat_gui::model::Model;
use chat_gui::model::action::UserAction;
use chat_gui::model::event::{BackendEvent, InboxPage, StoredAccount};
use chat_gui::model::message::{Direction, StoredMessage};
use chat_gui::model::names::{Commit, IdSource, LogIndex, MessageId, Name, Term};
use chat_gui::model::time::{Moment, Now, Timestamp, Zone};
use chat_gui::theme;
use chat_gui::views::{ViewState, window_ui};
use egui::{Context, Event, Modifiers, MouseWheelUnit, Pos2, RawInput, Rect, TouchPhase, Vec2};
use uuid::Uuid;

/// How many messages are there from the start.
const MESSAGES: u64 = 100_000;
/// How many older ones are loaded at once, as the servers' pages are.
const PAGE: u64 = 500;
/// How many pages are loaded, and as often a message arrives.
const PAGES: u64 = 20;
/// How many frames are measured while scrolling.
const FRAMES: usize = 600;
/// The position of the newest message in the made-up log.
const NEWEST: u64 = 1_000_000;
/// What is to be reached.
const OPENING_MAX: Duration = Duration::from_millis(300);
const FRAME_MAX: Duration = Duration::from_millis(8);
/// From nothing to the first frame with everything that this device keeps.
const STARTING_MAX: Duration = Duration::from_millis(300);
const MEMORY_MAX: u64 = 200 << 20;

/// The window without a window.
struct Bench {
    context: Context,
    model: Model,
    state: ViewState,
    time: f64,
}

fn main() -> ExitCode {
    let folder = std::env::temp_dir().join(format!("chat-list-bench-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of this thread");
    runtime.block_on(fill(&folder));
    let before = resident_bytes();
    let begun = Instant::now();
    let account = runtime.block_on(read(&folder));
    let reading = begun.elapsed();
    let mut bench = Bench::new(account);
    let starting = begun.elapsed();
    // What is left in the folder for temporary files does no harm.
    let _left = fs::remove_dir_all(&folder);
    let opening = bench.open();
    let mut frames = bench.scroll();
    let moved = bench.load_and_arrive();
    let memory = resident_bytes().saturating_sub(before);

    frames.sort_unstable();
    let median = frames[frames.len() / 2];
    let slow = frames[frames.len() * 99 / 100];
    println!("messages            {MESSAGES}");
    println!(
        "starting            {:.1} ms, {:.1} ms of it reading from the disk   (at most {} ms)",
        milliseconds(starting),
        milliseconds(reading),
        STARTING_MAX.as_millis()
    );
    println!(
        "opening             {:.1} ms   (at most {} ms)",
        milliseconds(opening),
        OPENING_MAX.as_millis()
    );
    println!(
        "median frame        {:.2} ms   (at most {} ms)",
        milliseconds(median),
        FRAME_MAX.as_millis()
    );
    println!("99 % of frames      {:.2} ms", milliseconds(slow));
    println!(
        "moved while {PAGES} pages loaded and {PAGES} messages came   {moved:.2} points   (at most half a point)"
    );
    println!(
        "resident memory     {} MiB more than at the start   (at most {} MiB)",
        memory / 1_048_576,
        MEMORY_MAX / 1_048_576
    );
    let starts = starting <= STARTING_MAX && memory <= MEMORY_MAX;
    if starts && opening <= OPENING_MAX && median <= FRAME_MAX && moved <= 0.5 {
        ExitCode::SUCCESS
    } else {
        println!("not reached");
        ExitCode::FAILURE
    }
}

impl Bench {
    /// A window onto an inbox full of messages of one person, with nothing open.
    fn new(account: StoredAccount) -> Self {
        let context = Context::default();
        theme::install(&context);
        let mut bench = Self {
            context,
            model: Model::new(Now::default(), Zone::utc(), IdSource::counting()),
            state: ViewState::default(),
            time: 0.0,
        };
        bench.receive(BackendEvent::SignedIn(account));
        for _ in 0..5 {
            bench.frame(Vec::new());
        }
        bench
    }

    fn now(&self) -> Now {
        Now {
            moment: Moment(1_000),
            wall: sent_at(NEWEST),
        }
    }

    fn receive(&mut self, event: BackendEvent) {
        let now = self.now();
        // Its commands are of no interest here.
        drop(self.model.receive(event, now));
    }

    /// One frame: layout and tessellation; how long both took.
    fn frame(&mut self, events: Vec<Event>) -> Duration {
        self.time += 1.0 / 60.0;
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, Vec2::new(1280.0, 800.0))),
            time: Some(self.time),
            events,
            ..RawInput::default()
        };
        let begun = Instant::now();
        let Self {
            context,
            model,
            state,
            ..
        } = self;
        let output = context.run_ui(input, |ui| {
            drop(window_ui(ui, model, state));
        });
        let pixels = output.pixels_per_point;
        let meshes = self.context.tessellate(output.shapes, pixels);
        let took = begun.elapsed();
        assert!(!meshes.is_empty(), "something is drawn");
        took
    }

    /// Opens the conversation; how long it takes until the screen no longer changes.
    fn open(&mut self) -> Duration {
        let now = self.now();
        let begun = Instant::now();
        drop(
            self.model
                .act(UserAction::OpenConversation(Name::new("Benjamin")), now),
        );
        self.frame(Vec::new());
        let took = begun.elapsed();
        self.frame(Vec::new());
        took
    }

    /// Scrolls up, fast and slowly, through messages that were never on the screen.
    fn scroll(&mut self) -> Vec<Duration> {
        (0..FRAMES)
            .map(|frame| {
                let lines = if frame % 3 == 0 { 40.0 } else { 3.0 };
                self.frame(vec![
                    Event::PointerMoved(Pos2::new(840.0, 400.0)),
                    Event::MouseWheel {
                        unit: MouseWheelUnit::Line,
                        delta: Vec2::new(0.0, lines),
                        phase: TouchPhase::Move,
                        source: egui::MouseWheelSource::Wheel,
                        modifiers: Modifiers::NONE,
                    },
                ])
            })
            .collect()
    }

    /// Loads older pages on top while new messages arrive below; the farthest that the message
    /// in the middle of the screen moves, in points.
    fn load_and_arrive(&mut self) -> f64 {
        for _ in 0..30 {
            self.frame(Vec::new());
        }
        let Some((row, before)) = self.middle() else {
            return f64::INFINITY;
        };
        let mut farthest = 0.0_f64;
        for page in 0..PAGES {
            let newest = NEWEST - MESSAGES - page * PAGE;
            self.receive(BackendEvent::Inbox(InboxPage {
                messages: (0..PAGE).map(|back| message(newest - back)).collect(),
                unread: 0,
                reaches: LogIndex(newest - PAGE + 1),
                more: true,
                is_last: false,
            }));
            self.receive(BackendEvent::Arrived(message(NEWEST + 1 + page)));
            self.frame(Vec::new());
            let now = self.state.messages.place_of(row);
            let moved = now.map_or(f64::INFINITY, |now| (now - before).abs());
            farthest = farthest.max(moved);
        }
        farthest
    }

    /// A message in sight, and where it is.
    fn middle(&mut self) -> Option<(RowId, f64)> {
        (0..MESSAGES)
            .map(|back| message_row(id(NEWEST - back)))
            .find_map(|row| {
                let place = self.state.messages.place_of(row)?;
                (200.0..500.0).contains(&place).then_some((row, place))
            })
    }
}

fn id(index: u64) -> MessageId {
    MessageId(Uuid::from_u128(u128::from(index) << 64))
}

fn account() -> AccountKey {
    AccountKey {
        cluster_id: "0123456789abcdef0123456789abcdef".to_owned(),
        name: Name::new("Alice"),
    }
}

/// Writes the inbox as an earlier run of the window would have.
async fn fill(folder: &Path) {
    let mut store = LocalStore::open(folder)
        .await
        .expect("a store in the folder");
    let newest_first = (0..MESSAGES).map(|back| message(NEWEST - back));
    let end = PageEnd {
        older: Some("older".to_owned()),
        unread: 0,
        is_last: true,
    };
    let kept = store
        .keep_page(&account(), newest_first.collect(), &end)
        .await;
    kept.expect("the store keeps the inbox");
}

async fn read(folder: &Path) -> StoredAccount {
    let mut store = LocalStore::open(folder)
        .await
        .expect("a store in the folder");
    let account = store.account(&account()).await;
    account.expect("the store has the inbox")
}

/// A time of 2025 or later, in milliseconds as the servers have it.
fn sent_at(index: u64) -> Timestamp {
    let milliseconds = 1_735_689_600_000 + index * 30_001;
    Timestamp(milliseconds as f64 / 1_000.0)
}

/// The message at a position of the log: from a word to some paragraphs.
fn message(index: u64) -> StoredMessage {
    let words = 3 + index * 7 % 41 + if index.is_multiple_of(50) { 160 } else { 0 };
    let text: String = (0..words)
        .flat_map(|word| ["message ", "of ", "some ", "length "].get((word % 4) as usize))
        .copied()
        .collect();
    StoredMessage {
        id: id(index),
        direction: Direction::Received,
        peer: Name::new("Benjamin"),
        peer_since: Some(LogIndex(0)),
        body: Arc::from(format!("{index} {text}")),
        at: sent_at(index),
        written_at: Some(Timestamp(sent_at(index).0 - 0.125)),
        reply_to: index.is_multiple_of(10).then(|| id(index - 1)),
        read: true,
        commit: Commit {
            index: LogIndex(index),
            term: Term(7),
        },
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The memory of this process as the kernel reports it; 0 where it does not.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}
