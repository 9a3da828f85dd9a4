//! The story that the window is for, with real servers and a real window: it is closed and opened in an
//! outage with one node of three alive, everything is there to read, what is written waits with a clock,
//! the nodes return, the clock becomes a tick, and a check finds that nothing is missing. Keys and clicks
//! come from outside the process, and pictures are taken of the screen.
//!
//! `cargo run -p chat-gui --example story -- FOLDER` writes the pictures into the folder. It needs the
//! programs of Debian's packages `xvfb`, `xdotool` and `imagemagick`; nothing else of this repository
//! does, so the tests do not run it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use chat_client::{ChatClient, DirectionFilter, InboxQuery, Session};
use chat_tests::processes::cluster::Cluster;
use chat_tests::processes::server::program;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// The size of the screen, which the window fills.
const SIZE: &str = "1100x760";
const PASSWORD: &str = "open sesame";
/// From an input to a picture of what it led to: longer than a frame takes without a graphics card.
const DRAWN: Duration = Duration::from_millis(1_500);
/// The longest that anything in this story may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(40);
/// Where the field for the name is on the page that creates an account, in a window of this size.
const NAME_FIELD: (u32, u32) = (770, 268);
/// Where the button "Check now" of the cluster page is in a window of this size.
const CHECK_NOW: (u32, u32) = (998, 163);

const ANSWERS: [&str; 4] = [
    "Are the three nodes up?",
    "Good. I will switch two of them off now.",
    "Write something while they are gone.",
    "Then we see what is left.",
];
const IN_THE_OUTAGE: [&str; 2] = [
    "Two of three nodes are gone, and I can still read everything.",
    "This waits here until they are back.",
];

/// A screen without a monitor.
struct Screen {
    server: Child,
    name: String,
}

impl Screen {
    fn open() -> Result<Self> {
        // Xvfb chooses a free number and prints it. It does not begin anew when its only window closes.
        let mut server = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-noreset",
                "-nolisten",
                "tcp",
                "-screen",
                "0",
            ])
            .arg(format!("{SIZE}x24"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start Xvfb; Debian's package is xvfb")?;
        let mut number = String::new();
        let output = server.stdout.take().context("the output of Xvfb")?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut number)?;
        ensure!(!number.trim().is_empty(), "Xvfb has no free number");
        let name = format!(":{}", number.trim());
        Ok(Self { server, name })
    }

    fn tool(&self, name: &str, arguments: &[&str]) -> Result<()> {
        let status = Command::new(name)
            .args(arguments)
            .env("DISPLAY", &self.name)
            .status()
            .with_context(|| format!("cannot start {name}; the head of story.rs names packages"))?;
        ensure!(status.success(), "{name} {arguments:?}: {status}");
        Ok(())
    }

    fn keys(&self, keys: &str) -> Result<()> {
        self.tool("xdotool", &["key", "--delay", "60", keys])
    }

    fn text(&self, text: &str) -> Result<()> {
        self.tool("xdotool", &["type", "--delay", "12", text])
    }

    fn click(&self, (x, y): (u32, u32)) -> Result<()> {
        let (x, y) = (x.to_string(), y.to_string());
        self.tool("xdotool", &["mousemove", &x, &y, "click", "1"])
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ended = self.server.kill();
        let _status = self.server.wait();
    }
}

/// Alice's window; killed when it is dropped.
struct Window(Child);

impl Window {
    async fn open(screen: &Screen, data: &Path, address: &str) -> Result<Self> {
        let window = Command::new(program("chat-gui"))
            .env("DISPLAY", &screen.name)
            .env_remove("WAYLAND_DISPLAY")
            .args(["--servers", address, "--data"])
            .arg(data)
            .spawn()
            .context("cannot start the window")?;
        let mut window = Self(window);
        let deadline = Instant::now() + STEP_TIMEOUT;
        let (width, height) = SIZE.split_once('x').context("a size is two numbers")?;
        let mut place = vec!["search", "--onlyvisible", "--name", "^Chat"];
        // There is no window manager that would give it a place and the keyboard.
        place.extend([
            "windowmove",
            "0",
            "0",
            "windowsize",
            width,
            height,
            "windowfocus",
        ]);
        while screen.tool("xdotool", &place).is_err() {
            let ended = window.0.try_wait()?;
            ensure!(ended.is_none(), "the window ended with {ended:?}");
            ensure!(Instant::now() < deadline, "the window does not appear");
            sleep(Duration::from_millis(100)).await;
        }
        sleep(DRAWN).await;
        Ok(window)
    }

