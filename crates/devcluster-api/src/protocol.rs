//! What is sent over the supervisor's control socket: one request a connection, one line of JSON
//! each way.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::node_id::NodeId;

/// How long a client waits for a reply. Stopping every node of a large cluster fits into this.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// A client reads no more of a reply. A sentence is shorter.
pub const RESPONSE_BYTES_MAX: u64 = 65_536;

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
    /// Slow every link of this node down, or carry them at full speed again. Links to nodes that are
    /// added later have the full speed.
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
    /// Start one more node, with a number that no node had before. It is no member of the cluster yet.
    Add,
    /// Stop a node and delete everything that it has. It must not be a member of the cluster any more.
    Remove {
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

/// How slow a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkShape {
    /// In each direction.
    pub bits_per_second: u64,
    /// In each direction.
    pub delay_ms: u64,
}

impl Request {
    /// What is sent: JSON, and the end of the line.
    pub fn to_line(self) -> String {
        let text = serde_json::to_string(&self);
        let mut line =
            text.expect("a request has only numbers and fixed names, which JSON can hold");
        line.push('\n');
        line
    }
}

impl Response {
    /// Decodes what was received.
    ///
    /// # Errors
    ///
    /// When it is no response; a supervisor that ends sends an empty line.
    pub fn from_line(line: &str) -> serde_json::Result<Self> {
        serde_json::from_str(line)
    }
}

#[cfg(test)]
mod tests {
    use super::{Request, Response};

    #[test]
    fn request_is_one_line_of_json() {
        let node = "2".parse().unwrap();
        for (request, line) in [
            (
                Request::Kill { node },
                "{\"command\":\"kill\",\"node\":2}\n",
            ),
            (Request::StartDead, "{\"command\":\"start_dead\"}\n"),
            (Request::Add, "{\"command\":\"add\"}\n"),
        ] {
            assert_eq!(request.to_line(), line);
            assert_eq!(serde_json::from_str::<Request>(line).unwrap(), request);
        }
    }

    #[test]
    fn line_without_a_response_is_an_error() {
        let response =
            Response::from_line("{\"ok\":true,\"message\":\"node 2 is paused\"}\n").unwrap();
        assert!(response.ok);
        for line in ["", "nonsense\n", "{\"ok\":true}\n"] {
            assert!(Response::from_line(line).is_err(), "{line}");
        }
    }
}
