//! The stream of an accepted connection: holds its slot until it is dropped, and fails when the
//! connection is closed or does not send its HTTP/2 preface in time. It also reports the write strategy
//! to `h2`, because it is the wrapper of every stream.

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
/// The length of `PRI * HTTP/2.0` and so on; HTTP/2 checks its content.
const PREFACE_BYTES: usize = 24;

/// A connection that counts until it is dropped.
#[derive(Debug)]
pub(crate) struct CountedStream<S> {
    stream: S,
    write_strategy: WriteStrategy,
    preface: Option<Preface>,
    slot: Slot,
}

/// Frees the slot when the stream is dropped, whatever state it is in.
#[derive(Debug)]
struct Slot {
    connections: Arc<Connections>,
    connection: Arc<Connection>,
}

/// The state until the preface has arrived.
#[derive(Debug)]
struct Preface {
    bytes: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<S> CountedStream<S> {
    /// `connection` has its slot in `connections`.
    pub(crate) fn new(
        stream: S,
        write_strategy: WriteStrategy,
        connections: Arc<Connections>,
        connection: Arc<Connection>,
    ) -> Self {
        Self {
            stream,
            write_strategy,
            preface: Some(Preface {
                bytes: 0,
                deadline: Box::pin(tokio::time::sleep(PREFACE_TIMEOUT)),
            }),
            slot: Slot {
                connections,
                connection,
            },
        }
    }

    fn count(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.slot.connection.has_written(bytes);
        }
        written
    }

    fn check_closed(&self) -> io::Result<()> {
        if self.slot.connection.is_closed() {
            Err(io::Error::new(
                ErrorKind::ConnectionAborted,
                "the connection was closed",
            ))
        } else {
            Ok(())
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.release(&self.connection);
    }
}

impl<S> Connected for CountedStream<S> {
    type ConnectInfo = Arc<Connection>;

    fn connect_info(&self) -> Self::ConnectInfo {
        Arc::clone(&self.slot.connection)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CountedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.slot.connection.register_task(context.waker());
        self.check_closed()?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Self { preface, slot, .. } = &mut *self;
        if let Some(state) = preface {
            state.bytes += buffer.filled().len() - before;
            if state.bytes >= PREFACE_BYTES {
                slot.connections.begin(&slot.connection);
                *preface = None;
            } else if state.deadline.as_mut().poll(context).is_ready() {
                tracing::debug!(peer = ?slot.connection.peer(), "a connection has not sent its preface in time");
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
