//! The logs of the nodes: their last lines, and what is appended to them.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write, stdout};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use devcluster_api::NodeId;

use crate::layout::Files;
use crate::state;

/// A person does not notice a tenth of a second.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A log that is being followed, and how far it has been printed.
struct Followed {
    prefix: String,
    path: PathBuf,
    position: u64,
    /// The beginning of a line that has not ended yet.
    partial: Vec<u8>,
}

/// Prints the end of one node's log, or of all; with `follow` it goes on with what is appended.
///
/// # Errors
///
/// When there is no such cluster or node, or the output is closed.
pub fn run(files: &Files, node: Option<NodeId>, lines: usize, follow: bool) -> Result<()> {
    let Some(state) = state::read(files)? else {
        bail!("there is no cluster; `cargo xtask cluster up` starts one")
    };
    if let Some(node) = node
        && !state.nodes.iter().any(|entry| entry.id == node)
    {
        bail!("{}", state::no_such_node(&state, node));
    }
    let mut output = stdout();
    let mut followed = Vec::new();
    for entry in state
        .nodes
        .iter()
        .filter(|entry| node.is_none_or(|node| node == entry.id))
    {
        let prefix = if node.is_some() {
            String::new()
        } else {
            format!("node-{} | ", entry.id)
        };
        let position = fs::metadata(&entry.log).map_or(0, |metadata| metadata.len());
        for line in tail(&entry.log, lines).lines() {
            writeln!(output, "{prefix}{line}").context("printing a log")?;
        }
        followed.push(Followed {
            prefix,
            path: entry.log.clone(),
            position,
            partial: Vec::new(),
        });
    }
    if follow {
        follow_forever(&mut followed)
    } else {
        Ok(())
    }
}

fn follow_forever(followed: &mut [Followed]) -> Result<()> {
    let mut output = stdout();
    loop {
        for log in followed.iter_mut() {
            for line in log.read_more()? {
                writeln!(output, "{}{line}", log.prefix).context("printing a log")?;
            }
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// The last lines of a file; empty when it cannot be read.
pub fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

impl Followed {
    /// The whole lines that were added since the last call.
    fn read_more(&mut self) -> Result<Vec<String>> {
        let Ok(mut file) = File::open(&self.path) else {
            return Ok(Vec::new());
        };
        let length = file.metadata().context("measuring a log")?.len();
        // A shorter file is another one: the cluster was reset.
        if length < self.position {
            self.position = 0;
            self.partial.clear();
        }
        file.seek(SeekFrom::Start(self.position))
            .context("continuing to read a log")?;
        let read = file
            .read_to_end(&mut self.partial)
            .context("reading a log")?;
        self.position += u64::try_from(read).context("a length fits a u64")?;
        let Some(end) = self.partial.iter().rposition(|&byte| byte == b'\n') else {
            return Ok(Vec::new());
        };
        let rest = self.partial.split_off(end + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        Ok(String::from_utf8_lossy(&whole)
            .lines()
            .map(str::to_owned)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::{Followed, tail};

    #[test]
    fn log_is_followed_by_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node-1.log");
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail(&path, 2), "two\nthree");
        assert_eq!(tail(&path, 9), "one\ntwo\nthree");

        let mut log = Followed {
            prefix: String::new(),
            path: path.clone(),
            position: 14,
            partial: Vec::new(),
        };
        assert!(log.read_more().unwrap().is_empty());
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"four\nfi").unwrap();
        assert_eq!(log.read_more().unwrap(), ["four"]);
        file.write_all(b"ve\n").unwrap();
        assert_eq!(log.read_more().unwrap(), ["five"]);
        fs::write(&path, "anew\n").unwrap();
        assert_eq!(log.read_more().unwrap(), ["anew"]);
        fs::remove_file(&path).unwrap();
        assert!(log.read_more().unwrap().is_empty());
        assert_eq!(tail(&path, 2), "");
    }
}
