//! The stream of an accepted connection: holds its place until it is dropped, ends when it is closed or
//! does not begin in time, and says how it wants to be written to, since this is the one place that
//! stands around all of them.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tonic::transport::server::Connected;

use crate::net::connection_limit::{Connection, Connections};
use crate::net::write_strategy::WriteStrategy;

/// How long a connection may take to send the HTTP/2 preface: many round trips on the slowest
/// network. Keepalive begins only after it.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(5);
/// `PRI * HTTP/2.0` and so on, whose content HTTP/2 checks.
const PREFACE_BYTES: usize = 24;

/// A connection that counts until it is dropped.
#[derive(Debug)]
pub(crate) struct CountedStream<S> {
    stream: S,
    write_strategy: WriteStrategy,
    beginning: Option<Beginning>,
    place: Place,
}

/// Gives the place back, even if the stream is dropped in the middle of something.
#[derive(Debug)]
struct Place {
    connections: Arc<Connections>,
    connection: Arc<Connection>,
}

/// Until the preface is there.
#[derive(Debug)]
struct Beginning {
    bytes: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<S> CountedStream<S> {
    /// `connection` has its place in `connections`.
    pub(crate) fn new(
        stream: S,
        write_strategy: WriteStrategy,
        connections: Arc<Connections>,
        connection: Arc<Connection>,
    ) -> Self {
        Self {
            stream,
            write_strategy,
            beginning: Some(Beginning {
                bytes: 0,
                deadline: Box::pin(tokio::time::sleep(PREFACE_TIMEOUT)),
            }),
            place: Place {
                connections,
                connection,
            },
        }
    }

    fn count(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.place.connection.has_written(bytes);
        }
        written
    }

    fn check_closed(&self) -> io::Result<()> {
        if self.place.connection.is_closed() {
            Err(io::Error::new(
                ErrorKind::ConnectionAborted,
                "the connection is closed",
            ))
        } else {
            Ok(())
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.release(&self.connection);
    }
}

impl<S> Connected for CountedStream<S> {
    type ConnectInfo = Arc<Connection>;

    fn connect_info(&self) -> Self::ConnectInfo {
        Arc::clone(&self.place.connection)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CountedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.place.connection.register_task(context.waker());
        self.check_closed()?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Self {
            beginning, place, ..
        } = &mut *self;
        if let Some(begun) = beginning {
            begun.bytes += buffer.filled().len() - before;
            if begun.bytes >= PREFACE_BYTES {
                place.connections.begin(&place.connection);
                *beginning = None;
            } else if begun.deadline.as_mut().poll(context).is_ready() {
                tracing::debug!(peer = ?place.connection.peer(), "a connection does not begin");
                return Poll::Ready(Err(ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CountedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_closed()?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_closed()?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.write_strategy == WriteStrategy::Vectored && self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
