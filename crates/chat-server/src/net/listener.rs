//! A listening address, and serving on it until the node stops it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_app::limits::log_throttle::LogThrottle;
use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream, lookup_host};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tonic::service::Routes;
use tonic::transport::Server;

use crate::config::UNIX;
use crate::net::admission::{AdmissionLayer, Budgets};
use crate::net::connection_limit::{ConnectionLimits, Connections};
use crate::net::counted_stream::CountedStream;
use crate::net::peer_socket::{BoundPeerSocket, PeerSocket};
use crate::net::write_strategy::WriteStrategy;

/// A connection without traffic gets a ping after this time…
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// …and is closed when it does not answer for this long.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Above every deadline of the requests themselves: a last resort.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);
/// How often idle connections and slow readers are closed.
const DROPPED_CALLER_GC_INTERVAL: Duration = Duration::from_secs(1);
/// When the process or the system has no file left, accepting is retried after this time: something may
/// be closed by then, and an attempt is cheap.
const NO_FILE_PAUSE: Duration = Duration::from_millis(100);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// How a listener treats its connections.
#[derive(Debug)]
pub(crate) struct ListenerOptions {
    /// For the log.
    pub(crate) name: &'static str,
    pub(crate) write_strategy: WriteStrategy,
    pub(crate) connections: ConnectionLimits,
    pub(crate) http: HttpLimits,
    /// For requests and replies of all connections together. Peers are trusted, so they have none.
    pub(crate) budgets: Option<Arc<Budgets>>,
}

/// What HTTP/2 lets one connection do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpLimits {
    /// Requests in progress at once; the client queues further ones.
    streams: u32,
    header_bytes: u32,
    /// How many bytes a client may send before they are read: of one request, and of all; `None` for
    /// the library's 1 MiB.
    windows: Option<(u32, u32)>,
}

impl HttpLimits {
    /// 100 streams are the minimum that HTTP/2 recommends. A token and trace ids fit into the headers
    /// many times over. The window of a request is the default of HTTP/2, into which most requests
    /// fit, so that they never wait for it; the window of the connection is four of them.
    pub(crate) const CLIENTS: Self = Self {
        streams: 100,
        header_bytes: 8 * 1024,
        windows: Some((64 * 1024, 256 * 1024)),
    };
    /// A node forwards the requests of all its clients over one connection.
    pub(crate) const PEERS: Self = Self {
        streams: 512,
        header_bytes: 16 * 1024,
        windows: None,
    };
}

/// An address that is bound, and refuses connections: a node that cannot answer yet must look like one
/// that does not run, so that others do not wait for it.
#[derive(Debug)]
pub(crate) struct BoundAddress {
    address: String,
    socket: BoundSocket,
}

#[derive(Debug)]
enum BoundSocket {
    Port(TcpSocket),
    /// In the file system.
    Path(BoundPeerSocket),
}

/// An address that accepts connections.
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

impl ListenError {
    fn new(address: &str, source: io::Error) -> Self {
        let address = address.to_owned();
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::Taken { address },
            _ => Self::Refused { address, source },
        }
    }
}

impl BoundAddress {
    pub(crate) async fn bind(address: &str) -> Result<Self, ListenError> {
        let bound = match address.strip_prefix(UNIX) {
            Some(path) => BoundPeerSocket::bind(path.as_ref()).map(BoundSocket::Path),
            None => bind_port(address).await.map(BoundSocket::Port),
        };
        Ok(Self {
            address: address.to_owned(),
            socket: bound.map_err(|error| ListenError::new(address, error))?,
        })
    }

    /// Accepts connections from now on. Another process that has bound a port meanwhile, and was faster,
    /// has it.
    pub(crate) fn listen(self) -> Result<Listener, ListenError> {
        let socket = match self.socket {
            BoundSocket::Port(socket) => socket.listen(BACKLOG).map(Socket::Port),
            BoundSocket::Path(socket) => socket.listen(BACKLOG).map(Socket::Path),
        };
        let socket = socket.map_err(|error| ListenError::new(&self.address, error))?;
        Ok(Listener { socket })
    }
}

