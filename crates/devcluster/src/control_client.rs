//! Calls the supervisor of a cluster and waits for its reply.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, Result, bail};
use devcluster_api::{REPLY_TIMEOUT, RESPONSE_BYTES_MAX, Request, Response};

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
    (&stream)
        .write_all(request.to_line().as_bytes())
        .context("sending the request to the supervisor")?;
    let mut reply = String::new();
    BufReader::new((&stream).take(RESPONSE_BYTES_MAX))
        .read_line(&mut reply)
        .context("reading the supervisor's reply")?;
    if reply.is_empty() {
        bail!("the supervisor ended before it replied");
    }
    let response = Response::from_line(&reply).context("decoding the supervisor's reply")?;
    if !response.ok {
        bail!("{}", response.message);
    }
    Ok(response.message)
}
