//! Progress on a terminal while a command waits.

use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, interval_at};

/// Shorter waits are not shown.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// Waits for `work`. On a terminal it shows, after a second, what it waits for and for how long.
pub(crate) async fn waiting<T>(what: &str, work: impl Future<Output = T>) -> T {
    if io::stderr().is_terminal() {
        shown(what, work, draw_line).await
    } else {
        work.await
    }
}

/// A line on a terminal that changes while a command waits; nothing elsewhere.
pub(crate) struct Shown {
    is_terminal: bool,
    drawn: bool,
}

impl Shown {
    pub(crate) fn on_terminal() -> Self {
        Self {
            is_terminal: io::stderr().is_terminal(),
            drawn: false,
        }
    }

    pub(crate) fn draw(&mut self, line: &str) {
        if self.is_terminal {
            draw_line(line);
            self.drawn = true;
        }
    }

    pub(crate) fn erase(&mut self) {
        if self.drawn {
            draw_line("");
        }
    }
}

/// In place of the line that is there.
fn draw_line(line: &str) {
    let mut terminal = io::stderr().lock();
    // A closed terminal does not matter.
    drop(write!(terminal, "\r{line}\x1b[K").and_then(|()| terminal.flush()));
}

async fn shown<T>(what: &str, work: impl Future<Output = T>, mut draw: impl FnMut(&str)) -> T {
    let mut work = pin!(work);
    let started = Instant::now();
    let mut seconds = interval_at(started + SHOWN_AFTER, SHOWN_AFTER);
    let mut drawn = false;
    loop {
        tokio::select! {
            biased;
            result = &mut work => {
                if drawn {
                    draw("");
                }
                return result;
            }
            _ = seconds.tick() => {
                draw(&format!("{what} … {} s", started.elapsed().as_secs()));
                drawn = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    async fn lines(work: Duration) -> Vec<String> {
        let mut lines = Vec::new();
        let work = tokio::time::timeout(work, std::future::pending::<()>());
        let over = super::shown("sending", work, |line| lines.push(line.to_owned())).await;
        assert!(over.is_err(), "the work ends by its timeout");
        lines
    }

    #[tokio::test(start_paused = true)]
    async fn long_wait_is_shown_and_erased() {
        assert!(lines(Duration::from_millis(900)).await.is_empty());
        let shown = lines(Duration::from_millis(2500)).await;
        assert_eq!(shown, ["sending … 1 s", "sending … 2 s", ""]);
    }
}
