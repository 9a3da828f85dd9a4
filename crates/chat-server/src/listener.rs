//! A listening address, and serving on it until told to stop.

use std::io;
use std::time::Duration;

use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::{Connected, TcpIncoming};

use crate::config::UNIX;
use crate::connection_limit::{Writing, limited};
use crate::peer_socket::PeerSocket;

/// A connection that says nothing is asked whether it is there after this long…
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// …and closed when it does not answer for this long.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests under way on one connection; a client that wants more waits on its side.
const STREAMS_MAX: u32 = 512;
/// Names, tokens and trace ids fit many times over.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// Connections at the same time: below the 1,024 files that a process usually may open, so that there
/// is always one for the other nodes and the disk.
const CONNECTIONS_MAX: usize = 800;
/// Above every deadline that requests have themselves: the last resort.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);

/// An address that nobody else can take any more.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Port(TcpListener),
    /// In the file system.
    Path(PeerSocket),
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("{address} is taken by another process")]
    Taken { address: String },
    #[error("{address} cannot be listened on: {source}")]
    Refused { address: String, source: io::Error },
}

impl Listener {
    pub(crate) async fn bind(address: &str) -> Result<Self, ListenError> {
        let address = address.to_owned();
        let bound = match address.strip_prefix(UNIX) {
            Some(path) => PeerSocket::bind(path.as_ref()).map(Socket::Path),
            None => TcpListener::bind(&address).await.map(Socket::Port),
        };
        match bound {
            Ok(socket) => Ok(Self { socket }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                Err(ListenError::Taken { address })
            }
            Err(source) => Err(ListenError::Refused { address, source }),
        }
    }

    /// Serves until `stop` turns true; then finishes what is under way.
    pub(crate) async fn serve(
        self,
        routes: Routes,
        writing: Writing,
        stop: watch::Receiver<bool>,
    ) -> Result<(), tonic::transport::Error> {
        match self.socket {
            Socket::Port(socket) => {
                let incoming = TcpIncoming::from(socket).with_nodelay(Some(true));
                Self::serve_incoming(incoming, routes, writing, stop).await
            }
            Socket::Path(PeerSocket { listener, name }) => {
                let incoming = UnixListenerStream::new(listener);
                let served = Self::serve_incoming(incoming, routes, writing, stop).await;
                drop(name);
                served
            }
        }
    }

    async fn serve_incoming<S>(
        incoming: impl Stream<Item = io::Result<S>>,
        routes: Routes,
        writing: Writing,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), tonic::transport::Error>
    where
        S: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let incoming = limited(incoming, CONNECTIONS_MAX, writing);
        let stopped = async move {
            // Whoever could say so is gone: that means stop too.
            drop(stop.wait_for(|stop| *stop).await);
        };
        Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .max_concurrent_streams(STREAMS_MAX)
            .http2_max_header_list_size(HEADER_BYTES_MAX)
            .timeout(REQUEST_TIMEOUT)
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming, stopped)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::{Listener, Socket};

    #[tokio::test]
    async fn a_taken_path_is_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("unix:{}/peer.sock", folder.path().display());
        let _listener = Listener::bind(&address).await.unwrap();
        let error = Listener::bind(&address).await.unwrap_err().to_string();
        assert_eq!(error, format!("{address} is taken by another process"));
    }

    #[tokio::test]
    async fn a_taken_address_is_one_sentence() {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let Socket::Port(socket) = &listener.socket else {
            panic!("it is a port");
        };
        let address = socket.local_addr().unwrap().to_string();
        let error = Listener::bind(&address).await.unwrap_err().to_string();
        assert_eq!(error, format!("{address} is taken by another process"));
        let error = Listener::bind("127.0.0.1:no")
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("127.0.0.1:no cannot be listened on: "),
            "{error}"
        );
    }
}
