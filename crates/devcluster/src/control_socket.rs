//! The supervisor's end of the control socket: requests become events, and their replies go back.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use anyhow::{Context, Result};
use devcluster_api::Response;

use crate::event::Event;

/// Far more than any request has; a line without an end must not fill the memory.
const REQUEST_BYTES_MAX: u64 = 4096;

/// A client that sends nothing may not block the others for longer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

/// Opens the socket for the user who started the cluster, and for no other user.
pub(crate) fn bind(socket: &Path) -> Result<UnixListener> {
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
    // The supervisor's files are private from the start; this is for other callers.
    fs::set_permissions(socket, Permissions::from_mode(private_file::FILE_MODE))
        .with_context(|| format!("protecting {}", socket.display()))?;
    Ok(listener)
}

/// Accepts requests one after the other for as long as the receiver of the events exists.
pub(crate) fn serve(listener: &UnixListener, events: &SyncSender<Event>) {
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
        .set_read_timeout(Some(REQUEST_TIMEOUT))
        .context("limiting the wait for a request")?;
    let mut line = String::new();
    BufReader::new(stream.take(REQUEST_BYTES_MAX))
        .read_line(&mut line)
        .context("reading a request")?;
    let response = match serde_json::from_str(&line) {
        Ok(request) => {
            let (reply, replied) = mpsc::sync_channel(1);
            events
                .send(Event::Requested(request, reply))
                .context("the supervisor is ending")?;
            replied.recv().context("the supervisor is ending")?
        }
        Err(error) => Response {
            ok: false,
            message: format!("not a request: {error}"),
        },
    };
    let mut text = serde_json::to_string(&response).context("writing the reply as JSON")?;
    text.push('\n');
    (&*stream)
        .write_all(text.as_bytes())
        .context("sending the reply")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::mpsc;
    use std::{fs, thread};

    use devcluster_api::{Request, Response};

    use super::{bind, serve};
    use crate::control_client::send;
    use crate::event::Event;

    #[test]
    fn reply_is_returned_and_rejection_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("supervisor.sock");
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
        assert_eq!(send(&socket, Request::Ping).unwrap(), "Ping");
        assert_eq!(
            send(&socket, Request::ReconnectAll)
                .unwrap_err()
                .to_string(),
            "ReconnectAll"
        );
        fs::remove_file(&socket).unwrap();
    }
}
