//! The connection to one node: opened when it is first needed, opened again after it broke.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::error::ClientError;

/// A reachable node accepts a connection within a few round trips; a host that drops the packets must
/// not delay a request longer than this.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
/// After this time without traffic a connection is pinged…
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// …and closed if the answer takes longer than this.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// A channel to `address`, not connected yet.
pub(crate) fn channel(address: &str) -> Result<Channel, ClientError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|_invalid| invalid_address(address))?;
    if endpoint.uri().port().is_none() {
        return Err(invalid_address(address));
    }
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_lazy())
}

fn invalid_address(address: &str) -> ClientError {
    ClientError::InvalidInput(format!(
        "{address:?} is not an address: a host and a port are needed"
    ))
}
