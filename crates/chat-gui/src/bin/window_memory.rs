//! Measures how much more memory the chat's window has, with a conversation of 10,000 messages open,
//! than an empty window of the same toolkit. `cargo xtask bench gui` builds and starts it.
//!
//! It needs the programs of Debian's packages `xvfb` and `xdotool`, and does nothing without them.
//!
//! Deliberately absent: servers. The window is signed in, shows the copy of this device and looks for
//! servers that do not run.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use chat_gui::local_store::inbox_copy::PageEnd;
use chat_gui::local_store::token_file::{KeptSession, TokenFile};
use chat_gui::local_store::{AccountKey, LocalStore};
use chat_gui::model::message::{Direction, StoredMessage};
use chat_gui::model::names::{Commit, LogIndex, MessageId, Name, Term};
use chat_gui::model::time::Timestamp;
use uuid::Uuid;

/// How many messages the conversation has.
const MESSAGES: u64 = 10_000;
/// How often each window is opened, in turn.
const RUNS: usize = 5;
/// How long a window is idle before its memory is read: by then it has drawn everything.
const IDLE: Duration = Duration::from_secs(10);
/// How long a window may take to appear, and to draw what a key opens.
const APPEARS_MAX: Duration = Duration::from_secs(20);
const DRAWN: Duration = Duration::from_secs(2);
/// What is to be reached, in KiB.
const SURPLUS_MAX: u64 = 60 << 10;
const CLUSTER_ID: &str = "0123456789abcdef0123456789abcdef";
/// Nothing listens there.
const SERVER: &str = "127.0.0.1:9";

/// A screen without a monitor.
struct Screen {
    server: Child,
    name: String,
}

/// A window's process; killed when it is dropped.
struct Window(Child);

/// What the kernel says of a process, in KiB.
#[derive(Clone, Copy)]
struct Memory {
    /// Pages that are no file's: what the process has asked for and used.
    anonymous: u64,
    resident: u64,
}