    async fn until_closed(mut self) -> Result<()> {
        let deadline = Instant::now() + STEP_TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait()? {
                ensure!(status.success(), "the window ended with {status}");
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("the window does not close")
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

struct Story {
    screen: Screen,
    folder: PathBuf,
    pictures: u32,
}

impl Story {
    /// A picture of the screen, as soon as what was done is drawn.
    async fn picture(&mut self, name: &str) -> Result<()> {
        sleep(DRAWN).await;
        self.pictures += 1;
        let file = self
            .folder
            .join(format!("story-{}-{name}.png", self.pictures));
        let file = file.to_str().context("the folder's name is text")?;
        self.screen.tool("import", &["-window", "root", file])?;
        println!("{file}");
        Ok(())
    }

    async fn write(&self, text: &str) -> Result<()> {
        self.screen.text(text)?;
        self.screen.keys("Return")?;
        sleep(Duration::from_millis(300)).await;
        Ok(())
    }
}

/// The texts that the servers have of an account, oldest first.
async fn texts(client: &ChatClient, session: &Session) -> Result<Vec<String>> {
    let query = InboxQuery {
        directions: DirectionFilter::All,
        oldest_first: true,
        ..InboxQuery::default()
    };
    let page = client.inbox(session, &query).await?;
    Ok(page
        .messages
        .into_iter()
        .map(|message| message.body)
        .collect())
}

async fn until_texts(client: &ChatClient, session: &Session, expected: &[String]) -> Result<()> {
    let deadline = Instant::now() + STEP_TIMEOUT;
    loop {
        let found = texts(client, session).await?;
        if found == expected {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{found:?} instead of {expected:?}"
        );
        sleep(Duration::from_millis(100)).await;
    }
}

async fn play(story: &mut Story) -> Result<()> {
    let data = TempDir::new()?;
    let mut cluster = Cluster::start(3).await;
    let client = cluster.client();
    let bob = client.sign_up("bob", PASSWORD).await?;
    let leader = cluster.settled().await.node;
    let alive = cluster.ids().into_iter().find(|id| *id != leader);
    let alive = alive.context("there are three nodes")?;
    let address = cluster.client_address(alive).to_string();

    let window = Window::open(&story.screen, data.path(), &address).await?;
    story.create_account().await?;
    let alice = client.login("alice", PASSWORD).await?.session;
    for text in ANSWERS {
        client.send(&bob, "alice", text).await?;
    }
    sleep(DRAWN).await;
    story.screen.keys("ctrl+1")?;
    sleep(DRAWN).await;
    story.write("Yes, all three.").await?;
    let mut expected: Vec<String> = ANSWERS.map(str::to_owned).to_vec();
    expected.push("Yes, all three.".to_owned());
    until_texts(&client, &alice, &expected).await?;
    story.picture("before").await?;

    for id in cluster.ids().into_iter().filter(|id| *id != alive) {
        cluster.kill(id);
    }
    story.screen.keys("ctrl+q")?;
    window.until_closed().await?;
    let window = Window::open(&story.screen, data.path(), &address).await?;
    story.picture("opened-in-the-outage").await?;
    for text in IN_THE_OUTAGE {
        story.write(text).await?;
    }
    sleep(Duration::from_secs(4)).await;
    story.picture("written-in-the-outage").await?;

    cluster.start_all();
    cluster.settled().await;
    expected.extend(IN_THE_OUTAGE.map(str::to_owned));
    until_texts(&client, &alice, &expected).await?;
    sleep(Duration::from_secs(3)).await;
    story.picture("sent").await?;
    story.screen.keys("F7")?;
    sleep(DRAWN).await;
    story.screen.click(CHECK_NOW)?;
    story.picture("checked").await?;
    story.screen.keys("ctrl+q")?;
    window.until_closed().await
}

impl Story {
    /// Creates Alice's account as a person does.
    async fn create_account(&self) -> Result<()> {
        self.screen.click(NAME_FIELD)?;
        self.screen.text("alice")?;
        for _ in 0..2 {
            self.screen.keys("Tab")?;
            self.screen.text(PASSWORD)?;
        }
        self.screen.keys("Return")?;
        // Out of the way: what is under the pointer has buttons beside it.
        self.screen.tool("xdotool", &["mousemove", "700", "20"])?;
        sleep(DRAWN * 2).await;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .context("name a folder for the pictures")?;
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder)?;
    let mut story = Story {
        screen: Screen::open()?,
        folder,
        pictures: 0,
    };
    let outcome = play(&mut story).await;
    if outcome.is_err() {
        story.picture("failed").await?;
    }
    outcome
}
