//! Notifications of the desktop, raised by the desktop's own program for it, where it is installed.
//! Deliberately absent: buttons on notifications, and any log of their text.

use std::process::{Command, Stdio};
use std::thread;

/// Raises one, and does not wait for it. Where there is no such program the window's own request
/// for attention has to do.
pub(super) fn raise(title: &str, body: &str) {
    let child = Command::new("notify-send")
        .args([
            "--app-name=Chat",
            "--category=im.received",
            "--",
            title,
            body,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return };
    // Nothing depends on its exit status, but a process must be waited for.
    thread::spawn(move || drop(child.wait()));
}