fn main() -> ExitCode {
    match measure() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the figures. Returns whether the limit is kept.
fn measure() -> Result<bool> {
    if !["Xvfb", "xdotool"].iter().all(|name| is_installed(name)) {
        println!("the window's memory is not measured: there is no Xvfb or xdotool");
        return Ok(true);
    }
    let here = env::current_exe()?;
    let programs = here.parent().context("a program is in a folder")?;
    let home = env::temp_dir().join(format!("chat-window-memory-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(fill(&home.join("default")))?;
    let measured = measure_windows(programs, &home);
    fs::remove_dir_all(&home)?;
    let (empty, chat) = measured?;
    println!("messages            {MESSAGES}");
    print("empty window", &empty);
    print("the chat's window", &chat);
    let median = median(&chat).saturating_sub(median(&empty));
    let worst = largest(&chat).saturating_sub(smallest(&empty));
    println!(
        "anonymous memory    {} MiB more in the median, {} MiB at most   (at most {} MiB)",
        median >> 10,
        worst >> 10,
        SURPLUS_MAX >> 10
    );
    Ok(median <= SURPLUS_MAX)
}

/// The memory of the empty window and of the chat's, each run on a screen of its own.
fn measure_windows(programs: &Path, home: &Path) -> Result<(Vec<Memory>, Vec<Memory>)> {
    let (mut empty, mut chat) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let command = Command::new(programs.join("empty_window"));
        empty.push(memory_of(command, None)?);
        let mut command = Command::new(programs.join("chat-gui"));
        command.args(["--servers", SERVER, "--data"]).arg(home);
        chat.push(memory_of(command, Some("ctrl+1"))?);
    }
    Ok((empty, chat))
}

/// The memory of a window that was idle, after a key.
fn memory_of(command: Command, key: Option<&str>) -> Result<Memory> {
    let screen = Screen::open()?;
    let window = Window::open(&screen, command)?;
    sleep(DRAWN);
    if let Some(key) = key {
        ensure!(screen.tool(&["key", key])?, "xdotool cannot press {key}");
    }
    sleep(IDLE);
    if let Some(picture) = env::var_os("CHAT_WINDOW_PICTURE").filter(|_| key.is_some()) {
        screen.picture(&PathBuf::from(picture))?;
    }
    window.memory()
}

impl Screen {
    fn open() -> Result<Self> {
        // Xvfb chooses a free number and prints it.
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-noreset", "-nolisten", "tcp"])
            .args(["-screen", "0", "1280x800x24"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("starting Xvfb")?;
        let output = server.stdout.take().context("the output of Xvfb")?;
        let mut screen = Self {
            server,
            name: String::new(),
        };
        let mut number = String::new();
        BufReader::new(output).read_line(&mut number)?;
        ensure!(!number.trim().is_empty(), "Xvfb has no free number");
        screen.name = format!(":{}", number.trim());
        Ok(screen)
    }

    /// Runs xdotool. Returns whether it did what it was asked to.
    fn tool(&self, arguments: &[&str]) -> Result<bool> {
        let output = Command::new("xdotool")
            .args(arguments)
            .env("DISPLAY", &self.name)
            .output()
            .context("starting xdotool")?;
        Ok(output.status.success())
    }

    /// What is on the screen, so that a person can look whether the right thing was measured.
    fn picture(&self, file: &Path) -> Result<()> {
        let status = Command::new("import")
            .args(["-window", "root"])
            .arg(file)
            .env("DISPLAY", &self.name)
            .status()
            .context("starting import, of Debian's package imagemagick")?;
        ensure!(status.success(), "import ended with {status}");
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ended = self.server.kill();
        let _status = self.server.wait();
    }
}

impl Window {
    /// Starts a program and waits until its window has the keyboard.
    fn open(screen: &Screen, mut command: Command) -> Result<Self> {
        let program = format!("{command:?}");
        let window = command
            .env("DISPLAY", &screen.name)
            .env_remove("WAYLAND_DISPLAY")
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {program}"))?;
        let mut window = Self(window);
        let deadline = Instant::now() + APPEARS_MAX;
        // There is no window manager that would give it the keyboard.
        let focus = ["search", "--onlyvisible", "--name", "Chat", "windowfocus"];
        while !screen.tool(&focus)? {
            let ended = window.0.try_wait()?;
            ensure!(ended.is_none(), "{program} ended with {ended:?}");
            ensure!(Instant::now() < deadline, "{program} opens no window");
            sleep(Duration::from_millis(100));
        }
        Ok(window)
    }

    fn memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/status", self.0.id());
        let status = fs::read_to_string(&path).with_context(|| path.clone())?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            let number = number.with_context(|| format!("{path} has no {name}"))?;
            Ok::<u64, anyhow::Error>(number.parse()?)
        };
        Ok(Memory {
            anonymous: field("RssAnon:")?,
            resident: field("VmRSS:")?,
        })
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

fn is_installed(program: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

fn print(what: &str, runs: &[Memory]) {
    let list = |of: fn(&Memory) -> u64| {
        let runs = runs
            .iter()
            .map(|run| format!("{:.1}", of(run) as f64 / 1024.0));
        runs.collect::<Vec<_>>().join(", ")
    };
    println!(
        "{what:<19} {} MiB anonymous, {} MiB resident",
        list(|run| run.anonymous),
        list(|run| run.resident)
    );
}

fn median(runs: &[Memory]) -> u64 {
    let mut sorted: Vec<u64> = runs.iter().map(|run| run.anonymous).collect();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

fn largest(runs: &[Memory]) -> u64 {
    runs.iter().map(|run| run.anonymous).max().unwrap_or(0)
}

fn smallest(runs: &[Memory]) -> u64 {
    runs.iter().map(|run| run.anonymous).min().unwrap_or(0)
}

/// Writes what an earlier run of the window would have left: a session, and a conversation.
async fn fill(folder: &Path) -> Result<()> {
    let mut store = LocalStore::open(folder).await?;
    let account = AccountKey {
        cluster_id: CLUSTER_ID.to_owned(),
        name: Name::new("alice"),
    };
    store.save_remembered(Some(&account.name)).await?;
    let end = PageEnd {
        older: None,
        unread: 0,
        is_last: true,
    };
    let newest_first = (1..=MESSAGES).rev().map(message).collect();
    store.keep_page(&account, newest_first, &end).await?;
    let session = KeptSession {
        username: account.name.to_string(),
        token: "0".repeat(64),
        cluster_id: account.cluster_id,
    };
    Ok(TokenFile::in_folder(folder).write(&session)?)
}

/// From a word to some paragraphs; every third one is an answer.
fn message(index: u64) -> StoredMessage {
    let words = 3 + index * 7 % 41 + if index.is_multiple_of(50) { 160 } else { 0 };
    let words = (0..words).map(|word| ["message", "of", "some", "length"][(word % 4) as usize]);
    let text = words.collect::<Vec<_>>().join(" ");
    let at = (1_735_689_600_000 + index * 1_800_001) as f64 / 1_000.0;
    StoredMessage {
        id: MessageId(Uuid::from_u128(u128::from(index) << 64)),
        direction: if index.is_multiple_of(3) {
            Direction::Sent
        } else {
            Direction::Received
        },
        peer: Name::new("bob"),
        peer_since: Some(LogIndex(1)),
        body: Arc::from(format!("{index} {text}")),
        at: Timestamp(at),
        written_at: Some(Timestamp(at - 0.125)),
        reply_to: None,
        read: true,
        commit: Commit {
            index: LogIndex(index),
            term: Term(7),
        },
    }
}
