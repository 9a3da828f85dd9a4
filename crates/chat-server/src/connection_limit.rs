//! How many connections a listener holds: one more is closed as soon as it is accepted, and its
//! client asks another node.
//!
//! Without a limit a flood of connections takes every file that the process may open, and then
//! neither the other nodes nor the disk find one. A connection also says how it wants to be written
//! to, since this is the one place that stands around all of them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::Connected;

/// A connection that counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted<S> {
    stream: S,
    writing: Writing,
    _place: OwnedSemaphorePermit,
}

/// How answers are put into calls of the operating system: `h2` decides by whether a connection can
/// write several pieces of memory at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// Pieces at once. A message of 256 bytes or more is not copied, and what ends its answer is a
    /// call of its own.
    Gathered,
    /// One piece at a time. A message of less than 1,024 bytes is copied, and its whole answer is one
    /// call; a longer one needs one call more.
    Copied,
}

/// At most `connections_max` of these at a time.
pub(crate) fn limited<S>(
    incoming: impl Stream<Item = io::Result<S>>,
    connections_max: usize,
    writing: Writing,
) -> impl Stream<Item = io::Result<Counted<S>>> {
    let places = Arc::new(Semaphore::new(connections_max));
    incoming.filter_map(move |accepted| {
        let place = Arc::clone(&places).try_acquire_owned();
        let counted = match (accepted, place) {
            (Ok(stream), Ok(_place)) => Some(Ok(Counted {
                stream,
                writing,
                _place,
            })),
            (Ok(_one_too_many), Err(_full)) => {
                tracing::debug!(connections_max, "a connection is refused");
                None
            }
            (Err(error), _) => Some(Err(error)),
        };
        std::future::ready(counted)
    })
}

impl<S: Connected> Connected for Counted<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.writing == Writing::Gathered && self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::{FutureExt, StreamExt};
    use tokio::io::{AsyncWrite as _, duplex};
    use tokio::net::{TcpListener, TcpStream};

    use super::{Writing, limited};

    #[tokio::test]
    async fn a_place_is_free_again_when_its_connection_is_gone() {
        let (arrive, arriving) = tokio::sync::mpsc::unbounded_channel();
        let arriving = tokio_stream::wrappers::UnboundedReceiverStream::new(arriving);
        let mut accepted = pin!(limited(arriving, 1, Writing::Gathered));
        let connect = || {
            let (near, far) = duplex(16);
            arrive.send(Ok(far)).unwrap();
            near
        };
        let _one = connect();
        let held = accepted.next().await.unwrap().unwrap();
        let _refused = connect();
        assert!(accepted.next().now_or_never().is_none());
        drop(held);
        let _two = connect();
        assert!(accepted.next().await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_connection_says_how_it_wants_to_be_written_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        for (writing, gathered) in [(Writing::Gathered, true), (Writing::Copied, false)] {
            let _near = TcpStream::connect(address).await.unwrap();
            let (far, _) = listener.accept().await.unwrap();
            let arriving = futures::stream::iter([Ok(far)]);
            let counted = pin!(limited(arriving, 1, writing)).next().await;
            let counted = counted.unwrap().unwrap();
            assert_eq!(counted.is_write_vectored(), gathered, "{writing:?}");
        }
    }
}
