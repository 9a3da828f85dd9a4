//! What is sent over the supervisor's control socket: one request a connection, one line of JSON
//! each way.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::layout::NodeId;
use crate::link_shape::LinkShape;

/// Stopping every node of a large cluster fits into this.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// A request to the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Request {
    /// Replies if the supervisor runs.
    Ping,
    /// Start every node that is down.
    StartDead,
    /// SIGKILL.
    Kill {
        /// Which node.
        node: NodeId,
    },
    /// SIGTERM, and wait for the end.
    Stop {
        /// Which node.
        node: NodeId,
    },
    /// SIGSTOP.
    Pause {
        /// Which node.
        node: NodeId,
    },
    /// SIGCONT.
    Resume {
        /// Which node.
        node: NodeId,
    },
    /// Stop if it runs, then start.
    Restart {
        /// Which node.
        node: NodeId,
    },
    /// Swallow everything between this node and the others.
    Isolate {
        /// Which node.
        node: NodeId,
    },
    /// Carry the links of this node again.
    Reconnect {
        /// Which node.
        node: NodeId,
    },
    /// Carry every link again.
    ReconnectAll,
    /// Slow every link of this node down, or carry them at full speed again.
    Shape {
        /// Which node.
        node: NodeId,
        /// How slow; `None` for the speed of the machine.
        shape: Option<LinkShape>,
    },
    /// Stop, delete the data, start.
    Wipe {
        /// Which node.
        node: NodeId,
    },
}

/// The supervisor's reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// Whether it was done.
    pub ok: bool,
    /// A sentence for a person: what was done, or why not.
    pub message: String,
}

/// Sends a request and returns the supervisor's sentence.
///
/// # Errors
///
/// When the supervisor cannot be reached, does not reply in time, or rejects the request.
pub fn send(socket: &Path, request: Request) -> Result<String> {
    let stream = UnixStream::connect(socket)
        .with_context(|| format!("reaching the supervisor at {}", socket.display()))?;
    stream
        .set_read_timeout(Some(REPLY_TIMEOUT))
        .context("limiting the wait for a reply")?;
    let mut line = serde_json::to_string(&request).context("writing the request as JSON")?;
    line.push('\n');
    (&stream)
        .write_all(line.as_bytes())
        .context("sending the request to the supervisor")?;
    let mut reply = String::new();
    BufReader::new(&stream)
        .read_line(&mut reply)
        .context("reading the supervisor's reply")?;
    if reply.is_empty() {
        bail!("the supervisor ended before it replied");
    }
    let response: Response =
        serde_json::from_str(&reply).context("decoding the supervisor's reply")?;
    if !response.ok {
        bail!("{}", response.message);
    }
    Ok(response.message)
}

#[cfg(test)]
mod tests {
    use super::Request;

    #[test]
    fn request_is_one_line_of_json() {
        let request = Request::Kill {
            node: "2".parse().unwrap(),
        };
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(text, r#"{"command":"kill","node":2}"#);
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
        assert_eq!(
            serde_json::to_string(&Request::StartDead).unwrap(),
            r#"{"command":"start_dead"}"#
        );
    }
}