/// The first of the addresses with this name that can be bound.
async fn bind_port(address: &str) -> io::Result<TcpSocket> {
    let mut failed = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for address in lookup_host(address).await? {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Connections of a process that has just ended do not keep the port.
        socket.set_reuseaddr(true)?;
        match socket.bind(address) {
            Ok(()) => return Ok(socket),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

impl Listener {
    /// Serves until `stop` turns true; then finishes what is under way.
    pub(crate) async fn serve(
        self,
        routes: Routes,
        options: ListenerOptions,
        stop: watch::Receiver<bool>,
    ) -> Result<(), tonic::transport::Error> {
        match self.socket {
            Socket::Port(socket) => serve_accepted(socket, routes, options, stop).await,
            Socket::Path(PeerSocket { listener, name }) => {
                let served = serve_accepted(listener, routes, options, stop).await;
                drop(name);
                served
            }
        }
    }
}

async fn serve_accepted<A: Accept>(
    socket: A,
    routes: Routes,
    options: ListenerOptions,
    mut stop: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error> {
    let http = options.http;
    let admission = AdmissionLayer::new(options.budgets.clone());
    let incoming = accepted(socket, options);
    let stopped = async move {
        // A dropped sender also means stop.
        drop(stop.wait_for(|stop| *stop).await);
    };
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(http.streams)
        .http2_max_header_list_size(http.header_bytes)
        .initial_stream_window_size(http.windows.map(|(stream, _)| stream))
        .initial_connection_window_size(http.windows.map(|(_, connection)| connection))
        .timeout(REQUEST_TIMEOUT)
        .layer(admission)
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stopped)
        .await
}

/// A socket that accepts connections.
trait Accept {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one, and the address it comes from if it has one.
    fn accept(&self)
    -> impl Future<Output = io::Result<(Self::Stream, Option<SocketAddr>)>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Option<SocketAddr>)> {
        let (stream, peer) = Self::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok((stream, Some(peer)))
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Option<SocketAddr>)> {
        let (stream, _unnamed) = Self::accept(self).await?;
        Ok((stream, None))
    }
}

/// The state of accepting, between two connections.
struct Accepting<A> {
    socket: A,
    write_strategy: WriteStrategy,
    connections: Arc<Connections>,
    budgets: Option<Arc<Budgets>>,
    sweep: Interval,
    no_file: LogThrottle,
}

/// The connections that get a slot. Failures are handled here: the stream has no end.
fn accepted<A: Accept>(
    socket: A,
    options: ListenerOptions,
) -> impl Stream<Item = io::Result<CountedStream<A::Stream>>> {
    let mut sweep = interval(DROPPED_CALLER_GC_INTERVAL);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let accepting = Accepting {
        socket,
        write_strategy: options.write_strategy,
        connections: Connections::new(options.name, options.connections),
        budgets: options.budgets,
        sweep,
        no_file: LogThrottle::default(),
    };
    futures::stream::unfold(accepting, |mut accepting| async {
        let stream = accepting.next().await;
        Some((Ok(stream), accepting))
    })
}

impl<A: Accept> Accepting<A> {
    async fn next(&mut self) -> CountedStream<A::Stream> {
        loop {
            tokio::select! {
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let Some(connection) = self.connections.admit(peer) else {
                            continue;
                        };
                        let connections = Arc::clone(&self.connections);
                        return CountedStream::new(stream, self.write_strategy, connections, connection);
                    }
                    Err(error) => self.recover(&error).await,
                },
                _ = self.sweep.tick() => self.sweep(),
            }
        }
    }

    /// A failure of one connection does not affect the others. Without files, accepting fails at once
    /// again and again, so it pauses.
    async fn recover(&self, error: &io::Error) {
        if !is_out_of_resources(error) {
            tracing::debug!(%error, "a connection is not accepted");
            return;
        }
        if let Some(times) = self.no_file.record(Instant::now()) {
            tracing::warn!(%error, times, "no connection can be accepted; retrying");
        }
        self.connections.close_idlest();
        sleep(NO_FILE_PAUSE).await;
    }

    fn sweep(&self) {
        let now = Instant::now();
        self.connections.close_idle(now);
        if let Some(budgets) = &self.budgets {
            budgets.close_slow_readers(now);
        }
    }
}

fn is_out_of_resources(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let code = error.raw_os_error().map(Errno::from_raw);
    matches!(
        code,
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)
    )
}

#[cfg(test)]
mod tests;
