//! Distinguishes a dead peer from a slow one: a connection that is refused, or closed before a byte
//! came back, belongs to a process that is gone (R17).

use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::runner::grpc::peer_address::PeerAddress;

/// A live peer on a healthy network answers far sooner; a slow one is not called dead.
const PROBE_TIMEOUT: Duration = Duration::from_millis(200);

/// The first bytes of HTTP/2: the client's preface and an empty SETTINGS frame. A server answers
/// with its own SETTINGS.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Whether `address` refuses a new connection right now. `false` when it accepts, and also when
/// that is unknown: silence is not refusal.
pub(super) async fn is_refused(address: &PeerAddress) -> bool {
    let probed = tokio::time::timeout(PROBE_TIMEOUT, probe(address)).await;
    matches!(probed, Ok(Probed::Refused))
}

enum Probed {
    Answered,
    Refused,
    Unknown,
}

async fn probe(address: &PeerAddress) -> Probed {
    let probed = match address {
        PeerAddress::Tcp(address) => exchange_prefaces(TcpStream::connect(address)).await,
        PeerAddress::Unix(path) => exchange_prefaces(UnixStream::connect(path)).await,
    };
    match probed {
        Ok(1..) => Probed::Answered,
        // A link in between accepts for a process that is gone, and closes at once.
        Ok(0) => Probed::Refused,
        Err(error) => match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                Probed::Refused
            }
            // The listener has ended and removed its socket. A process that was killed
            // leaves it, and then the connection is refused as above.
            ErrorKind::NotFound if matches!(address, PeerAddress::Unix(_)) => Probed::Refused,
            // No route, no name: that is a fault of the network, not of the peer.
            _ => Probed::Unknown,
        },
    }
}

async fn exchange_prefaces<S: AsyncRead + AsyncWrite + Unpin>(
    connecting: impl Future<Output = io::Result<S>>,
) -> io::Result<usize> {
    let mut connection = connecting.await?;
    connection.write_all(HTTP2_PREFACE).await?;
    connection.read(&mut [0]).await
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio::net::{TcpListener, UnixListener};

    use super::*;

    async fn listener() -> (TcpListener, PeerAddress) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        (listener, PeerAddress::Tcp(address))
    }

    fn socket(folder: &Path) -> (UnixListener, PeerAddress) {
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        (listener, PeerAddress::Unix(path))
    }

    #[tokio::test]
    async fn closed_port_refuses() {
        let (listener, address) = listener().await;
        drop(listener);
        assert!(is_refused(&address).await);
    }

    #[tokio::test]
    async fn link_that_closes_at_once_refuses() {
        let (listener, address) = listener().await;
        let closing = tokio::spawn(async move { drop(listener.accept().await) });
        assert!(is_refused(&address).await);
        closing.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_not_refusal() {
        let (_listener, address) = listener().await;
        assert!(!is_refused(&address).await);
    }

    #[tokio::test]
    async fn socket_without_a_listener_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let (listener, address) = socket(folder.path());
        // As after SIGKILL: the file stays.
        drop(listener);
        assert!(folder.path().join("socket").exists());
        assert!(is_refused(&address).await);
        std::fs::remove_file(folder.path().join("socket")).unwrap();
        assert!(is_refused(&address).await, "nor does one that is gone");
    }

    #[tokio::test]
    async fn link_on_a_socket_that_closes_at_once_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let (listener, address) = socket(folder.path());
        let closing = tokio::spawn(async move { drop(listener.accept().await) });
        assert!(is_refused(&address).await);
        closing.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn silence_of_a_socket_is_not_refusal() {
        let folder = tempfile::tempdir().unwrap();
        let (_listener, address) = socket(folder.path());
        assert!(!is_refused(&address).await);
    }
}
