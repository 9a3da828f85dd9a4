//! Real sockets, and clients that break the rules.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::service::Routes;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{
    BoundAddress, BoundSocket, HttpLimits, Listener, ListenerOptions, Socket, is_out_of_resources,
};
use crate::net::admission::Budgets;
use crate::net::connection_limit::ConnectionLimits;
use crate::net::write_strategy::WriteStrategy;

/// Far above what any test here takes.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The first bytes of every HTTP/2 client: the preface and an empty SETTINGS frame.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A listener with the health service, which needs no cluster.
struct Served {
    address: SocketAddr,
    _stop: watch::Sender<bool>,
    _serving: JoinHandle<Result<(), tonic::transport::Error>>,
}

async fn serve(per_source: usize) -> Served {
    let bound = BoundAddress::bind("127.0.0.1:0").await.unwrap();
    let listener = bound.listen().unwrap();
    let address = port(&listener);
    let (stop, stopped) = watch::channel(false);
    let (_, health) = tonic_health::server::health_reporter();
    let options = ListenerOptions {
        name: "test",
        write_strategy: WriteStrategy::Vectored,
        connections: ConnectionLimits {
            total: 100,
            per_source,
            idle: None,
        },
        http: HttpLimits::CLIENTS,
        budgets: Some(Budgets::new()),
    };
    let serving = tokio::spawn(listener.serve(Routes::new(health), options, stopped));
    Served {
        address,
        _stop: stop,
        _serving: serving,
    }
}

fn port(listener: &Listener) -> SocketAddr {
    let Socket::Port(socket) = &listener.socket else {
        panic!("it is a port");
    };
    socket.local_addr().unwrap()
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Makes a request over a new connection.
    async fn request(&self) {
        let requesting = async {
            let address = format!("http://{}", self.address);
            let channel = Endpoint::from_shared(address)
                .unwrap()
                .connect()
                .await
                .unwrap();
            let mut health = HealthClient::new(channel);
            health.check(HealthCheckRequest::default()).await.unwrap();
        };
        timeout(TEST_TIMEOUT, requesting).await.unwrap();
    }
}

/// Waits until the other side has closed; what it sends before is ignored.
async fn closed(mut stream: TcpStream) {
    let mut received = [0; 1024];
    let closing = async { while !matches!(stream.read(&mut received).await, Ok(0) | Err(_)) {} };
    timeout(TEST_TIMEOUT, closing).await.unwrap();
}

#[tokio::test]
async fn taken_path_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix:{}/peer.sock", folder.path().display());
    let _bound = BoundAddress::bind(&address).await.unwrap();
    let error = BoundAddress::bind(&address).await.unwrap_err().to_string();
    assert_eq!(error, format!("{address} is taken by another process"));
}

#[tokio::test]
async fn taken_address_is_reported() {
    let bound = BoundAddress::bind("127.0.0.1:0").await.unwrap();
    let listener = bound.listen().unwrap();
    let address = port(&listener).to_string();
    let error = BoundAddress::bind(&address).await.unwrap_err().to_string();
    assert_eq!(error, format!("{address} is taken by another process"));
    let error = BoundAddress::bind("127.0.0.1:no")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("127.0.0.1:no cannot be listened on: "),
        "{error}"
    );
}

/// A node that is still opening its log must not look like one that is slow.
#[tokio::test]
async fn bound_address_refuses_connections_until_it_listens() {
    let bound = BoundAddress::bind("127.0.0.1:0").await.unwrap();
    let BoundSocket::Port(socket) = &bound.socket else {
        panic!("it is a port");
    };
    let address = socket.local_addr().unwrap();
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let _listener = bound.listen().unwrap();
    assert!(TcpStream::connect(address).await.is_ok());
}

#[tokio::test]
async fn silent_connection_is_closed() {
    let served = serve(8).await;
    let silent = served.connect().await;
    let mut half = served.connect().await;
    half.write_all(&HTTP2_PREFACE[..10]).await.unwrap();
    let mut spoken = served.connect().await;
    spoken.write_all(HTTP2_PREFACE).await.unwrap();
    tokio::join!(closed(silent), closed(half));
    // The connection that sent its preface is still open.
    let mut received = [0; 9];
    timeout(TEST_TIMEOUT, spoken.read_exact(&mut received))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(received[3], 4, "SETTINGS");
}

#[tokio::test]
async fn silent_connection_is_replaced_by_one_that_sends_a_preface() {
    let served = serve(8).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(served.connect().await);
    }
    served.request().await;
    // Connections beyond the limit, and the first one that was replaced, are closed before the timeout.
    closed(silent.remove(0)).await;
}

#[test]
fn shortage_of_files_is_recognised() {
    let too_many_open_files = io::Error::from_raw_os_error(24);
    let too_many_in_the_system = io::Error::from_raw_os_error(23);
    assert!(is_out_of_resources(&too_many_open_files));
    assert!(is_out_of_resources(&too_many_in_the_system));
    assert!(!is_out_of_resources(&ErrorKind::ConnectionAborted.into()));
}
