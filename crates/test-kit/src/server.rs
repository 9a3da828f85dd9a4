//! A gRPC server of a test, in the test's own process.

use tokio::net::TcpListener;
use tonic::transport::server::{Router, TcpIncoming};

/// Serves at a free port of this machine until the runtime ends, and returns the address.
///
/// # Panics
///
/// When there is no free port.
pub async fn serve(router: Router) -> String {
    let listener = bind().await;
    let address = local_address(&listener);
    tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

/// An address at which no process listens.
///
/// # Panics
///
/// When there is no free port.
pub async fn unused_address() -> String {
    local_address(&bind().await)
}

async fn bind() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    listener.expect("there is a free port")
}

fn local_address(listener: &TcpListener) -> String {
    let address = listener.local_addr();
    address
        .expect("a bound listener has an address")
        .to_string()
}
