//! The connection to one node: made when it is first needed, made again when it broke.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::error::ClientError;

/// A node that is there answers within a few round trips; one that drops our packets must not hold
/// us up longer than this.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
/// How often a silent connection is asked whether it still leads anywhere…
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// …and how long the answer may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// A channel to `address`, not connected yet.
pub(crate) fn channel(address: &str) -> Result<Channel, ClientError> {
    let endpoint =
        Endpoint::from_shared(format!("http://{address}")).map_err(|_invalid| unusable(address))?;
    if endpoint.uri().port().is_none() {
        return Err(unusable(address));
    }
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_lazy())
}

fn unusable(address: &str) -> ClientError {
    ClientError::InvalidInput(format!(
        "{address:?} is no address: a host and a port are needed"
    ))
}
