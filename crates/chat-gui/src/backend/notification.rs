//! Notifications of the desktop, through `notify-send`. A click on one is an event.
//!
//! Deliberately absent: any log of their text.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::Handle;

use crate::backend::event_sender::EventSender;
use crate::model::event::BackendEvent;

/// The desktop's own program.
const PROGRAM: &str = "notify-send";
/// Notifications that wait for a click at most: each is a process. A further one is shown, and a
/// click on it leads nowhere.
const WAITING_MAX: usize = 8;

static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Raises one, and sends `opened` when it is clicked. Where there is no such program the window's
/// own request for attention has to do.
pub(super) fn raise(title: String, body: String, events: EventSender, opened: BackendEvent) {
    let runtime = Handle::current();
    thread::spawn(move || {
        if show(PROGRAM, &title, &body) {
            runtime.block_on(events.send(opened));
        }
    });
}

/// Shows one until it is clicked or gone, as far as the desktop supports that. Returns whether it
/// was clicked.
fn show(program: &str, title: &str, body: &str) -> bool {
    let place = WAITING.fetch_add(1, Ordering::Relaxed);
    let clicked = (place < WAITING_MAX)
        .then(|| run(program, &["--action=default=Open"], title, body))
        .flatten();
    WAITING.fetch_sub(1, Ordering::Relaxed);
    match clicked {
        Some(chosen) => chosen.trim() == "default",
        None => {
            // An older version has no actions.
            let _shown = run(program, &[], title, body);
            false
        }
    }
}

/// What the program printed; `None` if it failed.
fn run(program: &str, options: &[&str], title: &str, body: &str) -> Option<String> {
    let output = Command::new(program)
        .args(["--app-name=Chat", "--category=im.received"])
        .args(options)
        .args(["--", title, body])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let printed = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(printed)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::show;

    /// A `notify-send` that does this.
    fn check(script: &str, is_clicked: bool) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("notify-send");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
        let program = program.to_str().unwrap();
        assert_eq!(show(program, "Bob", "Hello"), is_clicked, "{script}");
    }

    #[test]
    fn notification_is_clicked_when_its_action_is_printed() {
        check("echo default", true);
        check("exit 0", false);
        check("exit 1", false);
        let old = r#"case "$*" in *action*) exit 1;; esac; echo default"#;
        check(old, false);
        assert!(!show("/no/such/program", "Bob", "Hello"));
    }
}
