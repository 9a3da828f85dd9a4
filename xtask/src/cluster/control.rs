//! The supervisor's control socket: one request a connection, one line of JSON each way.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::layout::NodeId;
use super::link_shape::LinkShape;
use super::private_files;
use super::supervisor::Event;

/// Far more than any request has; a line without an end must not fill the memory.
const REQUEST_BYTES_MAX: u64 = 4096;

/// A client that says nothing may not keep the others waiting for longer.
const REQUEST_LIMIT: Duration = Duration::from_secs(1);

/// Stopping every node of a large cluster fits into this.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// What may be asked of the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub(super) enum Request {
    /// Are you there?
    Ping,
    /// Start every node that is down.
    StartDead,
    /// SIGKILL.
    Kill {
        node: NodeId,
    },
    /// SIGTERM, and wait for the end.
    Stop {
        node: NodeId,
    },
    /// SIGSTOP.
    Pause {
        node: NodeId,
    },
    /// SIGCONT.
    Resume {
        node: NodeId,
    },
    /// Stop if it runs, then start.
    Restart {
        node: NodeId,
    },
    /// Swallow everything between this node and the others.
    Cut {
        node: NodeId,
    },
    Heal {
        node: NodeId,
    },
    HealAll,
    /// Make every link of this node so slow; as fast as the machine if nothing is said.
    Shape {
        node: NodeId,
        shape: Option<LinkShape>,
    },
    /// Stop, delete the data, start.
    Reset {
        node: NodeId,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Response {
    pub(super) ok: bool,
    /// A sentence for a person.
    pub(super) message: String,
}

/// Asks the supervisor; its refusal is an error.
pub(super) fn ask(socket: &Path, request: Request) -> Result<String> {
    let stream = UnixStream::connect(socket)
        .with_context(|| format!("reaching the supervisor at {}", socket.display()))?;
    stream
        .set_read_timeout(Some(ANSWER_LIMIT))
        .context("limiting the wait for an answer")?;
    let mut line = serde_json::to_string(&request).context("writing the request as JSON")?;
    line.push('\n');
    (&stream)
        .write_all(line.as_bytes())
        .context("asking the supervisor")?;
    let mut answer = String::new();
    BufReader::new(&stream)
        .read_line(&mut answer)
        .context("hearing from the supervisor")?;
    if answer.is_empty() {
        bail!("the supervisor ended before it answered");
    }
    let response: Response =
        serde_json::from_str(&answer).context("understanding the supervisor")?;
    if !response.ok {
        bail!("{}", response.message);
    }
    Ok(response.message)
}

/// The socket, for nobody but the person who started the cluster.
pub(super) fn bind(socket: &Path) -> Result<UnixListener> {
    if socket.exists() {
        fs::remove_file(socket)
            .with_context(|| format!("removing the old {}", socket.display()))?;
    }
    let listener = UnixListener::bind(socket).with_context(|| {
        format!(
            "listening on {} (its path may be too long)",
            socket.display()
        )
    })?;
    // The supervisor's files are private from the start; this is for whoever calls us otherwise.
    fs::set_permissions(socket, Permissions::from_mode(private_files::MODE))
        .with_context(|| format!("protecting {}", socket.display()))?;
    Ok(listener)
}

/// Takes requests one after the other for as long as somebody handles events.
pub(super) fn serve(listener: &UnixListener, events: &SyncSender<Event>) {
    for stream in listener.incoming() {
        let served = stream
            .map_err(Into::into)
            .and_then(|stream| serve_one(&stream, events));
        if let Err(error) = served {
            eprintln!("control socket: {error:#}");
        }
    }
}

fn serve_one(stream: &UnixStream, events: &SyncSender<Event>) -> Result<()> {
    stream
        .set_read_timeout(Some(REQUEST_LIMIT))
        .context("limiting the wait for a request")?;
    let mut line = String::new();
    BufReader::new(stream.take(REQUEST_BYTES_MAX))
        .read_line(&mut line)
        .context("reading a request")?;
    let response = match serde_json::from_str(&line) {
        Ok(request) => {
            let (reply, answer) = mpsc::sync_channel(1);
            events
                .send(Event::Requested(request, reply))
                .context("the supervisor is ending")?;
            answer.recv().context("the supervisor is ending")?
        }
        Err(error) => Response {
            ok: false,
            message: format!("not a request: {error}"),
        },
    };
    let mut text = serde_json::to_string(&response).context("writing the answer as JSON")?;
    text.push('\n');
    (&*stream).write_all(text.as_bytes()).context("answering")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::mpsc;
    use std::{env, fs, process, thread};

    use super::super::supervisor::Event;
    use super::{Request, Response, ask, bind, serve};

    #[test]
    fn requests_are_one_line_of_json() {
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

    #[test]
    fn an_answer_comes_back_and_a_refusal_is_an_error() {
        let socket = env::temp_dir().join(format!("xtask-control-{}.sock", process::id()));
        let listener = bind(&socket).unwrap();
        assert_eq!(
            fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let (events, handled) = mpsc::sync_channel(1);
        thread::spawn(move || serve(&listener, &events));
        thread::spawn(move || {
            for event in handled {
                if let Event::Requested(request, reply) = event {
                    let ok = request == Request::Ping;
                    reply
                        .send(Response {
                            ok,
                            message: format!("{request:?}"),
                        })
                        .unwrap();
                }
            }
        });
        assert_eq!(ask(&socket, Request::Ping).unwrap(), "Ping");
        assert_eq!(
            ask(&socket, Request::HealAll).unwrap_err().to_string(),
            "HealAll"
        );
        fs::remove_file(&socket).unwrap();
    }
}
